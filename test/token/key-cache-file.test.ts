/** Key sets on disk: what is in the file decides who may pass, so that it is used only where it is safe. Rules K0, K3. */
import t, { type Test } from 'tap';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { dirname, join } from 'node:path';
import { KeyCacheFile, type KeyCacheOptions } from '../../src/token/key-cache-file.ts';
import { until } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/process.ts';
import { createKey, ISSUER } from '../support/tokens.ts';

const { jwk } = createKey();

interface Subject {
  readonly cache: KeyCacheFile;
  readonly problems: string[];
  readonly clock: ManualClock;
  readonly folder: string;
}

function subjectIn(
  folder: string,
  changes: Partial<KeyCacheOptions> = {},
  clock = new ManualClock(),
): Subject {
  const problems: string[] = [];
  const cache = new KeyCacheFile({
    folder,
    issuerName: 'login',
    issuer: ISSUER,
    url: 'https://login.example.com/jwks?key=secret',
    clock,
    failed: (_file, problem) => problems.push(problem),
    ...changes,
  });
  return { cache, problems, clock, folder };
}

/** One that has saved a key. */
async function saved(t: Test): Promise<Subject> {
  const subject = subjectIn(join(temporaryFolder(t), 'keys'));
  await save(subject);
  return subject;
}

async function save({ cache, problems }: Subject): Promise<void> {
  rmSync(cache.file, { force: true });
  cache.save([jwk]);
  await until(() => problems.length > 0 || readdirSafe(cache.file));
}

function readdirSafe(file: string): boolean {
  try {
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** As Node exports them. */
function publicNumbers(jwk: object): { readonly kty?: string } {
  return createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' }).export({ format: 'jwk' });
}

t.test('what was saved comes back with its age, and the file is for us alone', async (t) => {
  const { cache, clock, folder, problems } = await saved(t);
  clock.advance(60_000);
  const loaded = await cache.load();
  t.strictSame(loaded?.document, { keys: [jwk] });
  t.ok((loaded?.ageMs ?? 0) >= 60_000 && (loaded?.ageMs ?? 0) < 120_000);
  t.equal(statSync(cache.file).mode & 0o777, 0o600);
  t.equal(statSync(folder).mode & 0o777, 0o700);
  t.notMatch(readFileSync(cache.file, 'utf8'), /secret/, 'the URL may hold one');
  t.strictSame(readdirSync(folder).length, 1, 'no draft is left');
  t.strictSame(problems, []);
});

t.test('J7 of a key only the members that verify reach the disk', async (t) => {
  const common = { kid: 'k1', use: 'sig', key_ops: ['verify'] };
  const keys = (['RS256', 'ES256', 'EdDSA'] as const).map((alg) => ({
    ...publicNumbers(createKey(alg).jwk),
    ...common,
    alg,
  }));
  const strays = {
    priv: 'stray',
    d: 'stray',
    k: 'stray',
    x5c: ['stray'],
    'x5t#S256': 'stray',
    note: { a: 'stray' },
  };
  const { cache } = subjectIn(join(temporaryFolder(t), 'keys'));
  cache.save(
    keys.map((key) => ({ ...key, ...strays, ...(key.kty === 'RSA' ? { x: 'stray' } : { n: 'stray' }) })),
  );
  await until(() => readdirSafe(cache.file));
  t.strictSame((await cache.load())?.document, { keys });
  t.notMatch(readFileSync(cache.file, 'utf8'), /stray/);
});

t.test('without a file there is nothing to load, and nothing to say', async (t) => {
  const { cache, problems } = subjectIn(join(temporaryFolder(t), 'absent'));
  t.equal(await cache.load(), undefined);
  t.strictSame(problems, []);
});

const unsafe: Record<string, (subject: Subject) => void> = {
  'a file that others may read': ({ cache }) => chmodSync(cache.file, 0o644),
  'a file that a group may write': ({ cache }) => chmodSync(cache.file, 0o620),
  'a folder that a group may write to': ({ folder }) => chmodSync(folder, 0o770),
  'a folder that everyone may write to': ({ folder }) => chmodSync(folder, 0o777),
  'a folder like /tmp': ({ folder }) => chmodSync(folder, 0o1777),
  'a link to a good file': ({ cache, folder }) => {
    const other = join(dirname(folder), 'elsewhere.json');
    renameSync(cache.file, other);
    symlinkSync(other, cache.file);
  },
  'a folder in its place': ({ cache }) => {
    rmSync(cache.file);
    mkdirSync(cache.file, { mode: 0o700 });
  },
  'a pipe in its place': ({ cache }) => {
    rmSync(cache.file);
    execFileSync('mkfifo', ['-m', '600', cache.file]);
  },
  'a file that is too large': ({ cache }) => writeFileSync(cache.file, ' '.repeat(2_100_000)),
  'half a file': ({ cache }) => writeFileSync(cache.file, readFileSync(cache.file).subarray(0, 100)),
  'a member twice': ({ cache }) =>
    writeFileSync(cache.file, readFileSync(cache.file, 'utf8').replace('{', '{"keys":[],')),
  'no JSON object': ({ cache }) => writeFileSync(cache.file, 'null'),
  'another format': ({ cache }) => change(cache, { format: 2 }),
  'keys that are no list': ({ cache }) => change(cache, { keys: {} }),
  'a time that is no number': ({ cache }) => change(cache, { saved_at_ms: '0' }),
  'another source': ({ cache }) => change(cache, { source: 'x' }),
  'a time in the future': ({ cache }) => change(cache, { saved_at_ms: Date.now() + 600_000 }),
};
function change({ file }: KeyCacheFile, members: object): void {
  writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), ...members }));
}
for (const [name, spoil] of Object.entries(unsafe)) {
  t.test(`K3 not used, and said once: ${name}`, async (t) => {
    const subject = await saved(t);
    t.ok(await subject.cache.load());
    spoil(subject);
    t.equal(await subject.cache.load(), undefined);
    t.equal(await subject.cache.load(), undefined);
    t.equal(subject.problems.length, 1, JSON.stringify(subject.problems));
  });
}

const asRoot = process.getuid?.() === 0;
t.test('K3 not used: a file of another user', { skip: asRoot ? false : 'needs root' }, async (t) => {
  const subject = await saved(t);
  execFileSync('chown', ['12345', subject.cache.file]);
  t.equal(await subject.cache.load(), undefined);
  t.equal(subject.problems.length, 1);
});

t.test('K3 keys of one issuer or source are not those of another', async (t) => {
  const { cache, folder, clock } = await saved(t);
  for (const changes of [
    { issuer: `${ISSUER}/` },
    { url: undefined },
    { url: 'https://evil.example/jwks' },
  ]) {
    const other = subjectIn(folder, changes, clock);
    t.equal(await other.cache.load(), undefined);
    t.strictSame(other.problems, [], 'it looks for another file');
    writeFileSync(other.cache.file, readFileSync(cache.file), { mode: 0o600 });
    t.equal(await other.cache.load(), undefined);
    t.equal(other.problems.length, 1, 'and takes no copy');
  }
});

t.test('a set that cannot be saved is said once, and the one before does not stay', async (t) => {
  const subject = await saved(t);
  chmodSync(subject.folder, 0o777);
  for (const _ of [1, 2]) {
    subject.cache.save([jwk]);
    await until(() => !readdirSafe(subject.cache.file));
  }
  t.equal(subject.problems.length, 1);
  chmodSync(subject.folder, 0o700);
  subject.problems.length = 0;
  await save(subject);
  t.ok(await subject.cache.load());
});

/** The keys that the store has, on several gateways, and what happens when the store loses, or is given, what it should not. */
import t, { type Test } from 'tap';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KeyCopyFiles } from '../../src/api-keys/key-copy-file.ts';
import { keySha256 } from '../../src/api-keys/key-text.ts';
import { MemoryApiKeyStore } from '../../src/api-keys/memory-api-key-store.ts';
import { RedisApiKeyStore } from '../../src/api-keys/redis-api-key-store.ts';
import { KeySeal } from '../../src/api-keys/signed-keys.ts';
import { systemClock } from '../../src/clock.ts';
import { until } from '../support/gateway.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import {
  accepts,
  INTEGRITY,
  joinKeys,
  PARTNERS,
  rights,
  sealsOf,
  type KeyMember,
} from '../support/stored-keys.ts';

const TEXTS = '{sallyport}:api-keys:texts';
const open = (redis: TestRedis): RedisApiKeyStore =>
  new RedisApiKeyStore({ url: redis.url, keyPrefix: 'sallyport' }, systemClock);
const knows = (member: KeyMember, id: string): boolean => member.keys.book.get(PARTNERS, id) !== undefined;
const isRevoked = (member: KeyMember, id: string): boolean =>
  member.keys.book.get(PARTNERS, id)?.end !== undefined;

/** A text of the store: Redis' reply without its length line. */
async function textAt(redis: TestRedis, id: string): Promise<string> {
  const reply = await redis.command('HGET', TEXTS, `${PARTNERS}/${id}`);
  return reply.startsWith('$-1') ? '' : reply.slice(reply.indexOf('\r\n') + 2).replace(/\r\n$/, '');
}
const writeText = (redis: TestRedis, id: string, text: string): Promise<string> =>
  redis.command('HSET', TEXTS, `${PARTNERS}/${id}`, text);

async function two(t: Test): Promise<{ redis: TestRedis; a: KeyMember; b: KeyMember }> {
  const redis = await startRedis(t, { persistent: false });
  return { redis, a: joinKeys(t, open(redis)), b: joinKeys(t, open(redis)) };
}

t.test('X3 a key made, or revoked, on one gateway is so on the others', async (t) => {
  const { a, b } = await two(t);
  const { secret, key } = await a.changes.create(PARTNERS, rights(), 'alice');
  t.equal(accepts(a, secret), true, 'at once here');
  await until(() => accepts(b, secret));
  const revoked = await b.changes.revoke(PARTNERS, key.entry.id, 'bob', 'lost');
  t.match(revoked, { changed: true, key: { end: { by: 'bob', reason: 'lost' } } });
  t.equal(accepts(b, secret), false);
  await until(() => !accepts(a, secret));
  t.match(await a.changes.revoke(PARTNERS, key.entry.id, 'carol', 'again'), {
    changed: false,
    key: { end: { by: 'bob' } },
  });
  t.equal(await a.changes.revoke(PARTNERS, 'unknown', 'carol', undefined), undefined);
  await t.rejects(a.changes.create(PARTNERS, rights({ id: key.entry.id }), 'alice'), {
    name: 'KeyChangeRefused',
  });
});

t.test('keys count as asked for once the store has responded, or the wait has ended', async (t) => {
  const held = Promise.withResolvers<void>();
  class HeldStore extends MemoryApiKeyStore {
    override async changes(position: string | undefined): ReturnType<MemoryApiKeyStore['changes']> {
      await held.promise;
      return super.changes(position);
    }
  }
  const { keys } = joinKeys(t, new HeldStore(systemClock));
  let asked = 0;
  void keys.asked.then(() => asked++);
  await new Promise(setImmediate);
  t.equal(asked, 0);
  held.resolve();
  await keys.asked;
  t.equal(keys.isCurrent, true);

  class LostStore extends MemoryApiKeyStore {
    override changes(): never {
      throw new Error('away');
    }
  }
  await joinKeys(t, new LostStore(systemClock)).keys.asked;
});

t.test('X1 the store holds digests only', async (t) => {
  const { redis, a } = await two(t);
  const { secret } = await a.changes.create(PARTNERS, rights({ note: 'for billing' }), 'alice');
  const dump = await redis.command('HGETALL', TEXTS);
  t.match(dump, keySha256(secret));
  t.notMatch(dump, secret.slice('sp_live_'.length, -6));
  t.notMatch(dump, INTEGRITY);
});

t.test('V6 X3 whatever Redis loses, gateways that run put back, tombstones too', async (t) => {
  const { redis, a, b } = await two(t);
  const kept = await a.changes.create(PARTNERS, rights({ id: 'kept' }), 'alice');
  const ended = await a.changes.create(PARTNERS, rights({ id: 'ended' }), 'alice');
  const old = await textAt(redis, 'ended');
  await a.changes.revoke(PARTNERS, 'ended', 'alice', undefined);
  await until(() => isRevoked(b, 'ended'));
  const faults: Record<string, () => Promise<unknown>> = {
    FLUSHALL: () => redis.command('FLUSHALL'),
    'kill -9, and a restart with nothing': async () => {
      await redis.kill();
      await redis.start();
    },
    'one key deleted': () => redis.command('HDEL', TEXTS, `${PARTNERS}/kept`),
    'a tombstone deleted': () => redis.command('HDEL', TEXTS, `${PARTNERS}/ended`),
    'an old state in the place of a tombstone, told as news': async () => {
      await redis.command('DEL', '{sallyport}:api-keys:counts', '{sallyport}:api-keys:order');
      await writeText(redis, 'ended', old);
    },
  };
  for (const [name, fault] of Object.entries(faults)) {
    await fault();
    await until(async () => {
      const texts = await Promise.all([textAt(redis, 'kept'), textAt(redis, 'ended')]).catch(() => []);
      return texts.length === 2 && texts[0] !== '' && (texts[1] ?? '').includes('"end"');
    });
    for (const member of [a, b]) {
      t.equal(accepts(member, kept.secret), true, name);
      t.equal(accepts(member, ended.secret), false, name);
    }
    const fresh = joinKeys(t, open(redis));
    await until(() => fresh.keys.isCurrent);
    t.strictSame(
      [accepts(fresh, kept.secret), accepts(fresh, ended.secret)],
      [true, false],
      `${name}: a new one`,
    );
    await fresh.stop();
  }
  t.ok(a.restored.length + b.restored.length > 0);
  t.strictSame([...a.ignored, ...b.ignored], [], 'all of it was genuine');
});

t.test('X1 what was not made by a gateway of the fleet is ignored and counted', async (t) => {
  const { redis, a, b } = await two(t);
  const { secret } = await a.changes.create(PARTNERS, rights({ id: 'real' }), 'alice');
  await until(() => knows(b, 'real'));
  const real = await textAt(redis, 'real');
  const sealed = (id: string, more: object): string => {
    const other = new KeySeal(['another-key-that-is-long-enough-too!']);
    const key = a.keys.book.get(PARTNERS, 'real');
    if (!key) throw new Error('no key');
    return other.seal({ ...key, ...more, entry: { ...key.entry, id } }).text;
  };
  const forged: Record<string, string> = {
    foreign: sealed('foreign', {}),
    moved: real,
    widened: real.replace('orders:read', 'orders:admin').replaceAll('"real"', '"widened"'),
    unsigned: real.slice(44),
    empty: ' ',
    long: 'x'.repeat(100_000),
  };
  for (const [id, text] of Object.entries(forged)) await writeText(redis, id, text);
  const fresh = joinKeys(t, open(redis));
  await until(() => fresh.keys.isCurrent);
  t.equal(accepts(fresh, secret), true);
  for (const id of Object.keys(forged)) t.equal(knows(fresh, id), false, id);
  t.equal(fresh.ignored.length, Object.keys(forged).length);
  // Over its own entry: the gateways that know it put it back.
  await writeText(redis, 'real', real.replace('orders:read', 'orders:admin'));
  await redis.command('DEL', '{sallyport}:api-keys:counts');
  await until(async () => (await textAt(redis, 'real')) === real);
  t.strictSame(a.keys.book.get(PARTNERS, 'real')?.entry.scopes, ['orders:read']);
});

t.test('V6 a revoked key stays revoked, whichever state comes with which version', async (t) => {
  const store = new MemoryApiKeyStore(systemClock);
  const member = joinKeys(t, store);
  await member.changes.create(PARTNERS, rights({ id: 'one' }), 'alice');
  const before = member.keys.book.get(PARTNERS, 'one');
  await member.changes.revoke(PARTNERS, 'one', 'alice', undefined);
  if (!before) throw new Error('no key');
  const later = { ...before, version: { timeMs: Date.now() + 1e9, counter: 0 } };
  const { name, text } = member.keys.book.seal(later);
  let current: string | undefined;
  for await (const batch of store.snapshot()) current = batch.find((each) => each.name === name)?.text;
  await store.replace([{ name, before: current, text }]);
  await member.keys.sync();
  t.equal(isRevoked(member, 'one'), true);
  await until(async () => {
    let now: string | undefined;
    for await (const batch of store.snapshot()) now = batch.find((each) => each.name === name)?.text;
    return now === current;
  });
});

t.test('a rotated key has its rights in a new one, and expires after the overlap', async (t) => {
  const member = joinKeys(t, new MemoryApiKeyStore(systemClock));
  const expires = Math.floor(Date.now() / 1000) + 90 * 86_400;
  const first = await member.changes.create(
    PARTNERS,
    rights({ id: 'one', claims: { tier: 'gold' }, expires, note: 'for billing' }),
    'alice',
  );
  const known: string[] = [];
  const rotate = (id: string) =>
    member.changes.rotate(
      PARTNERS,
      id,
      { overlap: 3600, expires: undefined, by: 'bob' },
      async ({ entry }) => {
        known.push(entry.id);
        t.equal(
          member.keys.book.get(PARTNERS, 'one')?.replacedBy,
          undefined,
          'nothing ends before all know it',
        );
      },
    );
  const second = await rotate('one');
  if (!second) throw new Error('not rotated');
  t.strictSame([accepts(member, first.secret), accepts(member, second.secret)], [true, true]);
  t.not(second.secret, first.secret);
  const { id, sha256: _sha256, created, ...rest } = second.key.entry;
  const { id: _, sha256: __, created: ___, expires: ____, ...given } = first.key.entry;
  t.match(rest, given);
  t.equal((rest.expires ?? 0) - (created ?? 0), expires - (first.key.entry.created ?? 0), 'it lives as long');
  t.strictSame(known, [id]);
  t.equal(second.before.replacedBy, id);
  const left = (second.before.entry.expires ?? 0) - Date.now() / 1000;
  t.ok(left > 3590 && left <= 3600);
  t.equal(second.before.keptUntil, expires, 'its last state is kept as long as an earlier one could count');
  await t.rejects(rotate('one'), { name: 'KeyChangeRefused' }, 'once');
  t.equal(await rotate('unknown'), undefined);
  await member.changes.revoke(PARTNERS, id, 'bob', undefined);
  await t.rejects(rotate(id), { name: 'KeyChangeRefused' });
});

t.test('a rotation that fails leaves no new key, and the one before it as it was', async (t) => {
  const member = joinKeys(t, new MemoryApiKeyStore(systemClock));
  const first = await member.changes.create(PARTNERS, rights({ id: 'one' }), 'alice');
  const failing = member.changes.rotate(
    PARTNERS,
    'one',
    { overlap: 0, expires: undefined, by: 'bob' },
    async () => {
      throw new Error('lost');
    },
  );
  await t.rejects(failing, { message: 'lost' });
  t.equal(accepts(member, first.secret), true);
  t.equal([...member.keys.book.keys()].filter(({ end }) => end === undefined).length, 1);
});

t.test('the integrity key changes without a gap, and what it signed is signed again', async (t) => {
  const redis = await startRedis(t, { persistent: false });
  const [one, other] = [INTEGRITY, 'the-next-integrity-key-of-the-tests-1'];
  const a = joinKeys(t, open(redis), { seals: sealsOf(one, other) });
  const { secret } = await a.changes.create(PARTNERS, rights({ id: 'one' }), 'alice');
  const b = joinKeys(t, open(redis), { seals: sealsOf(other, one) });
  await until(() => accepts(b, secret));
  const c = joinKeys(t, open(redis), { seals: sealsOf(other) });
  await until(() => c.keys.isCurrent);
  await until(() => accepts(c, secret));
  t.strictSame([...a.ignored, ...b.ignored], []);
  a.keys.use(sealsOf('a-key-that-has-signed-nothing-in-here-1'));
  t.equal(accepts(a, secret), false, 'what no key of the file has signed counts no more');
  t.ok(a.ignored.length > 0);
});

t.test('X1 a copy on disk has digests only, is private, and knows what the store does not say', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-keys-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const failures: string[] = [];
  const copyIn = (): KeyCopyFiles => {
    const copy = new KeyCopyFiles({
      clock: systemClock,
      failed: (_, problem) => void failures.push(problem),
    });
    copy.use(new Map([[PARTNERS, folder]]));
    return copy;
  };
  const redis = await startRedis(t, { persistent: false });
  const file = join(folder, `${PARTNERS}-api-keys.txt`);
  const a = joinKeys(t, open(redis), { copy: copyIn() });
  const kept = await a.changes.create(PARTNERS, rights({ id: 'kept' }), 'alice');
  const ended = await a.changes.create(PARTNERS, rights({ id: 'ended' }), 'alice');
  const old = await textAt(redis, 'ended');
  await a.changes.revoke(PARTNERS, 'ended', 'alice', undefined);
  await until(() => {
    try {
      return readFileSync(file, 'utf8').includes('"end"');
    } catch {
      return false;
    }
  });
  await a.stop();
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.notMatch(readFileSync(file, 'utf8'), kept.secret.slice(8, -6));
  await redis.kill();
  const away = joinKeys(t, open(redis), { copy: copyIn() });
  await until(() => accepts(away, kept.secret));
  t.equal(accepts(away, ended.secret), false, 'a tombstone holds');
  t.equal(away.keys.isCurrent, false, 'what it does not know may be good');
  await redis.start();
  await writeText(redis, 'ended', old);
  await until(
    async () => (await textAt(redis, 'kept')) !== '' && (await textAt(redis, 'ended')).includes('"end"'),
  );
  t.equal(away.keys.isCurrent, true);
  await away.stop();
  writeFileSync(file, readFileSync(file, 'utf8').replace('orders:read', 'orders:admin'));
  const forged = joinKeys(t, new MemoryApiKeyStore(systemClock), { copy: copyIn() });
  await until(() => forged.ignored.length > 0);
  t.equal(accepts(forged, kept.secret), false, 'a forged copy counts for nothing');
  t.strictSame(failures, []);
});

t.test('10,000 keys: each is found, and a look for changes reads only those', async (t) => {
  const store = new MemoryApiKeyStore(systemClock);
  const seal = new KeySeal([INTEGRITY]);
  const text = (index: number) =>
    seal.seal({
      issuer: PARTNERS,
      entry: {
        id: `k${index}`,
        sha256: keySha256(`secret ${index}`),
        ...{ subject: `s${index}`, client: undefined, scopes: [], claims: {}, note: undefined },
        ...{ created: 1, expires: undefined },
      },
      ...{ createdBy: 'alice', end: undefined, replacedBy: undefined, keptUntil: undefined },
      version: { timeMs: 1, counter: index },
    });
  await store.replace(Array.from({ length: 10_000 }, (_, index) => ({ ...text(index), before: undefined })));
  let snapshots = 0;
  const snapshot = store.snapshot.bind(store);
  store.snapshot = () => {
    snapshots++;
    return snapshot();
  };
  const member = joinKeys(t, store);
  await until(() => member.keys.isCurrent);
  t.equal(
    [0, 4_999, 9_999].every((index) => accepts(member, `secret ${index}`)),
    true,
  );
  t.equal(accepts(member, 'secret 10000'), false);
  const { secret } = await member.changes.create(PARTNERS, rights(), 'alice');
  await member.keys.sync();
  t.equal(accepts(member, secret), true);
  t.equal(snapshots, 1, 'everything was read once');
});

t.test(
  'a key that has expired in every state is forgotten, and one that once had no expiry is kept',
  async (t) => {
    const store = new MemoryApiKeyStore(systemClock);
    const seal = new KeySeal([INTEGRITY]);
    const base = {
      issuer: PARTNERS,
      ...{ createdBy: 'alice', end: undefined, replacedBy: undefined, version: { timeMs: 1, counter: 0 } },
    };
    const entry = (id: string) => ({
      id,
      sha256: keySha256(id),
      ...{ subject: 's', client: undefined, scopes: [], claims: {}, note: undefined, created: 1, expires: 2 },
    });
    await store.replace([
      { ...seal.seal({ ...base, entry: entry('over'), keptUntil: 2 }), before: undefined },
      { ...seal.seal({ ...base, entry: entry('rotated'), keptUntil: undefined }), before: undefined },
    ]);
    const member = joinKeys(t, store);
    await until(() => member.keys.isCurrent);
    t.strictSame([knows(member, 'over'), knows(member, 'rotated')], [false, true]);
    const names: string[] = [];
    for await (const batch of store.snapshot()) names.push(...batch.map(({ name }) => name));
    t.strictSame(names, [`${PARTNERS}/rotated`]);
  },
);

t.test('X3 a store whose clock runs ahead drops no tombstone', async (t) => {
  const store = new MemoryApiKeyStore(systemClock);
  const member = joinKeys(t, store);
  const expires = Math.floor(Date.now() / 1000) + 3600;
  await member.changes.create(PARTNERS, rights({ id: 'one', expires }), 'alice');
  await member.changes.revoke(PARTNERS, 'one', 'alice', undefined);
  store.nowMs = async () => Date.now() + 86_400_000;
  member.keys.use(sealsOf());
  await member.keys.sync();
  t.equal(isRevoked(member, 'one'), true);
});

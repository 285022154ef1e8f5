/** The documents say what the code does: the reference is generated and complete. */
import t from 'tap';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import {
  configurationRows,
  configurationSections,
  sectionOf,
  withSections,
} from '../docs/generate-reference.ts';
import { SECTIONS } from '../docs/reference-sections.ts';
import { parseConfiguration } from '../src/config/load.ts';
import { isRaw } from '../src/config/raw-document.ts';
import { namedFiles } from '../src/config/named-files.ts';
import { AUTH_REASONS } from '../src/errors.ts';
import { certificateAuthority, noOpenssl } from './support/certificates.ts';
import { send } from './support/client.ts';
import { startGateway } from './support/gateway.ts';
import { temporaryFolder } from './support/process.ts';
import { startUpstream } from './support/upstream.ts';

const root = new URL('..', import.meta.url).pathname;
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

/** Two documents as one: maps key by key, lists one after the other. */
function merged(a: unknown, b: unknown): unknown {
  if (Array.isArray(a) && Array.isArray(b)) return [...(a as unknown[]), ...(b as unknown[])];
  if (!isRaw(a) || !isRaw(b)) return b;
  const both = Object.keys(b).map((key) => [key, key in a ? merged(a[key], b[key]) : b[key]]);
  return { ...a, ...(Object.fromEntries(both) as object) };
}

/** Every path in a document as the reference writes it, with `*` for a name that its author has chosen. */
function pathsOf(value: unknown, path: string): string[] {
  if (Array.isArray(value)) return [path, ...value.flatMap((item) => pathsOf(item, `${path}[]`))];
  if (!isRaw(value)) return [path];
  const isNamed = path === 'issuers' || path === 'signals' || path === 'upstreams';
  const below = Object.entries(value).flatMap(([key, member]) =>
    pathsOf(member, path === '' ? key : `${path}.${isNamed ? '*' : key}`),
  );
  return [path, ...below];
}

t.test('the reference is current: npm run reference changes nothing', async (t) => {
  const text = read('docs/reference.md');
  t.equal(withSections(text), text);
});

t.test('every configuration key is in one section of the reference, and no section is empty', async (t) => {
  const rows = configurationRows();
  t.ok(rows.length > 150);
  const lines = configurationSections().split('\n');
  for (const { text } of rows) t.equal(lines.filter((line) => line === text).length, 1, text);
  const used = new Set(rows.map(({ path }) => sectionOf(path)));
  t.strictSame(
    SECTIONS.filter((section) => !used.has(section)).map(({ title }) => title),
    [],
  );
  t.throws(() => sectionOf('a_key_without_a_section'), /is in no section/);
});

t.test('the examples of the reference are one valid configuration', { skip: noOpenssl }, async (t) => {
  const folder = temporaryFolder(t);
  const document = SECTIONS.map(({ example }) => parse(example) as unknown).reduce(merged);
  const authority = certificateAuthority(folder, 'internal-ca');
  for (const name of ['api', 'other']) authority.issue(name, 'DNS:localhost');
  writeFileSync(join(folder, 'clients-ca.crt'), readFileSync(authority.ca));
  for (const file of namedFiles(document, folder))
    if (!existsSync(file)) writeFileSync(file, 'a secret of the tests, long enough for every key');
  t.match(parseConfiguration(JSON.stringify(document), 'reference.md', folder, {}), { name: 'edge-gateway' });
});

t.test('each example of the reference sets keys of its section', async (t) => {
  for (const { title, keys, example } of SECTIONS) {
    const paths = pathsOf(parse(example), '');
    t.ok(
      keys.some((key) => paths.includes(key.replace(/\.NAME/g, '.*'))),
      title,
    );
  }
});

t.test('every reason, code and metric is in the reference', async (t) => {
  const reference = read('docs/reference.md');
  for (const reason of AUTH_REASONS) t.match(reference, new RegExp(`\\b${reason}\\b`));
  const errors = read('src/errors.ts') + read('src/auth-errors.ts');
  const codes = [...errors.matchAll(/\b(?:fixed|upstreamError)\(\s*\d+,\s*'(\w+)'/g)].map(
    ([, code = '']) => code,
  );
  t.ok(codes.length > 35);
  for (const code of codes.filter((each) => each !== 'internal_error'))
    t.match(reference, `\`${code}\``, code);
  const upstream = await startUpstream(t);
  const gateway = await startGateway(t, {
    routes: [{ name: 'a', match: {}, upstream: 'u', auth: { mode: 'none' } }],
    upstreams: { u: { targets: [upstream.url] } },
  });
  await send(gateway.url, '/');
  const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  const names = [...metrics.matchAll(/^# TYPE (sallyport_\w+) /gm)].map(([, name = '']) => name);
  t.ok(names.length >= 18);
  for (const name of names) t.ok(reference.includes(`\`${name}`), name);
});

t.test('what is committed names no private host and no path of a machine', async (t) => {
  const lock = read('package-lock.json');
  const hosts = [...lock.matchAll(/"resolved": "https?:\/\/([^/"]+)/g)].map(([, host]) => host);
  t.strictSame(
    hosts.filter((host) => host !== 'registry.npmjs.org'),
    [],
  );
  const files = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' }).trim().split('\n');
  t.ok(files.length > 50);
});

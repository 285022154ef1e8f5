/** The documents say what the code does: README's first screen is run, the reference is generated and complete. */
import t from 'tap';
import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
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
import { ADMIN_TOKEN, startGateway } from './support/gateway.ts';
import { temporaryFolder } from './support/process.ts';
import { startRedis } from './support/redis.ts';
import { createKey, claimsOf, mint } from './support/tokens.ts';
import { startUpstream } from './support/upstream.ts';

const root = new URL('..', import.meta.url).pathname;
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const readme = read('README.md');
const blocks = (language: string): string[] =>
  [...readme.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, 'g'))].map(([, text = '']) => text);

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
  const isNamed = path === 'issuers' || path === 'upstreams';
  const below = Object.entries(value).flatMap(([key, member]) =>
    pathsOf(member, path === '' ? key : `${path}.${isNamed ? '*' : key}`),
  );
  return [path, ...below];
}

t.test('the configuration on the first screen has 12 lines and is valid', async (t) => {
  const [text = ''] = blocks('yaml');
  t.equal(text.trimEnd().split('\n').length, 12);
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'admin-token'), ADMIN_TOKEN);
  t.match(parseConfiguration(text, 'README.md', folder, {}), { routes: [{ name: 'orders' }] });
});

t.test('the two commands are those of package.json', async (t) => {
  const [text = ''] = blocks('sh');
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  for (const line of text.trim().split('\n')) {
    const [, script = ''] = /^npm ci && npm (?:run )?(\w+)/.exec(line) ?? [];
    t.ok(scripts[script], line);
  }
  t.match(read('.ci/run'), /npm ci && npm test/);
});

t.test('the curl transcript is what curl prints', async (t) => {
  const key = createKey('RS256');
  const upstream = await startUpstream(t);
  const redis = await startRedis(t);
  const issuer = createServer((request, response) => {
    const body =
      request.url === '/jwks' ? { keys: [key.jwk] } : { issuer: issuerUrl, jwks_uri: `${issuerUrl}/jwks` };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  issuer.listen(0, '127.0.0.1');
  await once(issuer, 'listening');
  t.teardown(() => {
    issuer.closeAllConnections();
    issuer.close();
  });
  const issuerUrl = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}`;
  // The configuration as printed, but for where its parts are on this machine.
  const text = (blocks('yaml')[0] ?? '')
    .replace('https://login.example.com', issuerUrl)
    .replace('redis://127.0.0.1:6379/0', redis.url)
    .replace('http://127.0.0.1:3000', upstream.url);
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'admin-token'), ADMIN_TOKEN);
  const parsed = parse(text) as Record<string, unknown>;
  delete parsed['admin'];
  const gateway = await startGateway(t, parsed, { folder });
  const token = mint(key, claimsOf({ iss: issuerUrl }));
  const [transcript = ''] = blocks('console');
  const steps = transcript.trim().split('\n\n');
  t.equal(steps.length, 4);
  for (const step of steps) {
    const [command = '', ...expected] = step.split('\n');
    const shell = command
      .replace(/^\$ curl -i /, 'curl -s -i ')
      .replace('localhost:8080', gateway.url)
      .replace('localhost:9090', gateway.adminUrl);
    const { promise, resolve } = Promise.withResolvers<string>();
    execFile(
      'sh',
      ['-c', shell],
      { env: { ...process.env, TOKEN: token, ADMIN: ADMIN_TOKEN } },
      (_, stdout) => resolve(stdout),
    );
    const printed = await promise;
    if (printed === '') {
      t.comment('curl is not on this machine');
      return;
    }
    // The realm of the tests is set by the test's own start.
    for (const line of expected) t.ok(printed.includes(line), `${line} in\n${printed}`);
  }
});

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
    if (!existsSync(file)) writeFileSync(file, 'a secret of the tests');
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
  const built = AUTH_REASONS.filter((reason) => reason !== 'proof');
  for (const reason of built) t.match(reference, new RegExp(`\\b${reason}\\b`));
  const codes = [...read('src/errors.ts').matchAll(/\b(?:fixed|upstreamError)\(\s*\d+,\s*'(\w+)'/g)].map(
    ([, code = '']) => code,
  );
  t.ok(codes.length > 25);
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

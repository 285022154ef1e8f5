/** Issuers of API keys and files of keys: what is refused, what `check` warns of, and how the messages read. Rules X1, X2. */
import t from 'tap';
import { makeKey } from '../../src/api-keys/key-text.ts';
import { readKeys, readingKeys } from '../../src/config/api-key-file.ts';
import { RESERVED_CLAIMS } from '../../src/config/api-key-entry.ts';
import { ConfigurationError, parseConfiguration } from '../../src/config/load.ts';
import { configurationWarnings } from '../../src/config/warnings.ts';
import { keyFile, newKey } from '../support/api-keys.ts';

const login = { issuer: 'https://login.example.com', discovery: true, audiences: ['a'] };
const route = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  name: 'all',
  match: {},
  upstream: 'u',
  auth: { issuers: ['partners'] },
  ...more,
});
const documentOf = (
  partners: Record<string, unknown>,
  { issuers = {}, routes = [route()], ...more }: Record<string, unknown> = {},
): string =>
  JSON.stringify({
    issuers: { partners: { api_keys: { file: 'keys.json' }, ...partners }, ...(issuers as object) },
    routes,
    upstreams: { u: { targets: ['http://u:1'] } },
    ...more,
  });

function problemsOf(...input: Parameters<typeof documentOf>): string[] {
  try {
    parseConfiguration(documentOf(...input), 'f', '/tmp', {});
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError)
      return error.problems.map((text) => text.replace(/^f:\d+:\d+: /, ''));
    throw error;
  }
}
const header = (name: string) => ({ api_keys: { file: 'keys.json', header: name } });

t.test('an issuer of API keys has its keys in one place, and nothing of other issuers', async (t) => {
  t.strictSame(problemsOf({}), []);
  t.strictSame(problemsOf({ claim_names: { tenant: 'org' }, ...header('X-API-Key') }), []);
  t.match(problemsOf({ api_keys: {} }), [
    /^issuers\.partners\.api_keys: says not where the keys are; add file/,
  ]);
  t.match(problemsOf({ api_keys: { file: 'a', store: true, integrity_key_file: 'b' } }), [
    /^issuers\.partners\.api_keys\.store: file and store exclude each other; keep one/,
  ]);
  t.match(problemsOf({ api_keys: { store: true } }), [/has no integrity_key_file, .*; add it/]);
  t.match(problemsOf({ api_keys: { file: 'a', integrity_key_file: 'b' } }), [/has no meaning without store/]);
  for (const [key, value] of Object.entries({
    issuer: 'https://login.example.com',
    discovery: true,
    introspection: { url: 'https://a', auth_method: 'none' },
    audiences: ['a'],
    claims: { a: 'b' },
    clock_skew: '5s',
    token_prefix: 'x',
    required_claims: ['a'],
  }))
    t.match(problemsOf({ [key]: value }), [/has no meaning beside api_keys; remove one of them/], key);
  t.match(problemsOf({ claim_names: { subject: 'a' } }), [
    /^issuers\.partners\.claim_names\.subject: has no meaning beside api_keys/,
  ]);
});

t.test('the name of an issuer of API keys is no iss of the configuration', async (t) => {
  const other = (issuer: string) => ({
    issuers: { login: { ...login, discovery: undefined, jwks_file: 'k', issuer } },
  });
  t.match(problemsOf({}, other('partners')), [
    /^issuers\.login\.issuer: is the name of issuers\.partners too/,
  ]);
  t.match(problemsOf({}, { name: 'partners' }), [
    /^issuers\.partners: is the name of the gateway too, which is iss of its assertions; give this issuer another name/,
  ]);
  t.strictSame(problemsOf({}, other('https://partners')), []);
});

t.test('tokens of no other issuer may begin like API keys', async (t) => {
  const opaque = (token_prefix: string) => ({
    issuers: { opaque: { introspection: { url: 'https://a', auth_method: 'none' }, token_prefix } },
  });
  t.match(problemsOf({}, opaque('sp_live_')), [/^issuers\.opaque\.token_prefix: begins with sp_live_/]);
  t.strictSame(problemsOf({}, opaque('sp_')), []);
});

t.test('X2 a header for keys is none of HTTP, of the gateway or of identity', async (t) => {
  for (const name of [
    ...[
      'Authorization',
      'authorization',
      'Proxy-Authorization',
      'Proxy_Authorization',
      'Host',
      'Cookie',
      'TE',
    ],
    ...[
      'Connection',
      'Keep-Alive',
      'Upgrade',
      'Via',
      'Content-Length',
      'Transfer_Encoding',
      'DPoP',
      'Expect',
    ],
    ...['X-Forwarded-For', 'Forwarded', 'X-Real-IP', 'X-Request-ID', 'Traceparent', 'Sec-WebSocket-Protocol'],
    ...['Client-Cert', 'Accept', 'Accept-Encoding', 'If-Match', 'Range', 'Origin', 'Referer', 'User-Agent'],
    ...['Access-Control-Request-Method', 'grpc-timeout', 'X-Envoy-Auth-Headers-To-Remove', 'HTTP2-Settings'],
  ])
    t.match(
      problemsOf(header(name)),
      [/api_keys\.header: this header belongs to HTTP or to the gateway/],
      name,
    );
  t.match(problemsOf(header(':path')), [/api_keys\.header: must be a header name/]);
  for (const name of ['X-User-Id', 'x_user_id', 'X.Scopes'])
    t.match(problemsOf(header(name)), [/is the identity header X-.* too; choose another name/], name);
  t.match(
    problemsOf(header('X-Team'), {
      routes: [route({ identity: { headers: { X_Team: null } } })],
    }),
    [/is the identity header X_Team too/],
  );
  t.match(problemsOf(header('X-Identity-Assertion'), { identity: { assertion: { key_file: 'k' } } }), [
    /is the identity header X-Identity-Assertion too/,
  ]);
  const two = (name: string) => ({ issuers: { internal: header(name) } });
  t.match(problemsOf(header('X-API-Key'), two('X_API_Key')), [
    /^issuers\.internal\.api_keys\.header: is another spelling of X-API-Key \(issuers\.partners\)/,
  ]);
  t.strictSame(problemsOf(header('X-API-Key'), two('x-api-key')), [], 'two issuers may share it');
  t.match(
    problemsOf(header('X-API-Key'), { routes: [route({ match: { headers: { 'x-api-key': 'a' } } })] }),
    [/match\.headers\.x-api-key: holds API keys/],
  );
});

t.test('a route whose rules no key can keep accepts none', async (t) => {
  const auth = (more: Record<string, unknown>, issuers = ['partners']) => ({
    issuers: { login },
    routes: [route({ auth: { issuers, ...more } })],
  });
  t.match(
    problemsOf({}, auth({ sender_constrained: 'required' })).at(-1),
    /^routes\[0\]\.auth\.sender_constrained: required takes bound tokens alone.*; remove partners from auth\.issuers/,
  );
  t.notMatch(problemsOf({}, auth({ sender_constrained: 'optional' })).join(), 'API key');
  t.match(problemsOf({}, auth({ acr: ['gold'] })), [/auth\.acr: asks how a user has logged in/]);
  t.match(problemsOf({}, auth({ max_auth_age: '5m' })), [/auth\.max_auth_age: asks how a user/]);
  t.match(problemsOf({}, auth({ fresh: true })), [/auth\.fresh: has no meaning for API keys/]);
  t.match(problemsOf({}, { routes: [route({ auth: {} })] }), [
    /no issuer can verify one; add .*those of API keys/,
  ]);
  const admin = { issuer: 'partners', audience: 'admin' };
  t.match(
    problemsOf({}, { admin: { auth: admin } }).join('\n'),
    /^admin\.auth\.issuer: "partners" does not issue JWTs/m,
  );
});

t.test(
  'keys for a resource that pass elsewhere, and files that others can write, are warnings',
  async (t) => {
    const { folder, file } = keyFile(t, []);
    const warningsOf = (routes: readonly object[]): string[] => {
      const configuration = parseConfiguration(documentOf({}, { routes }), 'f', folder, {});
      return configurationWarnings({ configuration, folder, file: 'f' }).filter((line) =>
        /API|keys/.test(line),
      );
    };
    const mcp = route({
      name: 'mcp',
      match: { path_prefix: '/mcp' },
      public_url: 'https://a.example/mcp',
      resource: { authorization_servers: ['https://login.example.com'] },
    });
    t.strictSame(warningsOf([mcp]), []);
    t.match(warningsOf([mcp, route()]), [
      /^routes: mcp has a resource, but API keys of partners are for no audience.*give this resource an issuer/,
    ]);
    const { chmodSync } = await import('node:fs');
    chmodSync(file, 0o666);
    t.match(warningsOf([route()]), [
      /^issuers\.partners\.api_keys\.file: other users can write to .*keys\.json/,
    ]);
  },
);

const { entry } = newKey('one', { subject: 'team' });
const NOW = 1_800_000_000;
const linesOf = (text: string): readonly string[] => {
  try {
    readKeys(text, 'keys.yaml', NOW);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
};

t.test('YAML and JSON say the same', async (t) => {
  const sha256 = entry['sha256'] as string;
  const yaml = `# our keys\n---\n- id: one\n  sha256: ${sha256}\n  subject: team\n  scopes: [a, b]\n  claims: { plan: gold, seats: [1, 2] }\n  expires: 2027-01-31T01:00:00+01:00\n  created: 1790000000\n# the second\n- id: two\n  sha256: ${'b'.repeat(64)}\n  client: backup\n`;
  const wanted = [
    {
      ...{ id: 'one', sha256, subject: 'team', client: undefined, scopes: ['a', 'b'], note: undefined },
      ...{ claims: { plan: 'gold', seats: [1, 2] }, expires: 1_801_353_600, created: 1_790_000_000 },
    },
    {
      ...{ id: 'two', sha256: 'b'.repeat(64), subject: undefined, client: 'backup', scopes: [], claims: {} },
      ...{ expires: undefined, created: undefined, note: undefined },
    },
  ];
  t.strictSame(readKeys(yaml, 'f', NOW), wanted);
  t.strictSame(readKeys(yaml.replaceAll('\n', '\r\n'), 'f', NOW), wanted);
  t.strictSame(readKeys(yaml.replace(/^(?!#|---)/gm, '  '), 'f', NOW), wanted, 'an indented list');
  t.strictSame(readKeys(JSON.stringify(wanted), 'f', NOW), wanted);
  t.strictSame(readKeys('[]', 'f', NOW), []);
});

t.test('a byte order mark in front of a file of keys is no part of it', async (t) => {
  const sha256 = '0'.repeat(64);
  for (const text of [
    `- { id: a, sha256: '${sha256}', subject: s }`,
    JSON.stringify([{ id: 'a', sha256, subject: 's' }]),
  ])
    t.match(readKeys(`\uFEFF${text}\r\n`, 'f', 1_800_000_000), [{ id: 'a', subject: 's' }], text);
});

t.test('each problem of a file has its line and one remedy, in YAML and in JSON', async (t) => {
  const good = `- id: one\n  sha256: ${String(entry['sha256'])}\n  subject: team\n`;
  const other = (more: string, id = 'two'): string =>
    `${good}- id: ${id}\n  sha256: ${'a'.repeat(64)}\n  subject: team\n${more}`;
  for (const [text, line] of [
    ['', 'keys.yaml:1:1: the file is empty; write [] where there are no keys'],
    [other('  expire: 1\n').replace(/^/gm, ' '), 'keys.yaml:7:4: expire: unknown key; did you mean expires?'],
    ['[*x]', /^keys\.yaml:1:1: has an alias/],
    ['keys: []', /^keys\.yaml:1:1: the file is no list of keys; write \[/],
    [other('  expire: 1\n'), 'keys.yaml:7:3: expire: unknown key; did you mean expires?'],
    [other('  expires: tomorrow\n'), /^keys\.yaml:7:12: expires: must be a date with time and zone/],
    [other('  expires: 2027-01-31\n'), /^keys\.yaml:7:12: .*must be a date with time and zone/],
    [other('  scopes: a\n'), /^keys\.yaml:7:11: scopes: must be a list, and is a text/],
    [other('  claims: { plan: gold, sub: me }\n'), /^keys\.yaml:7:30: claims\.sub: a key may not claim sub/],
    [other('  created: 1900000000\n'), /^keys\.yaml:4:3: two: created is in the future; correct it/],
    [other('  created: 1790000000\n  expires: 1780000000\n'), /^keys\.yaml:8:12: .*is not after created/],
    [other('', 'one'), /^keys\.yaml:4:3: has the id of the entry in line 1; each has its own/],
    [other('  note: [\n'), /^keys\.yaml:\d+:\d+: .*; correct the YAML here/],
    [other('  note: *x\n'), /^keys\.yaml:4:1: has an alias/],
    [good + good.replace('one', 'two'), /^keys\.yaml:4:3: has the sha256 of the entry in line 1/],
    [
      good.replace('  subject: team\n', ''),
      /^keys\.yaml:1:3: says not whose key it is; add subject or client/,
    ],
    [
      good.replace(/sha256: .*/, 'sha256: abc'),
      /^keys\.yaml:2:11: sha256: must be the SHA-256 of the whole key/,
    ],
    [
      JSON.stringify([entry, { ...entry, id: 'two', sha256: 'x' }], undefined, 1),
      /^keys\.yaml:9:13: sha256: must be the SHA-256/,
    ],
    [`[${JSON.stringify(entry)},]`, []],
    [`[${JSON.stringify(entry)}`, /^keys\.yaml:1:\d+: .*; correct it, or write JSON/],
  ] as const) {
    const found = linesOf(text);
    t.match(found, Array.isArray(line) ? [] : [line], text.slice(-40));
    t.equal(found.length, Array.isArray(line) ? 0 : 1);
  }
});

t.test('X1 a key in the place of its digest is refused, and is in no message', async (t) => {
  const key = makeKey();
  const lines = linesOf(JSON.stringify([{ ...entry, sha256: key }]));
  t.match(lines, [/is the key itself, .*; make a new key, and write its SHA-256/]);
  t.notMatch(lines.join(), key.slice(8, 30));
});

t.test('X1 no key claims what the gateway decides', async (t) => {
  for (const name of ['iss', 'sub', 'client_id', 'scope', 'exp', 'cnf', 'act', 'nbf', 'iat', 'jti', 'aud']) {
    t.ok(RESERVED_CLAIMS.has(name), name);
    t.match(linesOf(JSON.stringify([{ ...entry, claims: { [name]: 'x' } }])), [
      new RegExp(`claims\\.${name}: a key may not claim ${name}`),
    ]);
  }
});

t.test('many problems are few lines, and a long list in YAML is read in steps', async (t) => {
  const bad = Array.from({ length: 100 }, (_, index) => `- id: k${index}\n`).join('');
  t.equal(linesOf(bad).length, 21);
  t.match(linesOf(bad).at(-1), /there are \d+ more problems/);
  const many = Array.from(
    { length: 200 },
    (_, index) =>
      `- id: k${index}\n  subject: s\n  sha256: ${index.toString(16).padStart(4, '0').padStart(64, 'c')}\n`,
  ).join('');
  const reading = readingKeys(many, 'f', NOW);
  let steps = 0;
  while (reading.next().done !== true) steps++;
  t.equal(steps, 4);
});

/**
 * A tenant in the path and a tenant in the token: whatever spelling is sent, an upstream that sees tenant X was only reached
 * with a token of tenant X. Rules C1, C9, C10, C25, C26.
 */
import t from 'tap';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway } from '../support/gateway.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey('ES256');
const upstream = await startUpstream(t);
const CORS = { cors: { origins: ['https://app.example'], methods: ['GET'] } };
const auth = { claims: { tenant: { path: 'tenant' } } };
const LENIENT = { paths: { allow: ['encoded_slash', 'empty_segments', 'double_encoding'] } };

const gateway = await startGateway(t, {
  listeners: [
    { host: '127.0.0.1', port: 0 },
    { host: '127.0.0.1', port: 0, serve: 'decisions', dialect: 'original', trusted_peers: ['127.0.0.1'] },
  ],
  issuers: { login: loginIssuer(key) },
  routes: [
    { name: 'orders', match: { path: '/tenants/{tenant}/orders' }, upstream: 'u', auth, ...CORS },
    { name: 'files', match: { path_prefix: '/files/{tenant}' }, upstream: 'u', auth },
    {
      name: 'stripped',
      match: { path_prefix: '/api/tenants/{tenant}' },
      upstream: 'u',
      auth,
      rewrite: { strip_prefix: '/api', add_prefix: '/v1' },
    },
    {
      name: 'ways',
      match: { path: '/ways/{tenant}' },
      upstream: 'u',
      auth: { any_of: [{ scopes: ['support'] }, { claims: { tenant: { path: 'tenant' } } }] },
    },
    {
      name: 'maybe',
      match: { path: '/maybe/{tenant}' },
      upstream: 'u',
      auth: { mode: 'optional', ...auth },
    },
    // What an attacker would rather be served by. It tells no tenants apart.
    { name: 'open', match: { path_prefix: '/open' }, upstream: 'u', ...LENIENT },
  ],
  upstreams: { u: { targets: [upstream.url] } },
});
const tokenOf = (tenant: unknown): string => mint(key, claimsOf({ tenant, scope: undefined }));

interface Played {
  readonly status: number;
  readonly code: string | undefined;
  /** What the upstream saw. */
  readonly url: string | undefined;
}

async function play(path: string, tenant: unknown): Promise<Played> {
  const before = upstream.seen.length;
  const { status, problem } = await send(gateway.url, path, { token: tokenOf(tenant) });
  return { status, code: problem.code, url: upstream.seen[before]?.url };
}

t.test('C10 the path of a tenant is reached with its own token, byte for byte', async (t) => {
  const cases: [tenant: unknown, path: string, url: string][] = [
    ['acme', '/tenants/acme/orders?a=%2F;b', '/tenants/acme/orders?a=%2F;b'],
    [['globex', 'acme'], '/tenants/acme/orders', '/tenants/acme/orders'],
    [42, '/tenants/42/orders', '/tenants/42/orders'],
    ['a b', '/tenants/a%20b/orders', '/tenants/a%20b/orders'],
    ['ü', '/tenants/%C3%BC/orders', '/tenants/%C3%BC/orders'],
    ['a@b.example', '/tenants/a%40b.example/orders', '/tenants/a%40b.example/orders'],
    ['acme', '/files/acme', '/files/acme'],
    ['acme', '/files/acme/', '/files/acme/'],
    ['acme', '/files/acme/globex/%20x', '/files/acme/globex/%20x'],
    ['acme', '/api/tenants/acme/orders', '/v1/tenants/acme/orders'],
    ['a b', '/api/tenants/a%20b', '/v1/tenants/a%20b'],
    ['acme', '/ways/acme', '/ways/acme'],
    ['acme', '/maybe/acme', '/maybe/acme'],
  ];
  for (const [tenant, path, url] of cases) {
    const played = await play(path, tenant);
    t.equal(played.status, 200, path);
    t.equal(played.url, url, path);
  }
});

t.test(
  'C9 C10 another tenant’s token, or another spelling, is 403 or 400, and the upstream sees nothing',
  async (t) => {
    const cases: [tenant: unknown, path: string, status: number][] = [
      ['globex', '/tenants/acme/orders', 403],
      ['Acme', '/tenants/acme/orders', 403],
      [undefined, '/tenants/acme/orders', 403],
      [null, '/tenants/null/orders', 403],
      ['', '/tenants/acme/orders', 403],
      [{ acme: 'acme' }, '/tenants/acme/orders', 403],
      ['globex', '/files/acme/globex', 403],
      ['globex', '/files/acme/x/../../globex', 400],
      ['globex', '/files/acme/..%2Fglobex', 400],
      ['globex', '/api/tenants/acme/orders', 403],
      ['acme', '/tenants/%61cme/orders', 403],
      ['acme', '/tenants/acm%65/orders', 403],
      ['a b', '/tenants/a+b/orders', 403],
      ['ü', '/tenants/%c3%bc/orders', 403],
      ['{tenant}', '/tenants/{tenant}/orders', 403],
      ['tenant', '/tenants/{tenant}/orders', 403],
      ['acme', '/tenants/acme;x/orders', 400],
      ['acme;x', '/tenants/acme%3Bx/orders', 400],
      ['a/b', '/tenants/a%2Fb/orders', 400],
      ['..', '/tenants/../orders', 400],
      ['..', '/tenants/%2E%2E/orders', 400],
      ['acme', '/tenants//acme/orders', 400],
      ['acm%65', '/tenants/acm%2565/orders', 400],
      ['acme?x', '/ways/acme%3Fx', 400],
      ['acme', '/tenants/acme/orders/', 404],
    ];
    for (const [tenant, path, status] of cases) {
      const played = await play(path, tenant);
      t.equal(played.status, status, `${JSON.stringify(tenant)} ${path}`);
      t.equal(played.code, { 400: 'bad_path', 403: 'access_denied', 404: 'no_route' }[status], path);
      t.equal(played.url, undefined, `${path}: the upstream saw nothing`);
    }
    const before = upstream.seen.length;
    t.equal((await send(gateway.url, '/maybe/acme')).status, 401, 'B1 no caller is a tenant');
    t.equal((await send(gateway.url, '/ways/acme')).status, 401);
    t.equal((await play('/ways/acme', 'globex')).code, 'insufficient_scope', 'a scope would help');
    t.equal(upstream.seen.length, before);
  },
);

t.test('a preflight of a path with variables is answered by its route', async (t) => {
  const preflight = (path: string) =>
    send(gateway.url, path, {
      method: 'OPTIONS',
      headers: ['Origin', 'https://app.example', 'Access-Control-Request-Method', 'GET'],
    });
  const before = upstream.seen.length;
  const allowed = await preflight('/tenants/acme/orders');
  t.equal(allowed.headers['access-control-allow-origin'], 'https://app.example');
  t.match(String(allowed.headers['access-control-allow-methods']), 'GET');
  t.equal((await preflight('/tenants/acme;x/orders')).status, 400);
  const refused = await send(gateway.url, '/tenants/acme/orders', {
    token: tokenOf('globex'),
    headers: ['Origin', 'https://app.example'],
  });
  t.equal(refused.status, 403);
  t.equal(
    refused.headers['access-control-allow-origin'],
    'https://app.example',
    'a page can read the refusal',
  );
  t.equal(upstream.seen.length, before);
});

t.test('a decision listener compares the path that the other proxy has', async (t) => {
  const url = `http://127.0.0.1:${gateway.instance.listeners[1]?.address.port}`;
  const ask = async (path: string, tenant: string): Promise<number> => {
    const headers = ['X-Original-Method', 'GET', 'X-Original-URI', path];
    return (await send(url, '/', { token: tokenOf(tenant), headers })).status;
  };
  t.equal(await ask('/tenants/acme/orders', 'acme'), 200);
  t.equal(await ask('/tenants/acme/orders?x', 'acme'), 200);
  t.equal(await ask('/tenants/acme/orders', 'globex'), 403);
  t.equal(await ask('/tenants/acm%65/orders', 'acme'), 403);
  t.equal(await ask('/tenants/acme;x/orders', 'acme'), 403, '400, as this dialect has it');
});

// A random attack. The oracle is no part of the gateway: it collects every tenant that some server might see in the URL.

const REQUESTS = Number(process.env['FUZZ_RUNS'] ?? 1_500);
const TENANTS = [
  'acme',
  'globex',
  'a b',
  'ü',
  'acme;x',
  'acm%65',
  'a/b',
  '..',
  'acme?x',
  'ac',
  'ACME',
  '{tenant}',
  'acme#x',
];
const PREFIXES = ['/tenants/', '/files/', '/api/tenants/', '/ways/', '/maybe/'];
const NOISE = [
  '/',
  '//',
  ';',
  ';x=1',
  '%2F',
  '%2f',
  '%252F',
  '.',
  '..',
  '/../',
  '/./',
  '%2e',
  '%00',
  '%5C',
  '\\',
  '?',
  '%3F',
  '%23',
];
const MORE_NOISE = [
  '%',
  '%25',
  '{',
  '}',
  '%7B',
  '+',
  '%20',
  '~',
  '@',
  '%C0%AE',
  '/globex',
  '/acme',
  'acme',
  'globex',
  '%0a',
  '..;/',
];

const hex = (char: string, lower: boolean): string => {
  const text = [...Buffer.from(char)]
    .map((byte) => `%${byte.toString(16).padStart(2, '0').toUpperCase()}`)
    .join('');
  return lower ? text.toLowerCase() : text;
};

/** One spelling of a tenant, honest or not. */
function spelled(random: SeededRandom, tenant: string): string {
  const honest = encodeURIComponent(tenant);
  if (random.below(3) === 0) return honest;
  let text = '';
  for (const char of random.of([tenant, honest])) {
    const how = random.below(12);
    if (how === 0) text += hex(char, false);
    else if (how === 1) text += hex(char, true);
    else if (how === 2) text += hex(char, false).replaceAll('%', '%25');
    else if (how === 3) text += random.below(2) === 0 ? char.toUpperCase() : char.toLowerCase();
    else text += /[\x21-\x7e]/.test(char) && char !== '#' ? char : hex(char, false);
  }
  if (random.below(3) > 0) return text;
  const at = random.below(text.length + 1);
  return text.slice(0, at) + random.of([...NOISE, ...MORE_NOISE]) + text.slice(at);
}

/** First of all: one for each outcome, whatever the seed. */
const CERTAIN: readonly (readonly [tenant: string, path: string])[] = [
  ['acme', '/tenants/acme/orders'],
  ['acme', '/tenants/globex/orders'],
  ['acme', '/tenants/acme/../globex/orders'],
];

function attack(random: SeededRandom, own: string): string {
  const prefix = random.of(PREFIXES);
  const path = `${prefix}${spelled(random, random.of([own, ...TENANTS.slice(0, 2), random.of(TENANTS)]))}${random.of(['', '/orders', '/orders', '/x/y'])}`;
  if (random.below(4) > 0) return path;
  const at = 1 + random.below(path.length);
  return path.slice(0, at) + random.of([...NOISE, ...MORE_NOISE]) + path.slice(at);
}

/** Decodes once; bytes that are no UTF-8 stay readable as such. */
const decoded = (text: string): string =>
  Buffer.from(
    text.replace(/%([0-9a-f]{2})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16))),
    'latin1',
  ).toString('utf8');

/** What comes behind the fixed part, in each way that a server may read the path. */
function tenantsIn(url: string): Set<string> {
  const path = (url.split('?')[0] ?? '').replace(/^\/v1/, '');
  const readers: ((path: string) => string)[] = [
    (text) => text,
    (text) => text.replace(/;[^/]*/g, ''),
    (text) => text.replace(/\/{2,}/g, '/'),
    (text) => new URL(text.replace(/[?#].*$/s, ''), 'http://x').pathname,
  ];
  const seen = new Set<string>();
  for (const reader of readers) {
    for (const segments of [
      reader(path).split('/').map(decoded),
      decoded(reader(path)).split('/'),
      reader(decoded(path)).split('/'),
    ])
      seen.add(segments[2] ?? '');
  }
  return seen;
}

t.test(`C9 C10 C26 ${REQUESTS} requests of an attacker reach no tenant but the token’s own`, async (t) => {
  const seed = Date.now() & 0xffff_ffff;
  t.comment(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const tokens = new Map(TENANTS.map((tenant) => [tenant, tokenOf(tenant)]));
  const statuses = new Map<number, number>();
  for (let count = 0; count < REQUESTS; count++) {
    const own = random.of(TENANTS);
    const [tenant, path] = CERTAIN[count] ?? [own, attack(random, own)];
    if (!/^[\x21-\x7e]+$/.test(path)) continue;
    const before = upstream.seen.length;
    const { status } = await send(gateway.url, path, { token: tokens.get(tenant) ?? '' });
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    const url = upstream.seen[before]?.url;
    if (url === undefined) {
      if (status === 200) t.fail(`no upstream saw ${path}`);
      continue;
    }
    const strangers = [...tenantsIn(url)].filter((seen) => seen !== tenant);
    // A server that never decodes sees the one spelling of the tenant itself.
    if (strangers.some((seen) => seen !== encodeURIComponent(tenant)))
      t.fail(`a token of ${tenant} got ${path} to the upstream as ${url}: ${strangers.join(', ')}`);
  }
  t.comment(JSON.stringify(Object.fromEntries(statuses)));
  for (const status of [200, 400, 403]) t.ok(statuses.has(status), `${status} is among the outcomes`);
});

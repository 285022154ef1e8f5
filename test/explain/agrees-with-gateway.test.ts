/** A dry run tells what the gateway does: the same status, reason and upstream headers, whatever is asked. */
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { explain } from '../../src/explain/explain.ts';
import type { Explanation } from '../../src/explain/explanation.ts';
import { parseConfiguration } from '../../src/config/load.ts';
import { send, type Response } from '../support/client.ts';
import { startGateway, until, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import {
  AUDIENCE,
  claimsOf,
  createKey,
  encode,
  ISSUER,
  mint,
  mintHmac,
  nowSeconds,
} from '../support/tokens.ts';
import { startUpstream, type SeenRequest } from '../support/upstream.ts';

const CONFIGURATIONS = Number(process.env['FUZZ_RUNS'] ?? 6);
const REQUESTS = 80;

const key = createKey('ES256', 'one');
const other = createKey('EdDSA', 'one');
const SECRET = 'a secret of the tests that is long enough';
const now = nowSeconds();
const tenant = { id: 'acme', 'a.b': [1, 2] };

/** A protected resource, to which a route may belong. */
const RESOURCE = 'https://mcp.example.com';
const OF_RESOURCE = { public_url: RESOURCE, resource: { authorization_servers: [ISSUER] } };

const TOKENS: readonly (string | undefined)[] = [
  undefined,
  ...Array<string>(4).fill(mint(key, claimsOf({ tenant, scope: 'orders:read orders:write' }))),
  mint(key, claimsOf({ scope: 'orders:read' })),
  mint(key, claimsOf({ scope: undefined, scp: ['orders:write'], tenant: { id: 'globex' } })),
  mint(key, claimsOf({ sub: 'älice, % a ', tenant, roles: ['a', 'b,c', ' d'] })),
  mint(key, claimsOf({ tenant, roles: [{ a: 1 }], flag: true, amount: 1e3 })),
  mint(key, claimsOf({ roles: 'x'.repeat(400) })),
  mint(key, claimsOf({ exp: now - 3_600, iat: now - 7_200 })),
  mint(key, claimsOf({ nbf: now + 3_600 })),
  mint(key, claimsOf({ iat: now + 3_600, exp: now + 7_200 })),
  mint(key, claimsOf({ exp: now + 10 * 86_400 })),
  mint(key, claimsOf({ aud: 'https://elsewhere.example' })),
  mint(key, claimsOf({ aud: [] })),
  mint(key, claimsOf({ aud: RESOURCE, tenant })),
  mint(key, claimsOf({ aud: [AUDIENCE, RESOURCE], tenant })),
  mint(key, claimsOf({ jti: undefined })),
  mint(key, claimsOf({ cnf: { jkt: 'x' } })),
  mint(key, claimsOf({ iss: 'https://stranger.example' })),
  mint(key, claimsOf(), { typ: 'JWT' }),
  mint(key, claimsOf(), { kid: 'unknown' }),
  mint(key, claimsOf(), { alg: 'none' }),
  mint(key, claimsOf(), { crit: ['x'] }),
  mint(createKey('ES256', 'one')),
  mint(other, claimsOf({ iss: 'https://other.example', tenant })),
  mint(key, claimsOf({ iss: 'https://other.example' })),
  mintHmac(SECRET, claimsOf({ iss: 'shared', aud: undefined }), { typ: 'JWT' }),
  mintHmac(SECRET, claimsOf({ iss: 'shared', sub: 'bob' })),
  mintHmac(`${SECRET}!`, claimsOf({ iss: 'shared' })),
  mint(key, claimsOf({ jti: 'revoked' })),
  mint(key, claimsOf({ sub: 'lost', iat: now - 60 })),
  `${mint(key)}=`,
  `${encode({ alg: 'ES256' })}.${encode('[1]')}.AAAA`,
  'opaque',
  'a.b.c',
  'no token!',
  'x'.repeat(3_000),
];

const PATHS = [
  ...['/orders', '/orders/', '/orders/1?a=b', '/ordersX', '/admin', '/public/x', '/', '/ws', '/files/a%2Fb'],
  ...['/files//a', '/files/%2561', '/orders/../admin', '/orders/%2e%2e/admin', '/%6frders', '/a%zz', '/a\\b'],
  ...['/orders?access_token=x', '/public?access_token=x', '/orders/..;/admin', '//orders', '/orders/%C3%A9'],
  ...['/.well-known/oauth-protected-resource/orders', '/.well-known/oauth-protected-resource'],
  ...['/.well-known/oauth%2Dprotected-resource/orders', '/mcp', '/mcp/x'],
  ...['/admin;x=1', '/orders;x', '/orders/a;v=1', '/orders/%c0%ae', '/admin%3Fx'],
  ...['/tenants/acme/orders', '/tenants/globex/orders', '/tenants/acm%65/orders', '/tenants/acme;x/orders'],
  ...[
    '/tenants/acme/files/x',
    '/tenants/%C3%A4lice%2C%20%25%20a%20/orders',
    '/tenants//orders',
    '/tenants/a/b',
  ],
  `/${'x'.repeat(1_200)}`,
];
const HOSTS = [
  'api.example.com',
  'API.example.com:8080',
  'api.example.com.',
  '127.1',
  'a.wild.example',
  'wild.example',
  'evil.example',
  'mcp.example.com',
];
const HEADERS: readonly (readonly string[])[] = [
  ['X-User-Id', 'root'],
  ['x_user_id', 'root'],
  ['X.Tenant', 'root', 'Connection', 'X-User-Id, X-Keep'],
  ['X-Keep', 'kept'],
  ['X-Version', '2'],
  ['X-Version', '2', 'X-Version', '2'],
  ['X-Forwarded-For', '203.0.113.9, 10.0.0.1', 'X-Forwarded-Proto', 'https', 'X-Forwarded-Host', 'h.example'],
  ['Forwarded', 'for=1.2.3.4', 'X-Real-IP', '1.2.3.4'],
  ['Via', '1.1 sallyport'],
  ['Via', '1.0 fred, 1.1 other'],
  ['TE', 'trailers, gzip'],
  ['TE', 'trailers'],
  ['DPoP', 'x', 'Keep-Alive', 'a'],
  [
    'Upgrade',
    'websocket',
    'Connection',
    'Upgrade',
    'Sec-WebSocket-Version',
    '13',
    'Sec-WebSocket-Key',
    'AQ==',
  ],
  ['Upgrade', 'h2c', 'Connection', 'Upgrade'],
  ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
  ['X-Request-Id', 'of the client'],
  ['Cookie', 'a=b'],
  ['Origin', 'https://app.example.com', 'Access-Control-Request-Method', 'POST'],
  ['X-Long', 'x'.repeat(1_500)],
];

const issuers = {
  login: { issuer: ISSUER, jwks: { keys: [key.jwk] }, audiences: [AUDIENCE], clock_skew: '30s' },
  other: { issuer: 'https://other.example', jwks: { keys: [other.jwk] }, required_claims: ['tenant.id'] },
  shared: { issuer: 'shared', hmac_secret: SECRET, token_type: 'any', claims: { sub: { prefix: 'al' } } },
};

const auth = fc.oneof(
  fc.constant({ mode: 'none' }),
  fc.record(
    {
      mode: fc.constantFrom('required', 'optional'),
      issuers: fc.subarray(Object.keys(issuers), { minLength: 1 }),
      scopes: fc.constantFrom(
        ['orders:read'],
        { any: ['orders:write', 'x'] },
        { all: ['orders:read'], any: ['x'] },
      ),
      claims: fc.constantFrom(
        { 'tenant.id': ['acme'] },
        { 'tenant.a\\.b': [2] },
        { flag: [true], amount: [1_000] },
        { sub: { prefix: 'al' }, 'tenant.none': { absent: true } },
        { tenant: { has_key: ['id', 'constructor'] }, flag: { equals: true } },
      ),
      any_of: fc.constantFrom(
        [{ scopes: ['orders:write'] }, { claims: { flag: true } }],
        [{ scopes: { any: ['x'] } }],
        [{ claims: { roles: { absent: true } } }, { scopes: ['x'], claims: { roles: 'a' } }],
      ),
      report_only: fc.boolean(),
    },
    { requiredKeys: [] },
  ),
);

const route = (name: string, match: Record<string, unknown>) =>
  fc
    .record(
      {
        auth,
        paths: fc.constantFrom(
          { allow: ['encoded_slash'] },
          { allow: ['empty_segments', 'double_encoding'] },
        ),
        rewrite: fc.constantFrom({ add_prefix: '/v1' }, { host: 'preserve' }),
        identity: fc.constantFrom({ headers: { 'X-Tenant': 'tenant.id' } }, { forward_authorization: true }),
        upgrade: fc.constant(['websocket']),
        cors: fc.constant({ origins: ['https://app.example.com'] }),
      },
      { requiredKeys: [] },
    )
    .map((rest) => ({ name, match, upstream: 'u', ...rest }));

const ofResource = (name: string, match: Record<string, unknown>) =>
  route(name, match).map((made) => (made.auth?.mode === 'none' ? made : { ...made, ...OF_RESOURCE }));

/** With a variable in the path, which a rule compares. Nothing may be allowed there. */
const ofTenant = (name: string, match: Record<string, unknown>) =>
  fc
    .tuple(
      route(name, match),
      fc.constantFrom(
        { claims: { 'tenant.id': { path: 'tenant' } } },
        { any_of: [{ scopes: ['orders:write'] }, { claims: { 'tenant.id': { path: 'tenant' } } }] },
        { mode: 'optional', claims: { sub: { path: 'tenant' } } },
      ),
    )
    .map(([{ paths: _none, ...rest }, auth]) => ({ ...rest, auth }));

const configurations = fc.record({
  routes: fc
    .tuple(
      route('orders', { hosts: ['api.example.com'], path_prefix: '/orders' }),
      route('orders-post', { path_prefix: '/orders', methods: ['POST', 'PUT'] }),
      ofResource('mcp', { path_prefix: '/mcp' }),
      ofResource('orders-v2', { path_prefix: '/orders', headers: { 'x-version': '2' } }),
      route('admin', { hosts: ['*.wild.example', 'api.example.com'], path: '/admin' }),
      route('public', { path_prefix: '/public' }),
      route('files', { path_prefix: '/files' }),
      route('ws', { path: '/ws' }),
      ofTenant('tenant-orders', { path: '/tenants/{tenant}/orders' }),
      ofTenant('tenant-files', { hosts: ['api.example.com'], path_prefix: '/tenants/{tenant}/files' }),
    )
    .chain((routes) => fc.shuffledSubarray(routes, { minLength: 3 })),
  trusted_proxies: fc.constantFrom([], ['127.0.0.1', '10.0.0.0/8']),
  identity: fc.constantFrom(
    { headers: { 'X-User-Id': 'sub', 'X-Roles': 'roles', 'X-Tenant': 'tenant' } },
    { headers: { 'X-User-Id': 'sub', 'X-Roles': 'roles' }, max_bytes: '256B' },
    { headers: { 'X-User-Id': 'sub' }, forward_authorization: true },
  ),
  limits: fc.constantFrom(
    {},
    { token_bytes: '2KiB', uri_bytes: '1KiB', header_bytes: '4KiB', header_count: 12 },
  ),
});

const requests = fc.record({
  method: fc.constantFrom('GET', 'GET', 'POST', 'PUT', 'OPTIONS', 'PROPFIND'),
  path: fc.constantFrom(...PATHS.slice(0, 3), ...PATHS),
  host: fc.constantFrom('api.example.com', ...HOSTS),
  headers: fc.subarray([...HEADERS], { maxLength: 3 }).map((chosen) => chosen.flat()),
  token: fc.constantFrom(...TOKENS),
});

const EVERYTHING = { issuers: Object.keys(issuers) };
/** Played first of all: whatever the seed, each token, path, host and header is among the requests. */
const CERTAIN = {
  routes: [
    {
      name: 'orders',
      match: { hosts: ['api.example.com'], path_prefix: '/orders' },
      auth: { ...EVERYTHING, scopes: ['orders:read'], claims: { 'tenant.id': ['acme'] } },
    },
    { name: 'orders-v2', match: { path_prefix: '/orders', headers: { 'x-version': '2' } } },
    { name: 'admin', match: { path: '/admin' }, auth: { mode: 'optional' } },
    { name: 'public', match: { path_prefix: '/public' }, auth: { mode: 'none' } },
    { name: 'files', match: { path_prefix: '/files' }, paths: { allow: ['encoded_slash'] } },
    { name: 'ws', match: { path: '/ws' }, auth: EVERYTHING, upgrade: ['websocket'] },
    {
      name: 'mcp',
      match: { path_prefix: '/mcp' },
      auth: { scopes: ['orders:read'] },
      ...OF_RESOURCE,
    },
    {
      name: 'tenant-orders',
      match: { path: '/tenants/{tenant}/orders' },
      auth: { claims: { 'tenant.id': { path: 'tenant' } } },
    },
  ].map((route) => ({ ...route, upstream: 'u' })),
  identity: { headers: { 'X-User-Id': 'sub', 'X-Roles': 'roles', 'X-Tenant': 'tenant' }, max_bytes: '256B' },
};

interface Request {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly headers: readonly string[];
  readonly token: string | undefined;
}
const usual: Request = {
  method: 'GET',
  path: '/orders',
  host: 'api.example.com',
  headers: [],
  token: TOKENS[1],
};
const CERTAIN_REQUESTS: readonly Request[] = [
  ...PATHS.map((path) => ({ ...usual, path, host: 'mcp.example.com' })),
  ...TOKENS.map((token) => ({ ...usual, path: '/mcp', token })),
  ...TOKENS.flatMap((token) => ['/orders', '/ws'].map((path) => ({ ...usual, path, token }))),
  ...PATHS.map((path) => ({ ...usual, path })),
  ...HOSTS.map((host) => ({ ...usual, host })),
  ...HEADERS.flatMap((headers) => ['/orders', '/ws'].map((path) => ({ ...usual, path, headers }))),
];

/** What of both can be compared. */
interface Outcome {
  readonly status: number;
  readonly code: string | undefined;
  readonly reason: string | undefined;
  readonly target: string | undefined;
  readonly headers: readonly string[] | undefined;
}

/** Written by the transport, or new each time. */
const NOT_COMPARED = /^(?:connection|content-length|transfer-encoding|host|upgrade): /i;

function comparable(headers: Iterable<readonly [string, string]>): string[] {
  return [...headers]
    .map(([name, value]) => `${name}: ${/^authorization$/i.test(name) ? '(not shown)' : value}`)
    .map((line) => line.replace(/^(traceparent: 00)-\w+-\w+-/, '$1-'))
    .map((line) => line.replace(/^(x-request-id): [\w-]{36}$/, '$1'))
    .filter((line) => !NOT_COMPARED.test(line));
}

function pairs(flat: readonly string[]): [string, string][] {
  return Array.from({ length: flat.length / 2 }, (_, index) => [
    flat[2 * index] ?? '',
    flat[2 * index + 1] ?? '',
  ]);
}

function told({ status, code, reason, upstream }: Explanation): Outcome {
  return {
    status: status ?? 200,
    code: code ?? undefined,
    reason: reason ?? undefined,
    target: upstream?.target,
    headers: upstream ? comparable(upstream.headers) : undefined,
  };
}

const upstream = await startUpstream(t);

interface Played {
  readonly response: Response;
  /** What the upstream saw of it. */
  readonly seen: SeenRequest | undefined;
  readonly explanation: Explanation;
  /** To play it again. */
  readonly script: string;
}

function happened({ response: response, seen }: Played, line: Record<string, unknown> | undefined): Outcome {
  return {
    status: response.status,
    code: response.problem.code,
    reason: (line?.['auth'] as { reason: string } | undefined)?.reason,
    target: seen?.url,
    headers: seen && comparable(pairs(seen.rawHeaders)),
  };
}

/** The lines of these requests, by their ids. */
async function linesOf(
  gateway: TestGateway,
  played: readonly Played[],
): Promise<Map<unknown, Record<string, unknown>>> {
  const requestLines = (): Record<string, unknown>[] => gateway.log.filter(({ msg }) => msg === 'request');
  await until(() => requestLines().length === played.length);
  return new Map(requestLines().map((line) => [line['request_id'], line]));
}

t.test(`${CONFIGURATIONS * REQUESTS} requests at random, and some that are certain`, async (t) => {
  const seed = Date.now() & 0xffff_ffff;
  t.comment(`seed ${seed}`);
  const reasons = new Set<string | undefined>();
  const generatedOnes = fc.sample(configurations, { numRuns: CONFIGURATIONS, seed });
  for (const [index, generated] of [CERTAIN, ...generatedOnes].entries()) {
    const folder = temporaryFolder(t);
    // A list that a dry run can ask costs as much as all the rest.
    const hasList = index % 3 === 0;
    const store = hasList ? `sqlite:${join(folder, 'revocations.db')}` : 'memory:';
    const document = {
      ...generated,
      issuers,
      revocation: { store },
      upstreams: { u: { targets: [upstream.url] } },
    };
    const gateway = await startGateway(t, { realm: 'sallyport', ...document }, { folder });
    for (const target of hasList ? [{ token_id: 'revoked' }, { subject: 'lost' }] : [])
      await gateway.admin('POST', '/v1/revocations', { issuer: ISSUER, ...target });
    const loaded = {
      configuration: parseConfiguration(JSON.stringify(document), 'test.json', folder, {}),
      folder,
      file: 'test.json',
    };
    const played: Played[] = [];
    const asked =
      index === 0 ? CERTAIN_REQUESTS : fc.sample(requests, { numRuns: REQUESTS, seed: seed + index });
    for (const { method, path, host, headers, token } of asked) {
      const seenBefore = upstream.seen.length;
      const given = ['Host', host, ...headers];
      const credentials = token === undefined ? [] : ['Authorization', `Bearer ${token}`];
      const response = await send(gateway.url, path, {
        method,
        headers: [...given, ...credentials, ...(method === 'GET' ? [] : ['Content-Length', '0'])],
      });
      const explanation = await explain(
        loaded,
        { method, scheme: 'http', target: path, headers: given, token, peer: '127.0.0.1' },
        { online: true, nowMs: undefined },
      );
      const script = JSON.stringify({ generated, method, path, host, headers, token });
      played.push({ response: response, seen: upstream.seen[seenBefore], explanation, script });
    }
    const logged = await linesOf(gateway, played);
    for (const play of played) {
      reasons.add(play.explanation.reason ?? play.explanation.code ?? undefined);
      const expected = happened(play, logged.get(play.response.headers['x-request-id']));
      const actual = told(play.explanation);
      if (JSON.stringify(expected) === JSON.stringify(actual)) continue;
      t.strictSame(actual, expected, play.script);
      return;
    }
    await gateway.stop();
  }
  t.pass(`all agree; reasons and codes met: ${[...reasons].sort().join(', ')}`);
  t.ok(reasons.size > 20, `${reasons.size} different outcomes`);
});

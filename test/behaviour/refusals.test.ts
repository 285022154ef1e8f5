/** Every refusal of the table in the reference: status, challenge, code; and the upstream saw nothing. */
import t from 'tap';
import { send, type SendOptions } from '../support/client.ts';
import { loginIssuer, startGateway } from '../support/gateway.ts';
import { claimsOf, createKey, mint, mintHmac, nowSeconds } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey('ES256');
const stranger = createKey('ES256', key.kid);
const now = nowSeconds();

const upstream = await startUpstream(t);
const gateway = await startGateway(t, {
  issuers: { login: loginIssuer(key) },
  identity: { headers: { 'X-User-Id': 'sub', 'X-Big': 'big' }, max_bytes: '1KiB' },
  routes: [
    { name: 'orders', match: { path_prefix: '/orders' }, upstream: 'u', auth: { scopes: ['orders:read'] } },
    {
      name: 'admin',
      match: { path_prefix: '/admin' },
      upstream: 'u',
      auth: { claims: { 'tenant.id': ['acme'] } },
    },
    { name: 'mixed', match: { path_prefix: '/mixed' }, upstream: 'u', auth: { mode: 'optional' } },
    { name: 'public', match: { path_prefix: '/public' }, upstream: 'u', auth: { mode: 'none' } },
  ],
  upstreams: { u: { targets: [upstream.url] } },
});

const BEARER = 'Bearer realm="test"';
const INVALID_TOKEN = `${BEARER}, error="invalid_token"`;
const INVALID_REQUEST = `${BEARER}, error="invalid_request"`;

interface Case {
  readonly name: string;
  readonly path?: string;
  readonly send?: SendOptions;
  readonly status: number;
  readonly code: string;
  readonly reason?: string;
  readonly challenge?: string;
}

const withToken = (token: string): SendOptions => ({ token });
const withLine = (...lines: string[]): SendOptions => ({
  headers: lines.flatMap((line) => ['authorization', line]),
});
const good = mint(key);

const cases: Case[] = [
  { name: 'B1 no credentials', status: 401, code: 'missing_token', reason: 'missing', challenge: BEARER },
  {
    name: 'B8 another scheme',
    send: withLine('Basic YTpi'),
    status: 401,
    code: 'missing_token',
    reason: 'missing',
    challenge: BEARER,
  },
  {
    name: 'B8 another scheme on an optional route',
    path: '/mixed',
    send: withLine('Basic YTpi'),
    status: 401,
    code: 'missing_token',
    challenge: BEARER,
  },
  {
    name: 'B2 two Authorization lines',
    send: withLine(`Bearer ${good}`, `Bearer ${good}`),
    status: 400,
    code: 'invalid_request',
    reason: 'malformed',
    challenge: INVALID_REQUEST,
  },
  {
    name: 'B9 Bearer and DPoP together',
    send: withLine(`Bearer ${good}`, `DPoP ${good}`),
    status: 400,
    code: 'invalid_request',
    challenge: INVALID_REQUEST,
  },
  {
    name: 'B2 a scheme without a token',
    send: withLine('Bearer'),
    status: 400,
    code: 'invalid_request',
    challenge: INVALID_REQUEST,
  },
  {
    name: 'B2 two tokens in one line',
    send: withLine('Bearer a b'),
    status: 400,
    code: 'invalid_request',
    challenge: INVALID_REQUEST,
  },
  {
    name: 'B2 comma-joined',
    send: withLine(`Bearer ${good}, Bearer ${good}`),
    status: 400,
    code: 'invalid_request',
    challenge: INVALID_REQUEST,
  },
  {
    name: 'B2 an empty Authorization',
    send: withLine(''),
    status: 400,
    code: 'invalid_request',
    challenge: INVALID_REQUEST,
  },
  {
    name: 'B7 access_token in the query',
    path: '/orders?access_token=x',
    send: withToken(good),
    status: 400,
    code: 'invalid_request',
    challenge: INVALID_REQUEST,
  },
  {
    name: 'B7 access_token in the query, disguised',
    path: '/orders?a=1&%61ccess%5Ftoken=x',
    send: withToken(good),
    status: 400,
    code: 'invalid_request',
    challenge: INVALID_REQUEST,
  },
  {
    name: 'B7 access_token in the query of an optional route',
    path: '/mixed?access_token=x',
    status: 400,
    code: 'invalid_request',
    challenge: INVALID_REQUEST,
  },
  {
    name: 'B3 no token at all in it',
    send: withToken('garbage'),
    status: 401,
    code: 'invalid_token',
    reason: 'malformed',
    challenge: INVALID_TOKEN,
  },
  {
    name: 'B3 J13 longer than token_bytes',
    send: withToken('a'.repeat(9000)),
    status: 401,
    code: 'invalid_token',
    reason: 'too_large',
    challenge: INVALID_TOKEN,
  },
  {
    name: 'B3 expired',
    send: withToken(mint(key, claimsOf({ iat: now - 700, exp: now - 60 }))),
    status: 401,
    code: 'invalid_token',
    reason: 'expired',
    challenge: INVALID_TOKEN,
  },
  {
    name: 'B3 not yet valid',
    send: withToken(mint(key, claimsOf({ nbf: now + 120 }))),
    status: 401,
    code: 'invalid_token',
    reason: 'not_yet_valid',
    challenge: INVALID_TOKEN,
  },
  {
    name: 'J12 issued in the future',
    send: withToken(mint(key, claimsOf({ iat: now + 25 }))),
    status: 401,
    code: 'invalid_token',
    reason: 'not_yet_valid',
    challenge: INVALID_TOKEN,
  },
  {
    name: 'B3 a bad signature',
    send: withToken(mint(stranger)),
    status: 401,
    code: 'invalid_token',
    reason: 'bad_signature',
    challenge: INVALID_TOKEN,
  },
  {
    name: 'an unknown key',
    send: withToken(mint(createKey('ES256'))),
    status: 401,
    code: 'invalid_token',
    reason: 'unknown_key',
    challenge: INVALID_TOKEN,
  },
  {
    name: 'J3 a wrong issuer',
    send: withToken(mint(key, claimsOf({ iss: 'https://evil.example' }))),
    status: 401,
    code: 'invalid_token',
    reason: 'unknown_issuer',
    challenge: INVALID_TOKEN,
  },
  {
    name: 'J4 a wrong audience',
    send: withToken(mint(key, claimsOf({ aud: 'https://other' }))),
    status: 401,
    code: 'invalid_token',
    reason: 'wrong_audience',
    challenge: INVALID_TOKEN,
  },
  {
    name: 'J1 a wrong type',
    send: withToken(mint(key, claimsOf(), { typ: 'JWT' })),
    status: 401,
    code: 'invalid_token',
    reason: 'wrong_type',
    challenge: INVALID_TOKEN,
  },
  {
    name: 'a lifetime beyond max_lifetime',
    send: withToken(mint(key, claimsOf({ exp: now + 100_000 }))),
    status: 401,
    code: 'invalid_token',
    reason: 'lifetime',
    challenge: INVALID_TOKEN,
  },
  {
    name: 'J2 a claim is missing',
    send: withToken(mint(key, claimsOf({ jti: undefined }))),
    status: 401,
    code: 'invalid_token',
    reason: 'claim',
    challenge: INVALID_TOKEN,
  },
  {
    name: 'D13 a bound token sent as Bearer',
    send: withToken(mint(key, claimsOf({ cnf: { jkt: 'x' } }))),
    status: 401,
    code: 'invalid_token',
    reason: 'binding',
    challenge: INVALID_TOKEN,
  },
  {
    name: 'J5 an algorithm that is not accepted',
    send: withToken(mintHmac('x'.repeat(40))),
    status: 401,
    code: 'invalid_token',
    reason: 'bad_signature',
    challenge: INVALID_TOKEN,
  },
  {
    name: 'B3 a bad token on an optional route',
    path: '/mixed',
    send: withToken(mint(stranger)),
    status: 401,
    code: 'invalid_token',
    reason: 'bad_signature',
    challenge: INVALID_TOKEN,
  },
  {
    name: 'B4 a scope is missing',
    send: withToken(mint(key, claimsOf({ scope: 'profile' }))),
    status: 403,
    code: 'insufficient_scope',
    reason: 'insufficient_scope',
    challenge: `${BEARER}, error="insufficient_scope", scope="orders:read"`,
  },
  {
    name: 'a claim rule fails',
    path: '/admin',
    send: withToken(good),
    status: 403,
    code: 'access_denied',
    reason: 'claim_rule',
  },
  {
    name: 'the identity headers are too large',
    send: withToken(mint(key, claimsOf({ big: 'x'.repeat(2000) }))),
    status: 403,
    code: 'identity_too_large',
    reason: 'identity_too_large',
  },
  { name: 'A8 no route', path: '/nowhere', send: withToken(good), status: 404, code: 'no_route' },
  {
    name: 'H13 a path with two readings',
    path: '/orders/%2e%2e/admin',
    send: withToken(good),
    status: 400,
    code: 'bad_path',
  },
  {
    name: 'H18 a header section that is too large',
    send: { headers: ['x-large', 'x'.repeat(17_000)] },
    status: 431,
    code: 'headers_too_large',
  },
  {
    name: 'H18 too many headers',
    send: { headers: Array.from({ length: 120 }, (_, i) => [`x-h${i}`, 'v']).flat() },
    status: 431,
    code: 'headers_too_large',
  },
  {
    name: 'H18 a URI that is too long',
    path: `/orders?${'q'.repeat(9000)}`,
    send: withToken(good),
    status: 414,
    code: 'uri_too_long',
  },
  {
    name: 'H14 a loop',
    send: { token: good, headers: ['via', '1.1 other, 1.1 sallyport'] },
    status: 508,
    code: 'loop_detected',
  },
  { name: 'H8 TRACE', path: '/public', send: { method: 'TRACE' }, status: 405, code: 'method_not_allowed' },
];

for (const { name, path = '/orders', send: options, status, code, reason, challenge } of cases) {
  t.test(`${name}: ${status}, and the upstream sees nothing`, async (t) => {
    const before = upstream.seen.length;
    const lines = gateway.log.length;
    const response = await send(gateway.url, path, options);
    t.equal(response.status, status);
    t.equal(response.problem.code, code);
    t.equal(response.problem.status, status);
    // A 401 says which scopes the route needs.
    const scopes = status === 401 && path === '/orders' ? ', scope="orders:read"' : '';
    t.equal(response.headers['www-authenticate'], challenge === undefined ? undefined : challenge + scopes);
    t.equal(response.headers['cache-control'], 'no-store');
    t.match(response.headers['x-request-id'], /^[A-Za-z0-9._-]{1,128}$/);
    t.equal(upstream.seen.length, before, 'the upstream saw nothing');
    const line = gateway.log.slice(lines).find(({ msg }) => msg === 'request');
    t.equal(line?.['status'], status);
    if (reason !== undefined) t.equal((line?.['auth'] as { reason?: string } | undefined)?.reason, reason);
    t.notOk(JSON.stringify(line).includes(options?.token ?? 'no token'), 'A5 the token is not in the log');
  });
}

t.test('B12 a refusal of HEAD has no body', async (t) => {
  const response = await send(gateway.url, '/orders', { method: 'HEAD' });
  t.equal(response.status, 401);
  t.equal(response.body, '');
});

t.test('B6 the scheme is case-insensitive and may be followed by several spaces', async (t) => {
  for (const scheme of ['bearer ', 'BEARER   ', 'BeArEr  ']) {
    t.equal(
      (await send(gateway.url, '/orders', { headers: ['authorization', `${scheme}${good}`] })).status,
      200,
    );
  }
});

t.test('B7 access_token in the query of a public route is none of our business', async (t) => {
  const response = await send(gateway.url, '/public?access_token=x');
  t.equal(response.status, 200);
  t.equal(upstream.seen.at(-1)?.url, '/public?access_token=x');
});

t.test('no credentials on an optional route pass as anonymous, without identity headers', async (t) => {
  const response = await send(gateway.url, '/mixed', { headers: ['x-user-id', 'eve'] });
  t.equal(response.status, 200);
  t.notOk('x-user-id' in (upstream.seen.at(-1)?.headers ?? {}));
});

t.test('refused and accepted requests are counted by route, decision and reason', async (t) => {
  t.equal(
    await gateway.metric(
      'sallyport_auth_decisions_total{route="orders",issuer="login",decision="deny",reason="expired"}',
    ),
    1,
  );
  t.ok(
    (await gateway.metric(
      'sallyport_auth_decisions_total{route="orders",issuer="",decision="deny",reason="missing"}',
    )) >= 1,
  );
  t.ok(
    (await gateway.metric(
      'sallyport_auth_decisions_total{route="orders",issuer="login",decision="allow",reason="ok"}',
    )) >= 1,
  );
  t.ok(
    (await gateway.metric(
      'sallyport_http_requests_total{route="unmatched",method="GET",code="404",source="gateway"}',
    )) >= 1,
  );
});

t.test('A4 the admin listener’s paths are not there on a public port', async (t) => {
  const before = upstream.seen.length;
  for (const path of ['/metrics', '/livez', '/readyz', '/v1/status', '/.well-known/sallyport/jwks.json'])
    t.match(await send(gateway.url, path, { token: good }), { status: 404, problem: { code: 'no_route' } });
  t.equal(upstream.seen.length, before);
});

/** Operators sign in with tokens of an issuer: roles, names in the audit log, and what does not sign in. Rules A1, A5, V1. */
import t, { type Test } from 'tap';
import { systemClock, type Clock } from '../../src/clock.ts';
import { startGateway, until, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startRedis } from '../support/redis.ts';
import { claimsOf, createKey, ISSUER, mint, AUDIENCE, nowSeconds } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey();
const other = createKey();
const ADMIN_AUDIENCE = 'sallyport-admin';

interface Setting {
  readonly auth?: object;
  readonly store?: string;
  readonly clock?: Clock;
}

const upstream = await startUpstream(t);

function setUp(
  t: Test,
  { auth = {}, store = 'memory:', clock = systemClock }: Setting = {},
): Promise<TestGateway> {
  const configuration = {
    issuers: { login: { issuer: ISSUER, jwks: { keys: [key.jwk] }, audiences: [AUDIENCE] } },
    admin: {
      auth: {
        issuer: 'login',
        audience: ADMIN_AUDIENCE,
        scopes: { read: 'gw:read', revoke: 'gw:revoke', operate: 'gw:operate' },
        name_claim: 'email',
        ...auth,
      },
    },
    routes: [{ name: 'all', match: {}, upstream: 'u' }],
    upstreams: { u: { targets: [upstream.url] } },
    revocation: { store, max_view_age: '30s' },
  };
  return startGateway(t, configuration, { clock });
}

const adminClaims = (scope: string, changes: object = {}): Record<string, unknown> =>
  claimsOf({ aud: ADMIN_AUDIENCE, scope, email: 'ann@example.com', ...changes });

async function call(
  { adminUrl }: TestGateway,
  token: string,
  method: string,
  path: string,
  body?: object,
): Promise<Response> {
  return fetch(`${adminUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
}

const DENIED =
  'sallyport_auth_decisions_total{route="all",issuer="login",decision="deny",reason="wrong_audience"}';
const REVOKE = { issuer: ISSUER, subject: 'mallory' };

t.test('A1 each role may do what its scope gives, and no more', async (t) => {
  const gateway = await setUp(t);
  const may = async (scope: string): Promise<number[]> => {
    const token = mint(key, adminClaims(scope));
    const statuses: number[] = [];
    for (const [method, path, body] of [
      ['GET', '/v1/status'],
      ['GET', '/v1/revocations'],
      ['GET', '/v1/revocations.csv'],
      ['GET', '/v1/gateways'],
      ['POST', '/v1/revocations', { ...REVOKE, dry_run: true }],
      ['POST', '/v1/revocations/bulk', { revocations: [REVOKE], dry_run: true }],
      ['POST', '/v1/issuers/login/keys/refresh'],
    ] as const)
      statuses.push((await call(gateway, token, method, path, body)).status);
    return statuses;
  };
  // 409: this issuer's keys come from the configuration, so there is nothing to refresh.
  t.strictSame(await may('gw:read'), [200, 200, 200, 200, 403, 403, 403]);
  t.strictSame(await may('gw:revoke'), [200, 200, 200, 200, 200, 200, 403]);
  t.strictSame(await may('gw:operate'), [200, 200, 200, 200, 200, 200, 409]);
  t.strictSame(await may('orders:read'), [403, 403, 403, 403, 403, 403, 403]);
  const refused = await call(gateway, mint(key, adminClaims('gw:read')), 'POST', '/v1/revocations', REVOKE);
  t.match(refused.headers.get('www-authenticate'), /error="insufficient_scope", scope="gw:revoke"/);
  const session = await call(gateway, mint(key, adminClaims('gw:revoke')), 'GET', '/v1/session');
  t.match(await session.json(), { name: 'login:ann@example.com', role: 'revoke', expires_at: Number });
});

t.test('the audit log and the entry name who revoked; the metric names the issuer alone', async (t) => {
  const gateway = await setUp(t);
  const created = await call(gateway, mint(key, adminClaims('gw:revoke')), 'POST', '/v1/revocations', REVOKE);
  t.equal(created.status, 201);
  t.match(await created.json(), { created_by: 'login:ann@example.com' });
  t.match(
    gateway.log.find((line) => line['audit']),
    { audit: { action: 'revoke', by: 'login:ann@example.com' } },
  );
  t.equal(
    await gateway.metric('sallyport_revocation_changes_total{action="revoke",by="login"}'),
    1,
    'labels stay bounded',
  );
});

t.test('A1 what is no token for the admin API does not sign in', async (t) => {
  const gateway = await setUp(t);
  const scope = 'gw:operate';
  const cases: Record<string, string> = {
    'a token of an application': mint(key, claimsOf({ scope })),
    'a token of another key': mint(other, adminClaims(scope)),
    'an expired token': mint(key, adminClaims(scope, { iat: nowSeconds() - 900, exp: nowSeconds() - 600 })),
    'a token of another issuer': mint(key, adminClaims(scope, { iss: 'https://evil.example.com' })),
    'an ID token': mint(key, adminClaims(scope, { nonce: 'n' }), { typ: 'JWT' }),
    'a logout token': mint(key, adminClaims(scope), { typ: 'logout+jwt' }),
    'no JWT': 'abc',
    'an unsigned token': `${mint(key, adminClaims(scope), { alg: 'none' }).replace(/\.[^.]*$/, '')}.`,
  };
  for (const [name, token] of Object.entries(cases)) {
    const response = await call(gateway, token, 'GET', '/v1/status');
    t.equal(response.status, 401, name);
  }
});

t.test('V1 a revoked token signs in no longer, and it may revoke itself', async (t) => {
  const gateway = await setUp(t);
  const token = mint(key, adminClaims('gw:revoke'));
  t.equal((await call(gateway, token, 'GET', '/v1/session')).status, 200);
  t.equal((await call(gateway, token, 'POST', '/v1/revocations', { token })).status, 201);
  t.equal((await call(gateway, token, 'GET', '/v1/session')).status, 401);
  t.equal((await gateway.admin('GET', '/v1/session')).status, 200, 'the admin token goes on to work');
});

t.test('a token for the admin API opens no route', async (t) => {
  const gateway = await setUp(t);
  const response = await fetch(gateway.url, {
    headers: { authorization: `Bearer ${mint(key, adminClaims('gw:operate'))}` },
  });
  t.equal(response.status, 401);
  t.equal(await gateway.metric(DENIED), 1);
  t.strictSame(upstream.seen, [], 'the upstream saw nothing');
});

t.test('A1 wrong tokens of the issuer are throttled as wrong admin tokens are', async (t) => {
  const gateway = await setUp(t);
  const statuses: number[] = [];
  for (let count = 0; count < 12; count++)
    statuses.push((await call(gateway, mint(other, adminClaims('gw:read')), 'GET', '/v1/status')).status);
  t.equal(statuses.at(-1), 429);
});

t.test('a role without a scope is for admin tokens alone', async (t) => {
  const gateway = await setUp(t, { auth: { scopes: { read: 'gw:read' } } });
  const refused = await call(gateway, mint(key, adminClaims('gw:read')), 'POST', '/v1/revocations', REVOKE);
  t.equal(refused.status, 403);
  t.notMatch(refused.headers.get('www-authenticate'), /scope="/);
  t.equal((await gateway.admin('POST', '/v1/revocations', REVOKE)).status, 201);
});

t.test('V8 while the revocation list is too old no token signs in, and admin tokens do', async (t) => {
  const redis = await startRedis(t);
  const clock = new ManualClock();
  const gateway = await setUp(t, { store: redis.url, clock });
  const token = mint(key, adminClaims('gw:read'));
  t.equal((await call(gateway, token, 'GET', '/v1/session')).status, 200);
  await redis.kill();
  await until(() => !gateway.instance.view.connected);
  clock.advance(31_000);
  for (let count = 0; count < 12; count++) {
    const refused = await call(gateway, token, 'GET', '/v1/session');
    t.match(await refused.json(), { status: 503, code: 'revocation_unavailable' }, 'and it is not throttled');
    t.match(refused.headers.get('retry-after'), /^\d+$/);
  }
  t.equal((await gateway.admin('GET', '/v1/session')).status, 200);
});

t.test('a long name is cut, and the subject stands in for a name that is absent', async (t) => {
  const gateway = await setUp(t);
  const nameOf = async (email: unknown): Promise<unknown> => {
    const token = mint(key, adminClaims('gw:read', { email }));
    return ((await (await call(gateway, token, 'GET', '/v1/session')).json()) as { name: unknown }).name;
  };
  t.equal(await nameOf('n'.repeat(500)), `login:${'n'.repeat(128)}`);
  t.equal(await nameOf(undefined), 'login:alice');
});

t.test('a token that has ended is no guess: others at its address may sign in', async (t) => {
  const gateway = await setUp(t);
  const ended = mint(key, adminClaims('gw:read', { iat: nowSeconds() - 900, exp: nowSeconds() - 600 }));
  for (let count = 0; count < 12; count++)
    t.equal((await call(gateway, ended, 'GET', '/v1/status')).status, 401);
  t.equal((await gateway.admin('GET', '/v1/session')).status, 200);
});

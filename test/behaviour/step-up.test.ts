/** Routes that ask for a recent or a strong login (RFC 9470): `auth.acr` and `auth.max_auth_age`. Rules B5, P3, P4. */
import { readFileSync } from 'node:fs';
import { status } from '@grpc/grpc-js';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { explain } from '../../src/explain/explain.ts';
import { noOpenssl } from '../support/certificates.ts';
import { send, type Response } from '../support/client.ts';
import {
  introspectedBy,
  startFallibleServer,
  type FallibleServer,
} from '../support/fallible-authorization-server.ts';
import { advance, loginIssuer, startGateway, type TestGateway } from '../support/gateway.ts';
import { callUnary, key as grpcKey, startGrpc, withToken } from '../support/grpc.ts';
import { startHttp2 } from '../support/http2.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { claimsOf, createKey, mint, nowSeconds } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey('ES256');
const upstream = await startUpstream(t);
const route = (name: string, auth: Record<string, unknown>): object => ({
  name,
  match: { path_prefix: `/${name}` },
  upstream: 'u',
  auth: { issuers: ['login'], ...auth },
});
const age = { max_auth_age: '5m' };

interface Scene {
  readonly gateway: TestGateway;
  readonly clock: ManualClock;
  readonly server: FallibleServer;
  readonly decisions: string;
  readonly get: (path: string, token?: string) => Promise<Response>;
  /** Status and reason. Of a refused request the upstream has seen nothing. */
  readonly outcome: (
    path: string,
    token?: string,
  ) => Promise<[number, string | undefined, string | undefined]>;
}

async function setUp(t: Test): Promise<Scene> {
  const clock = new ManualClock();
  const server = await startFallibleServer(t);
  const gateway = await startGateway(
    t,
    {
      listeners: [
        { host: '127.0.0.1', port: 0 },
        { host: '127.0.0.1', port: 0, serve: 'decisions', dialect: 'request', trusted_peers: ['127.0.0.1'] },
      ],
      identity: { headers: { 'X-Login-Acr': 'acr' } },
      issuers: {
        login: { ...loginIssuer(key), ...introspectedBy(server) },
        partner: introspectedBy(server, { cache: '10m' }),
      },
      routes: [
        route('both', { acr: ['silver', 'gold'], ...age, scopes: ['orders:read'] }),
        route('recent', age),
        route('opaque', { ...age, issuers: ['partner'] }),
        route('fresh', { acr: ['gold'], ...age, fresh: true }),
        route('trial', { ...age, report_only: true }),
        route('open', { ...age, mode: 'optional' }),
        route('ways', { ...age, any_of: [{ scopes: ['orders:read'] }, { claims: { robot: true } }] }),
      ],
      upstreams: { u: { targets: [upstream.url] } },
    },
    { clock },
  );
  const get = (path: string, token?: string): Promise<Response> =>
    send(gateway.url, path, token === undefined ? {} : { token });
  return {
    gateway,
    clock,
    server,
    decisions: `http://127.0.0.1:${gateway.instance.listeners[1]?.address.port}`,
    get,
    outcome: async (path, token) => {
      const [lines, before] = [gateway.log.length, upstream.seen.length];
      const response = await get(path, token);
      if (response.status !== 200 && upstream.seen.length !== before) throw new Error('the upstream saw it');
      const line = gateway.log.slice(lines).find(({ msg }) => msg === 'request');
      const { reason, cache } = (line?.['auth'] ?? {}) as { reason?: string; cache?: string };
      return [response.status, reason, cache];
    },
  };
}

const login = (secondsAgo: number, changes: Record<string, unknown> = {}): string =>
  mint(key, claimsOf({ auth_time: nowSeconds() - secondsAgo, ...changes }));

t.test('P3 B5 the client learns which login it needs, and services which one it was', async (t) => {
  const { get, outcome, gateway } = await setUp(t);
  const needs =
    'Bearer realm="test", error="insufficient_user_authentication", scope="orders:read", acr_values="silver gold", max_age="300"';
  const [weak, old] = [login(1, { acr: 'bronze' }), login(301, { acr: 'gold' })];
  for (const token of [weak, old, login(1), mint(key, claimsOf({ acr: 'gold' }))]) {
    const response = await get('/both', token);
    t.equal(response.status, 401);
    t.equal(response.headers['www-authenticate'], needs);
    t.match(JSON.parse(response.body), { code: 'insufficient_user_authentication', status: 401 });
  }
  t.strictSame((await outcome('/both', weak)).slice(0, 2), [401, 'step_up']);
  const series =
    'sallyport_auth_decisions_total{route="both",issuer="login",decision="deny",reason="step_up"}';
  t.equal(await gateway.metric(series), 5);
  t.strictSame((await outcome('/both', login(1, { acr: 'gold' }))).slice(0, 2), [200, 'ok']);
  t.equal(upstream.seen.at(-1)?.headers['x-login-acr'], 'gold');
  const response = await get('/recent', old);
  t.equal(
    response.headers['www-authenticate'],
    'Bearer realm="test", error="insufficient_user_authentication", max_age="300"',
    'a route that asks for the time alone says that alone',
  );
  t.equal((await get('/recent', login(240))).status, 200);
});

t.test('P3 B5 the example of the reference: its route responds as it is printed', async (t) => {
  const document = readFileSync(new URL('../../docs/reference.md', import.meta.url), 'utf8');
  const [, text = ''] = /^```yaml\n([^`]*urn:example:silver[^`]*)```$/m.exec(document) ?? [];
  const [, printed] = /^WWW-Authenticate: (.*max_age=.*)$/m.exec(document) ?? [];
  const gateway = await startGateway(t, {
    realm: 'api.example.com',
    issuers: { login: loginIssuer(key) },
    ...(parse(text) as object),
    upstreams: { orders: { targets: [upstream.url] } },
  });
  const refused = await send(gateway.url, '/payouts', { token: login(1) });
  t.equal(refused.status, 401);
  t.equal(refused.headers['www-authenticate'], printed);
  const token = login(1, { acr: 'urn:example:gold' });
  t.equal((await send(gateway.url, '/payouts', { token })).status, 200);
  t.equal(upstream.seen.at(-1)?.headers['x-login-acr'], 'urn:example:gold');
});

t.test('P3 a login grows old while its token is in a cache', async (t) => {
  const { gateway, clock, server, outcome } = await setUp(t);
  const claims = { active: true, sub: 'bob', exp: nowSeconds() + 3_600, auth_time: nowSeconds() - 200 };
  server.tokens.set('opaque-1', claims);
  const jwt = login(200);
  for (const cache of ['miss', 'hit']) {
    t.strictSame(await outcome('/recent', jwt), [200, 'ok', cache]);
    t.strictSame(await outcome('/opaque', 'opaque-1'), [200, 'ok', cache]);
  }
  await advance(gateway, clock, 110_000);
  t.strictSame(await outcome('/recent', jwt), [401, 'step_up', 'hit']);
  t.strictSame(await outcome('/opaque', 'opaque-1'), [401, 'step_up', 'hit']);
  t.equal(server.asked.length, 1);
  t.strictSame((await outcome('/recent', login(0))).slice(0, 2), [200, 'ok'], 'a new login passes');
});

t.test('P3 P4 what an introspection response says of the login counts', async (t) => {
  const { server, outcome } = await setUp(t);
  const exp = nowSeconds() + 3_600;
  const rows: [name: string, said: Record<string, unknown>, status: number][] = [
    ['recent', { auth_time: nowSeconds() - 10 }, 200],
    ['old', { auth_time: nowSeconds() - 3_000 }, 401],
    ['none', {}, 401],
    ['P4 in the future', { auth_time: nowSeconds() + 3_000 }, 401],
    ['P4 as a text', { auth_time: String(nowSeconds()) }, 401],
  ];
  for (const [name, said, expected] of rows) {
    server.tokens.set(`token ${name}`.replaceAll(' ', '-'), { active: true, sub: 'bob', exp, ...said });
    t.equal((await outcome('/opaque', `token ${name}`.replaceAll(' ', '-')))[0], expected, name);
  }
});

t.test('P3 with auth.fresh, JWT and response must both be of a good login', async (t) => {
  const { server, outcome } = await setUp(t);
  const good = login(10, { acr: 'gold' });
  const rows: [name: string, token: string, said: Record<string, unknown>, status: number][] = [
    ['the response leaves it out', good, {}, 200],
    ['the response agrees', good, { acr: 'gold', auth_time: nowSeconds() - 10 }, 200],
    ['the response has a weaker class', good, { acr: 'bronze' }, 401],
    ['the response has an older login', good, { auth_time: nowSeconds() - 1_000 }, 401],
    ['only the response has it', mint(key), { acr: 'gold', auth_time: nowSeconds() }, 401],
  ];
  for (const [name, token, said, expected] of rows) {
    server.otherwise = { active: true, ...said };
    t.equal((await outcome('/fresh', token))[0], expected, name);
  }
});

t.test('P3 in every mode of a route', async (t) => {
  const { outcome } = await setUp(t);
  const old = login(301);
  t.strictSame((await outcome('/trial', old)).slice(0, 2), [200, 'step_up'], 'report_only passes it');
  t.equal(upstream.seen.at(-1)?.headers['x-user-id'], 'alice', 'with the identity of its valid token');
  t.strictSame((await outcome('/open')).slice(0, 2), [401, 'missing'], 'without a token there is no login');
  t.strictSame((await outcome('/open', old)).slice(0, 2), [401, 'step_up']);
  t.strictSame((await outcome('/open', login(1))).slice(0, 2), [200, 'ok']);
  const robot = mint(key, claimsOf({ robot: true }));
  t.strictSame(
    (await outcome('/ways', robot)).slice(0, 2),
    [401, 'step_up'],
    'no alternative replaces a login',
  );
  t.strictSame((await outcome('/ways', login(1, { scope: '', robot: true }))).slice(0, 2), [200, 'ok']);
  t.strictSame((await outcome('/ways', login(1, { scope: '' }))).slice(0, 2), [403, 'insufficient_scope']);
});

t.test('P3 a decision listener hands the challenge to the proxy that asks', async (t) => {
  const { decisions } = await setUp(t);
  const refused = await send(decisions, '/recent', { token: login(301) });
  t.equal(refused.status, 401);
  t.match(refused.headers['www-authenticate'], /error="insufficient_user_authentication", max_age="300"$/);
  const passed = await send(decisions, '/recent', { token: login(1, { acr: 'gold' }) });
  t.match(passed, { status: 200, headers: { 'x-login-acr': 'gold' } });
});

t.test('P3 gRPC and HTTP/2 get the same challenge', { skip: noOpenssl }, async (t) => {
  const all = { name: 'all', match: {}, upstream: 'u', auth: { acr: ['gold'] } };
  const { client } = await startGrpc(t, { routes: [all] });
  const called = await callUnary(client, '/test.Echo/unary', withToken(mint(grpcKey)), 'x');
  t.equal(called.code, status.UNAUTHENTICATED);
  t.match(
    String(called.metadata.get('www-authenticate')[0]),
    /insufficient_user_authentication.*acr_values="gold"/,
  );
  const { send: sendByHttp2, upstream: behind } = await startHttp2(t, { more: { routes: [all] } });
  const response = await sendByHttp2({ ':path': '/' });
  t.equal(response.status, 401);
  t.match(response.headers['www-authenticate'], /insufficient_user_authentication.*acr_values="gold"/);
  t.equal(behind.seen.length, 0);
});

t.test('P3 explain says what the login is, and what the route asks', async (t) => {
  const { gateway } = await setUp(t);
  const ask = async (path: string, token: string): Promise<string | undefined> => {
    const request = { method: 'GET', scheme: 'http' as const, target: path, headers: ['Host', 'a'] };
    const { stages } = await explain(
      gateway.loaded,
      { ...request, token, peer: '127.0.0.1' },
      { online: false, nowMs: undefined },
    );
    return stages.find(({ stage }) => stage === 'authorize')?.detail;
  };
  t.equal(
    await ask('/both', login(420, { acr: 'bronze' })),
    'acr is "bronze"; the route asks for acr silver|gold; the login was 7 min ago; the route asks for a login within 5m (max_auth_age); it has "orders:read"',
  );
  t.match(
    await ask('/recent', mint(key)),
    /^the token has no auth_time; the route asks for a login within 5m/,
  );
  t.match(await ask('/recent', login(-3_600)), /^auth_time is \d+, which is no date of the past/);
  t.match(
    await ask('/both', login(60, { acr: 'gold' })),
    /acr "gold", a login \d+ s ago \(a login within 5m/,
  );
});

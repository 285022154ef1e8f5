/** What the admin API tells of the traffic: history, refusals, sessions. Rules A1, A5. */
import { hostname } from 'node:os';
import t, { type Test } from 'tap';
import { logHash } from '../../src/telemetry/log-hash.ts';
import { send } from '../support/client.ts';
import { handled, loginIssuer, startGateway, withTestPorts, type TestGateway } from '../support/gateway.ts';
import { parseConfiguration } from '../../src/config/load.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { startUpstream, type HttpUpstream } from '../support/upstream.ts';

const key = createKey();
const stranger = createKey();
const EDGE = `edge-1@${hostname()}`;
const LOG_KEY = 'the same on every gateway';
const PATHS = ['/v1/history', '/v1/refusals', '/v1/sessions/search'];

interface Setting {
  readonly gateway: TestGateway;
  readonly upstream: HttpUpstream;
  readonly clock: ManualClock;
  readonly configuration: Record<string, unknown>;
}

async function setUp(t: Test, changes: object = {}): Promise<Setting> {
  // The path says with which status: /open/403.
  const upstream = await startUpstream(t, (request, response) => {
    response.writeHead(Number(/\d+$/.exec(request.url ?? '')?.[0] ?? 200)).end();
  });
  const clock = new ManualClock();
  const configuration = {
    name: 'edge-1',
    log_key: LOG_KEY,
    issuers: { login: loginIssuer(key) },
    routes: [
      {
        name: 'orders',
        match: { path_prefix: '/orders' },
        upstream: 'u',
        auth: { scopes: ['read', 'write'] },
      },
      { name: 'open', match: { path_prefix: '/open' }, upstream: 'u', auth: { mode: 'none' } },
    ],
    upstreams: { u: { targets: [upstream.url] } },
    ...changes,
  };
  const gateway = await startGateway(t, configuration, { clock });
  return { gateway, upstream, clock, configuration };
}

const token = (claims: object = {}): string =>
  mint(key, claimsOf({ sub: 'alice', sid: 's1', client_id: 'app', scope: 'read write', ...claims }));

async function json<T>(response: Response | Promise<Response>): Promise<T> {
  return (await (await response).json()) as T;
}

interface Refusals {
  readonly gateways: object;
  readonly refusals: readonly Record<string, unknown>[];
}
interface Sessions {
  readonly gateways: object;
  readonly sessions: readonly Record<string, unknown>[];
}

const search = ({ gateway }: Setting, body: object): Promise<Response> =>
  gateway.admin('POST', '/v1/sessions/search', body);

t.test(
  'A1 history, refusals and sessions need the role read, and are only for those with a token',
  async (t) => {
    const auth = { issuer: 'login', audience: 'admin', scopes: { read: 'gw:read', revoke: 'gw:revoke' } };
    const { gateway } = await setUp(t, { admin: { auth } });
    for (const path of PATHS) {
      const call = (bearer: string): Promise<Response> =>
        fetch(`${gateway.adminUrl}${path}`, {
          headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
          ...(path.endsWith('search') && { method: 'POST', body: '{"subject":"a"}' }),
        });
      t.equal((await call('wrong')).status, 401, path);
      t.equal((await call(mint(key, claimsOf({ aud: 'admin', scope: 'other' })))).status, 403, path);
      t.equal((await call(mint(key, claimsOf({ aud: 'admin', scope: 'gw:read' })))).status, 200, path);
    }
  },
);

t.test('a refusal is found by the id of its request, with what support needs to know', async (t) => {
  const setting = await setUp(t);
  const { gateway, upstream } = setting;
  const refused = await send(gateway.url, '/orders', {
    token: token({ scope: 'read' }),
    headers: ['x-request-id', 'from-support'],
  });
  t.equal(refused.status, 403);
  await send(gateway.url, '/orders', { token: mint(stranger, claimsOf()) });
  await send(gateway.url, '/orders');
  await send(gateway.url, '/nowhere');
  t.equal(upstream.seen.length, 0);
  const found = await json<Refusals>(gateway.admin('GET', '/v1/refusals?request_id=from-support'));
  t.strictSame(found.gateways, { asked: [EDGE], silent: [], complete: true });
  const [refusal = {}] = found.refusals;
  t.ok(Math.abs(Number(refusal['time']) - Date.now() / 1_000) < 60);
  t.strictSame(found.refusals, [
    {
      time: refusal['time'],
      gateway: EDGE,
      request_id: 'from-support',
      route: 'orders',
      status: 403,
      reason: 'insufficient_scope',
      code: 'insufficient_scope',
      issuer: 'login',
      client_id: 'app',
      sub_hash: logHash(LOG_KEY, 'alice'),
      missing_scope: 'write',
      detail: null,
      revocation: null,
      client_ip: '127.0.0.1',
    },
  ]);
  const all = await json<Refusals>(gateway.admin('GET', '/v1/refusals'));
  t.strictSame(
    all.refusals.map(({ reason, code }) => reason ?? code),
    ['no_route', 'missing', 'unknown_key', 'insufficient_scope'],
    'the latest first',
  );
  const of = async (query: string): Promise<number> =>
    (await json<Refusals>(gateway.admin('GET', `/v1/refusals?${query}`))).refusals.length;
  t.equal(await of('route=orders'), 3);
  t.equal(await of('reason=no_route'), 1);
  t.equal(await of('reason=missing&route='), 1, 'what a form leaves empty matches all');
  t.equal(await of('limit=2'), 2);
  for (const limit of ['0', '1001', 'x'])
    t.equal((await gateway.admin('GET', `/v1/refusals?limit=${limit}`)).status, 400);
  t.notMatch(JSON.stringify(all), /alice|eyJ/, 'A5 neither tokens nor subjects');
});

t.test('a request that only a report refuses is no refusal', async (t) => {
  const { gateway } = await setUp(t, {
    routes: [{ name: 'trial', match: {}, upstream: 'u', auth: { mode: 'required', report_only: true } }],
  });
  t.equal((await send(gateway.url, '/')).status, 200);
  t.strictSame((await json<Refusals>(gateway.admin('GET', '/v1/refusals'))).refusals, []);
});

t.test(
  'the history has every configured route, and tells refusals of the gateway from those of upstreams',
  async (t) => {
    const { gateway, clock } = await setUp(t);
    const nextStep = (): void => clock.advance(5_001 - (clock.nowMs() % 5_000));
    nextStep();
    await send(gateway.url, '/orders');
    await send(gateway.url, '/orders', { token: token() });
    await send(gateway.url, '/open/403');
    await send(gateway.url, '/open/500');
    await send(gateway.url, '/nowhere');
    await handled(gateway);
    nextStep();
    const history = await json<{
      this_gateway: string;
      step_seconds: number;
      from: number;
      routes: Record<string, unknown>[];
    }>(gateway.admin('GET', '/v1/history'));
    t.match(history, { this_gateway: EDGE, step_seconds: 5 });
    const all = (name: string): unknown[] => {
      const route = history.routes.find(({ route }) => route === name) ?? {};
      return ['requests', 'refused', 'failed'].map((member) =>
        (route[member] as (number | null)[]).reduce<number>((sum, count) => sum + (count ?? 0), 0),
      );
    };
    t.strictSame(all('orders'), [2, 1, 0]);
    t.strictSame(all('open'), [2, 0, 1]);
    t.strictSame(all('unmatched'), [1, 0, 0]);
  },
);

t.test('A5 a session is found by its names, hashed, and says how often and when it was seen', async (t) => {
  const setting = await setUp(t);
  const { gateway, upstream } = setting;
  const before = upstream.seen.length;
  for (let count = 0; count < 3; count++) await send(gateway.url, '/orders', { token: token() });
  await send(gateway.url, '/orders', { token: token({ sid: 's2', scope: 'read' }) });
  await send(gateway.url, '/orders', { token: mint(stranger, claimsOf({ sub: 'alice', sid: 's3' })) });
  t.equal(upstream.seen.length - before, 3);
  const found = await json<Sessions>(search(setting, { issuer: ISSUER, session: 's1' }));
  const [session = {}] = found.sessions;
  t.strictSame(found, {
    gateways: { asked: [EDGE], silent: [], complete: true },
    sessions: [
      {
        gateways: [EDGE],
        issuer: ISSUER,
        session_hash: logHash(LOG_KEY, 's1'),
        subject_hash: logHash(LOG_KEY, 'alice'),
        client_id: 'app',
        first_seen: session['first_seen'],
        last_seen: session['last_seen'],
        requests_last_hour: 3,
      },
    ],
  });
  t.ok(Math.abs(Number(session['last_seen']) - Date.now() / 1_000) < 60);
  const count = async (body: object): Promise<number> =>
    (await json<Sessions>(search(setting, body))).sessions.length;
  t.equal(await count({ subject: 'alice' }), 2, 'refused requests count; tokens of another key do not');
  t.equal(await count({ subject_hash: logHash(LOG_KEY, 'alice'), issuer: 'login' }), 2);
  t.equal(await count({ client: 'app', limit: 1 }), 1);
  t.equal(await count({ session: 's3' }), 0, 'no request with this session has been seen here');
  for (const body of [
    {},
    { issuer: ISSUER },
    { subject: 'a', session: 'b' },
    { subject: '' },
    { user: 'a' },
    { subject: 'a', limit: 0 },
  ])
    t.equal((await search(setting, body)).status, 400, JSON.stringify(body));
  t.notMatch(JSON.stringify(gateway.log), /alice/);
});

t.test(
  'sessions: off, plain and addresses take effect at a reload, which forgets what may not be kept',
  async (t) => {
    const setting = await setUp(t, { sessions: { show: 'plain', addresses: true } });
    const { gateway, configuration } = setting;
    const reload = (sessions: unknown): Promise<void> => {
      const text = JSON.stringify(withTestPorts({ realm: 'test', ...configuration, sessions }));
      const { file, folder } = gateway.loaded;
      const loaded = { configuration: parseConfiguration(text, file, folder, {}), file, folder };
      return gateway.instance.reload(loaded);
    };
    await send(gateway.url, '/orders', { token: token() });
    t.match((await json<Sessions>(search(setting, { subject: 'alice' }))).sessions, [
      { subject: 'alice', session: 's1', addresses: ['127.0.0.1'] },
    ]);
    await reload({ show: 'plain' });
    const [kept = {}] = (await json<Sessions>(search(setting, { subject: 'alice' }))).sessions;
    t.equal(kept['subject'], 'alice', 'what may be kept is kept');
    t.notOk('addresses' in kept);
    await reload('off');
    const off = await search(setting, { subject: 'alice' });
    t.equal(off.status, 409);
    t.match(await off.json(), { code: 'sessions_off' });
    await send(gateway.url, '/orders', { token: token() });
    await reload('hashed');
    t.strictSame((await json<Sessions>(search(setting, { subject: 'alice' }))).sessions, []);
    await send(gateway.url, '/orders', { token: token() });
    t.equal((await json<Sessions>(search(setting, { subject: 'alice' }))).sessions.length, 1);
  },
);

t.test('sessions: what is no such value is told with its path', async (t) => {
  const problems = (sessions: unknown): string => {
    try {
      const text = JSON.stringify({
        sessions,
        routes: [{ name: 'r', match: {}, upstream: 'u', auth: { mode: 'none' } }],
        upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
      });
      parseConfiguration(text, 'f.json', '/', {});
      return '';
    } catch (error) {
      return (error as { problems: string[] }).problems.join('\n');
    }
  };
  t.equal(problems('off'), '');
  t.equal(problems({ entries: 100_000 }), '');
  t.match(problems('all'), /sessions: must be off, hashed, plain/);
  t.match(problems(false), /sessions: must be off, hashed, plain/);
  t.match(problems({ entries: 100_001 }), /sessions\.entries: must be 100000 or less/);
  t.match(problems({ address: true }), /sessions.*address/);
});

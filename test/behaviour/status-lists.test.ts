/** The lists in which an issuer says how its tokens stand (draft-ietf-oauth-status-list). Rules V1, V10, V15, V18. */
import { once } from 'node:events';
import { get as httpGet, type IncomingMessage } from 'node:http';
import t, { type Test } from 'tap';
import { deflateSync } from 'node:zlib';
import { parseConfiguration } from '../../src/config/load.ts';
import type { Explanation } from '../../src/explain/explanation.ts';
import { send, type Response } from '../support/client.ts';
import {
  advance,
  loginIssuer,
  startGateway,
  until,
  withTestPorts,
  type TestGateway,
} from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { signedList, startStatusListServer, type StatusListServer } from '../support/status-list-server.ts';
import { claimsOf, createKey, mint, nowSeconds } from '../support/tokens.ts';
import { startServer, startUpstream, type HttpUpstream } from '../support/upstream.ts';

const key = createKey();

interface Scene {
  readonly gateway: TestGateway;
  readonly server: StatusListServer;
  readonly upstream: HttpUpstream;
  readonly clock: ManualClock;
  /** Sends a request; where it is refused, the upstream has seen nothing. @returns its status, and the reason in the log */
  readonly outcome: (token: string, path?: string, base?: string) => Promise<string>;
}

const ROUTES = [
  { name: 'r', match: { path_prefix: '/' }, upstream: 'u' },
  { name: 'allow', match: { path_prefix: '/allow' }, upstream: 'u', when_stale: 'allow' },
  { name: 'reported', match: { path_prefix: '/reported' }, upstream: 'u', auth: { report_only: true } },
];

function configurationFor(
  server: StatusListServer,
  upstreamUrl: string,
  options: object | undefined,
): Record<string, unknown> {
  const list = options && { status_list: { uris: [`${server.url}/lists/`], ...options } };
  return {
    listeners: [
      { host: '127.0.0.1', port: 0 },
      { host: '127.0.0.1', port: 0, serve: 'decisions', dialect: 'request', trusted_peers: ['127.0.0.1'] },
    ],
    issuers: { login: { ...loginIssuer(key), ...list } },
    timeouts: { idle: '24h' },
    routes: ROUTES,
    upstreams: { u: { targets: [upstreamUrl] } },
  };
}

async function setUp(t: Test, options: object | undefined = {}, before?: StatusListServer): Promise<Scene> {
  const server = before ?? (await startStatusListServer(t));
  const upstream = await startUpstream(t);
  const clock = new ManualClock();
  const gateway = await startGateway(t, configurationFor(server, upstream.url, options), { clock });
  const outcome = async (token: string, path = '/', base = gateway.url): Promise<string> => {
    const { length } = upstream.seen;
    const response = await send(base, path, { token });
    if (response.problem.code !== undefined && upstream.seen.length > length)
      throw new Error('the upstream saw a request that was refused');
    const id = response.headers['x-request-id'];
    await until(() => gateway.log.some((line) => line['request_id'] === id));
    const { auth } = gateway.log.find((line) => line['request_id'] === id) as { auth?: { reason: string } };
    return `${response.status} ${auth?.reason}`;
  };
  return { gateway, server, upstream, clock, outcome };
}

const tokenFor = (uri: unknown, idx: unknown, claims: Record<string, unknown> = {}): string =>
  mint(key, claimsOf({ status: { status_list: { uri, idx } }, ...claims }));

/** Every fetch that the server has seen has ended. */
async function settled({ gateway, server }: Pick<Scene, 'gateway' | 'server'>): Promise<void> {
  await until(async () => {
    const samples = await gateway.instance.metrics.samples();
    const ended = samples.filter(({ name }) => name === 'sallyport_status_list_fetches_total');
    return ended.reduce((sum, { value }) => sum + value, 0) === server.fetches.length;
  });
}

/** Time passes until the list was asked for again, and what has come was looked at. */
async function refreshed(scene: Pick<Scene, 'gateway' | 'server' | 'clock'>): Promise<void> {
  const { length } = scene.server.fetches;
  await settled(scene);
  await advance(scene.gateway, scene.clock, 61_000);
  await until(() => scene.server.fetches.length > length);
  await settled(scene);
}

t.test(
  'V1 V18 any status but 0 refuses, also of a token whose verification is cached; the log says which',
  async (t) => {
    const scene = await setUp(t);
    const { gateway, server, outcome } = scene;
    const uri = server.publish('/lists/1', key, [0, 1, 2, 3]);
    const [good, invalid, suspended, other] = [0, 1, 2, 3].map((index) => tokenFor(uri, index));
    t.equal(await outcome(good ?? ''), '200 ok');
    t.equal(await outcome(invalid ?? ''), '401 status');
    t.match(gateway.log.at(-1), { cause: 'its status is INVALID (1)' });
    t.equal(await outcome(suspended ?? ''), '401 status');
    t.match(gateway.log.at(-1), { cause: 'its status is SUSPENDED (2)' });
    t.equal(await outcome(other ?? ''), '401 status');
    t.match(gateway.log.at(-1), { cause: 'its status is 3' });
    const refused = await send(gateway.url, '/', { token: invalid ?? '' });
    t.match(refused, { status: 401, problem: { code: 'invalid_token' } });
    t.match(refused.headers['www-authenticate'], /error="invalid_token"/);
    t.notMatch(refused.body, /status list|INVALID/);
    t.equal(await outcome(mint(key)), '200 ok', 'a token without a status');
    t.equal(server.fetches.length, 1);
    t.equal(server.accept, 'application/statuslist+jwt');

    t.equal(await outcome(good ?? ''), '200 ok');
    server.publish('/lists/1', key, [1, 0, 0, 0], { iat: nowSeconds() + 1 });
    await refreshed(scene);
    await until(async () => (await outcome(good ?? '')) === '401 status');
    t.equal(await outcome(suspended ?? ''), '200 ok', 'a suspension ends');
    await refreshed(scene);
    await until(() => server.unchanged === 1);
    t.equal(
      await gateway.metric('sallyport_status_list_fetches_total{issuer="login",result="not_modified"}'),
      1,
    );
    t.equal(await gateway.metric('sallyport_status_lists{issuer="login"}'), 1);
    t.equal(await gateway.metric('sallyport_status_lists_stale{issuer="login"}'), 0);
    t.ok((await gateway.metric('sallyport_status_list_age_seconds{issuer="login"}')) < 5);
  },
);

t.test('a decision listener, a report-only route and explain say the same', async (t) => {
  const { gateway, server, outcome } = await setUp(t);
  const uri = server.publish('/lists/1', key, [0, 1]);
  const [good, invalid] = [tokenFor(uri, 0), tokenFor(uri, 1)];
  const decisions = `http://127.0.0.1:${gateway.instance.listeners[1]?.address.port}`;
  t.equal(await outcome(good, '/', decisions), '200 ok');
  t.equal(await outcome(invalid, '/', decisions), '401 status');
  t.equal(await outcome(invalid, '/reported'), '200 status');
  const explained = async (token: string): Promise<Explanation> =>
    (await (
      await gateway.admin('POST', '/v1/explain', { method: 'GET', url: 'http://a.example/', token })
    ).json()) as Explanation;
  const step = ({ stages }: Explanation) => stages.find(({ stage }) => stage === 'check_revocation');
  const [passed, refused] = [await explained(good), await explained(invalid)];
  t.match(passed, { decision: 'allow' });
  t.match(step(passed)?.detail, `entry 0 of the status list ${uri}: VALID (0); the list is `);
  t.match(refused, { decision: 'deny', reason: 'status', status: 401 });
  t.match(step(refused), {
    outcome: 'refused',
    detail: `its status is INVALID (1); entry 1 of the status list ${uri}`,
  });
  const missing = tokenFor(`${server.url}/lists/none`, 0);
  t.match(await explained(missing), { reason: 'status_unavailable', status: 503 });
});

t.test('V18 a status list that is too old obeys the outage policy of the route', async (t) => {
  const scene = await setUp(t, { max_age: '2m' });
  const { gateway, server, clock, outcome } = scene;
  const uri = server.publish('/lists/1', key, [0, 1]);
  const [good, invalid] = [tokenFor(uri, 0), tokenFor(uri, 1)];
  const never = tokenFor(`${server.url}/lists/never`, 0);
  t.equal(await outcome(good), '200 ok');
  server.instead = (response) => void response.writeHead(500).end();
  await refreshed(scene);
  t.equal(await outcome(good), '200 ok', 'while it is not too old, it counts');
  await advance(gateway, clock, 61_000);
  await until(async () => (await outcome(good)) === '503 status_unavailable');
  t.equal((await send(gateway.url, '/', { token: good })).headers['retry-after'], '5');
  t.equal(await outcome(good, '/allow'), '200 ok');
  const open = 'route="allow",issuer="login",decision="fail_open",reason="ok"';
  t.equal(await gateway.metric(`sallyport_auth_decisions_total{${open}}`), 1);
  t.equal(await outcome(never), '503 status_unavailable', 'a list that was never there');
  t.equal(await outcome(never, '/allow'), '200 ok');
  for (const path of ['/', '/allow'])
    t.equal(await outcome(invalid, path), '401 status', 'known to be refused');
  t.equal(await gateway.metric('sallyport_status_lists_stale{issuer="login"}'), 2);
  const ready = await (await fetch(`${gateway.adminUrl}/readyz?verbose`)).text();
  t.match(ready, '[-] status lists of login: 2 of 2 unavailable or too old; 503 on r');
  const warned = gateway.log.filter(
    ({ msg }) => typeof msg === 'string' && msg.startsWith('the status list cannot'),
  );
  t.match(warned[0], { level: 'warn', issuer: 'login', uri, list_known: true, error: /responded 500/ });

  server.instead = undefined;
  await advance(gateway, clock, 31_000);
  await until(async () => (await outcome(good)) === '200 ok');
  await until(() => gateway.log.some(({ msg }) => msg === 'the status list can be fetched again'));
  t.match(await (await gateway.admin('GET', '/v1/status')).json(), {
    issuers: [
      {
        name: 'login',
        status_lists: [
          { uri, current: true },
          { current: false, age_seconds: null },
        ],
      },
    ],
  });
});

t.test('what a server sends that is no good list of its issuer changes nothing', async (t) => {
  const scene = await setUp(t);
  const { server, outcome, gateway } = scene;
  const iat = nowSeconds();
  const uri = server.publish('/lists/1', key, [0, 1], { iat });
  const [good, invalid] = [tokenFor(uri, 0), tokenFor(uri, 1)];
  t.equal(await outcome(good), '200 ok');
  const bomb = deflateSync(Buffer.alloc(9 * 1024 * 1024)).toString('base64url');
  const bad: Record<string, () => string> = {
    'an older list': () => signedList(key, uri, [0, 0], { iat: iat - 1 }),
    'another uri in sub': () => signedList(key, `${uri}0`, [0, 0]),
    'wrong type': () => signedList(key, uri, [0, 0], {}, { typ: 'JWT' }),
    'unknown key': () => signedList(createKey(), uri, [0, 0]),
    'another audience': () => signedList(key, uri, [0, 0], { aud: 'x' }),
    'a bomb': () => signedList(key, uri, [], { status_list: { bits: 1, lst: bomb } }),
    'too large': () => 'x'.repeat(4 * 1024 * 1024 + 1),
    nothing: () => '',
  };
  for (const [name, text] of Object.entries(bad)) {
    server.texts.set('/lists/1', text());
    await refreshed(scene);
    t.equal(await outcome(invalid), '401 status', name);
    t.equal(await outcome(good), '200 ok', name);
  }
  await until(
    async () =>
      (await gateway.metric('sallyport_status_list_fetches_total{issuer="login",result="refused"}')) === 7,
  );
});

t.test(
  'a token that names another list, or none that can be read, is refused, and nothing is fetched',
  async (t) => {
    const { server, outcome, gateway } = await setUp(t, { required: true });
    const uri = server.publish('/lists/1', key, [0]);
    for (const [name, token] of Object.entries({
      'a list elsewhere': tokenFor(`${server.url}/other/1`, 0),
      'a list beside the prefix': tokenFor(`${server.url}/lists-evil/1`, 0),
      'a way out of the prefix': tokenFor(`${server.url}/lists/../other/1`, 0),
      'an index that is text': tokenFor(uri, '0'),
      'an index below 0': tokenFor(uri, -1),
      'a uri that is no text': tokenFor(1, 0),
      'a status that is text': mint(key, claimsOf({ status: 'active' })),
      'required: no status': mint(key),
      'required: another mechanism': mint(key, claimsOf({ status: { other: {} } })),
    }))
      t.equal(await outcome(token), '401 status', name);
    t.equal(server.fetches.length, 0);
    t.equal(await outcome(tokenFor(uri, 0)), '200 ok');
    const told = gateway.log.filter(({ msg, reason }) => msg !== 'request' && reason === 'status');
    t.strictSame(
      told.map(({ detail }) => detail),
      [
        'its status list is none of status_list.uris',
        'its status claim cannot be read',
        'it names no status list',
      ],
      'what the configuration may have wrong is told once each',
    );
  },
);

t.test('a client with a token that is not authentic has nothing fetched', async (t) => {
  const { server, outcome } = await setUp(t);
  const uri = server.publish('/lists/1', key, [0]);
  const claims = claimsOf({ status: { status_list: { uri, idx: 0 } } });
  t.equal(await outcome(mint(createKey('ES256', key.kid), claims)), '401 bad_signature');
  t.equal(await outcome(tokenFor(uri, 0, { exp: nowSeconds() - 60 })), '401 expired');
  t.equal(server.fetches.length, 0);
});

t.test('J18 a status list never authenticates', async (t) => {
  for (const token_type of ['any', 'at+jwt']) {
    const server = await startStatusListServer(t);
    const upstream = await startUpstream(t);
    const configuration = configurationFor(server, upstream.url, {});
    const gateway = await startGateway(t, {
      ...configuration,
      issuers: { login: { ...loginIssuer(key), token_type } },
    });
    const token = mint(key, claimsOf({ status_list: { bits: 1, lst: 'eNrbuRgAAhcBXQ' } }), {
      typ: 'statuslist+jwt',
    });
    t.equal((await send(gateway.url, '/', { token })).status, 401, token_type);
    t.equal(upstream.seen.length, 0);
  }
});

t.test(
  'V10 V15 a stream, and a request that waits, end when a refresh turns the status of their token',
  async (t) => {
    const server = await startStatusListServer(t);
    const url = await startServer(t, (request, response) => {
      if (request.url === '/wait') return;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: tick\n\n');
    });
    const clock = new ManualClock();
    const routes = [{ name: 'r', match: {}, upstream: 'u', timeouts: { response: '24h', idle: '24h' } }];
    const gateway = await startGateway(
      t,
      { ...configurationFor(server, url, {}), routes, timeouts: { idle: '24h', drain: '100ms' } },
      { clock },
    );
    const uri = server.publish('/lists/1', key, [0, 0]);
    const [ends, stays] = [tokenFor(uri, 0), tokenFor(uri, 1)];
    const open = async (token: string): Promise<IncomingMessage> => {
      const request = httpGet(`${gateway.url}/events`, { headers: { authorization: `Bearer ${token}` } });
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      response.on('error', () => undefined);
      response.resume();
      return response;
    };
    const [ending, staying] = [await open(ends), await open(stays)];
    const waiting = send(gateway.url, '/wait', { token: ends });
    await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 3);
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    ending.on('close', () => resolve());
    server.publish('/lists/1', key, [2, 0], { iat: nowSeconds() + 1 });
    await refreshed({ gateway, server, clock });
    await closed;
    t.match(await waiting, { status: 401, problem: { code: 'invalid_token' } } satisfies Partial<Response>);
    t.notOk(staying.closed, 'another token goes on');
    t.equal(await gateway.metric('sallyport_streams_closed_total{reason="status"}'), 2);
    t.ok(gateway.log.some(({ error }) => error === 'token_status'));
    staying.destroy();
  },
);

t.test(
  'lists with an exact URI are there before the first token, and a reload keeps what is held',
  async (t) => {
    const server = await startStatusListServer(t);
    const uri = server.publish('/all', key, [0, 1]);
    const scene = await setUp(t, { uris: [uri, `${server.url}/lists/`] }, server);
    const { gateway, upstream, outcome } = scene;
    t.strictSame(server.fetches, ['/all']);
    const more = server.publish('/lists/1', key, [0, 1]);
    const [good, invalid] = [tokenFor(more, 0), tokenFor(more, 1)];
    t.equal(await outcome(good), '200 ok');
    const reloadWith = async (options: object | undefined): Promise<void> => {
      const { folder, file } = gateway.loaded;
      const text = JSON.stringify(withTestPorts(configurationFor(server, upstream.url, options)));
      await gateway.instance.reload({
        configuration: parseConfiguration(text, file, folder, {}),
        folder,
        file,
      });
    };
    server.instead = (response) => void response.writeHead(503).end();
    await reloadWith({ uris: [uri, `${server.url}/lists/`], refresh: '2m' });
    t.equal(server.fetches.length, 2);
    for (const token of [good, tokenFor(uri, 0)]) t.equal(await outcome(token), '200 ok');
    for (const token of [invalid, tokenFor(uri, 1)]) t.equal(await outcome(token), '401 status');
    await reloadWith(undefined);
    t.equal(await outcome(invalid), '200 ok', 'an issuer without status_list: the claim is ignored');
    t.equal(await gateway.metric('sallyport_status_lists{issuer="login"}'), 0);
  },
);

t.test('an operator whose token has a status that refuses does not sign in', async (t) => {
  const server = await startStatusListServer(t);
  const upstream = await startUpstream(t);
  const gateway = await startGateway(t, {
    ...configurationFor(server, upstream.url, {}),
    admin: { auth: { issuer: 'login', audience: 'admin', scopes: { read: 'gw' } } },
  });
  const uri = server.publish('/lists/1', key, [0, 1]);
  const statusOf = async (index: number): Promise<number> => {
    const authorization = `Bearer ${tokenFor(uri, index, { aud: 'admin', scope: 'gw' })}`;
    return (await gateway.admin('GET', '/v1/status', undefined, { authorization })).status;
  };
  t.strictSame([await statusOf(0), await statusOf(1)], [200, 401]);
});

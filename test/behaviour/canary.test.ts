/**
 * Routes with a list of upstreams, through whole gateways: which one gets a request, and that nothing but a verified token
 * decides it. Rules A5, B1, C9, I2.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';
import { introspectedBy, startFallibleServer } from '../support/fallible-authorization-server.ts';
import { send, type SendOptions } from '../support/client.ts';
import { loginIssuer, startGateway, until, withTestPorts, type TestGateway } from '../support/gateway.ts';
import { parseConfiguration } from '../../src/config/load.ts';
import { temporaryFolder } from '../support/process.ts';
import { freePort } from '../support/redis.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import { startEcho, startServer, startUpstream } from '../support/upstream.ts';

const key = createKey('ES256');
const other = createKey('ES256', 'other');
const authority = await startFallibleServer(t);
const stable = await startUpstream(t, (_request, response) => response.end('stable'));
const next = await startUpstream(t, (_request, response) => response.end('next'));

const UPSTREAMS = { stable: { targets: [stable.url] }, next: { targets: [next.url] } };
const BETA = { name: 'next', claims: { beta: true } };
const shares = (ofStable: number, ofNext: number) => [
  { name: 'stable', weight: ofStable },
  { name: 'next', weight: ofNext },
];

const configurationOf = (
  routes: readonly object[],
  upstreams: object = UPSTREAMS,
): Record<string, unknown> => ({
  issuers: {
    login: loginIssuer(key),
    asked: introspectedBy(authority, {}, { token_prefix: '' }),
  },
  routes,
  upstreams,
});

const route = (name: string, more: object): object => ({
  name,
  match: { path_prefix: `/${name}` },
  auth: { issuers: ['login'] },
  ...more,
});

const tokenOf = (claims: Record<string, unknown> = {}): string => mint(key, claimsOf(claims));

const gateway = await startGateway(
  t,
  configurationOf([
    route('beta', { upstream: [BETA, { name: 'stable' }] }),
    route('asked', { upstream: [BETA, { name: 'stable' }], auth: { issuers: ['asked'] } }),
    route('optional', {
      upstream: [BETA, { name: 'stable' }],
      auth: { mode: 'optional', issuers: ['login'] },
    }),
    route('reported', {
      upstream: [BETA, { name: 'stable' }],
      auth: { issuers: ['login'], scopes: ['never'], report_only: true },
    }),
    route('chance', { upstream: shares(1, 1), auth: { mode: 'none' } }),
    route('sticky', { upstream: shares(1, 1), sticky: 'subject' }),
  ]),
);

/** The body tells the upstream. */
async function goesTo(to: TestGateway, path: string, options: SendOptions = {}): Promise<string> {
  const { status, body } = await send(to.url, path, options);
  return status === 200 ? body : String(status);
}

const seen = (): number => stable.seen.length + next.seen.length;

t.test('C9 claims of a verified token choose, by their type', async (t) => {
  const rows: [beta: unknown, expected: string][] = [
    [true, 'next'],
    ['true', 'stable'],
    [1, 'stable'],
    [false, 'stable'],
    [null, 'stable'],
    [undefined, 'stable'],
    [['x', true], 'next'],
  ];
  for (const [beta, expected] of rows)
    for (const use of ['first', 'again'])
      t.equal(
        await goesTo(gateway, '/beta', { token: tokenOf({ beta }) }),
        expected,
        `${String(beta)}, ${use}`,
      );
});

t.test('I2 claims of an opaque token are those of the introspection response', async (t) => {
  authority.tokens.set('opaque-yes', { active: true, sub: 'alice', beta: true });
  authority.tokens.set('opaque-no', { active: true, sub: 'alice', beta: 'true' });
  t.equal(await goesTo(gateway, '/asked', { token: 'opaque-yes' }), 'next');
  t.equal(await goesTo(gateway, '/asked', { token: 'opaque-no' }), 'stable');
});

t.test('nothing else that a client sends chooses its upstream', async (t) => {
  const token = tokenOf({ sub: 'mallory' });
  const headers = [
    'beta',
    'true',
    'cookie',
    'beta=true; upstream=next',
    'x-upstream',
    'next',
    'x-user-id',
    'beta',
  ];
  for (const path of ['/beta?beta=true&upstream=next', '/beta/next', '/optional?beta=true'])
    t.equal(await goesTo(gateway, path, { token, headers }), 'stable', path);
  t.equal(await goesTo(gateway, '/optional', { headers }), 'stable', 'B1 without a token');
  const before = seen();
  const forged = mint(other, claimsOf({ beta: true }));
  for (const path of ['/beta', '/optional'])
    t.equal((await send(gateway.url, path, { token: forged })).status, 401);
  t.equal(seen(), before, 'the upstreams saw nothing');
});

t.test('on a report-only route only a token that is valid chooses', async (t) => {
  const forged = mint(other, claimsOf({ beta: true }));
  t.equal(
    await goesTo(gateway, '/reported', { token: tokenOf({ beta: true }) }),
    'next',
    'a scope is missing',
  );
  t.equal(await goesTo(gateway, '/reported', { token: forged }), 'stable', 'a bad signature');
  t.equal(await goesTo(gateway, '/reported'), 'stable', 'no token');
});

t.test('both upstreams get the same of a request', async (t) => {
  const [yes, no] = [tokenOf({ sub: 'alice', beta: true }), tokenOf({ sub: 'alice', beta: false })];
  for (const token of [yes, no])
    await send(gateway.url, '/beta/x?y', { token, headers: ['x-user-id', 'root'] });
  const [there, here] = [next.seen.at(-1), stable.seen.at(-1)];
  t.equal(there?.headers['x-user-id'], 'alice');
  t.equal(there?.url, here?.url);
  t.strictSame(Object.keys(there?.headers ?? {}), Object.keys(here?.headers ?? {}));
  t.equal(there?.headers['x-user-id'], here?.headers['x-user-id']);
});

t.test('by chance, every upstream with a weight gets requests', async (t) => {
  const bodies = new Set<string>();
  // Both after 200 requests, but for once in 10^59 runs.
  for (let request = 0; request < 200 && bodies.size < 2; request++)
    bodies.add(await goesTo(gateway, '/chance'));
  t.strictSame([...bodies].sort(), ['next', 'stable']);
});

/** What a list of subjects gets. */
async function placesOf(to: TestGateway, subjects: readonly string[]): Promise<string[]> {
  const places: string[] = [];
  for (const sub of subjects) places.push(await goesTo(to, '/sticky', { token: tokenOf({ sub }) }));
  return places;
}

const SUBJECTS = Array.from({ length: 16 }, (_, index) => `user-${index}`);

/** Takes a new configuration while the gateway runs. */
function reload(to: TestGateway, configuration: Record<string, unknown>): Promise<void> {
  const text = JSON.stringify(withTestPorts({ realm: 'test', ...configuration }));
  const loaded = {
    configuration: parseConfiguration(text, 'test.json', '/tmp', {}),
    folder: '/tmp',
    file: 'test.json',
  };
  return to.instance.reload(loaded);
}

t.test(
  'a subject keeps its upstream: new tokens, another gateway, a reload, and a canary that grows',
  async (t) => {
    const sticky = (ofStable: number, ofNext: number, ...more: object[]): Record<string, unknown> =>
      configurationOf([route('sticky', { upstream: shares(ofStable, ofNext), sticky: 'subject' }), ...more]);
    const first = await placesOf(gateway, SUBJECTS);
    t.strictSame([...new Set(first)].sort(), ['next', 'stable']);
    t.strictSame(await placesOf(gateway, SUBJECTS), first, 'with new tokens');
    const second = await startGateway(t, sticky(50, 50));
    t.strictSame(await placesOf(second, SUBJECTS), first, 'through another gateway that shares nothing');
    await reload(second, sticky(50, 50, route('more', { upstream: 'next' })));
    t.strictSame(await placesOf(second, SUBJECTS), first, 'after a reload');
    await reload(second, sticky(20, 80));
    const grown = await placesOf(second, SUBJECTS);
    t.ok(grown.filter((place) => place === 'next').length > first.filter((place) => place === 'next').length);
    t.notOk(
      grown.some((place, index) => place === 'stable' && first[index] === 'next'),
      'none goes back',
    );
  },
);

t.test('new weights take effect while requests run: none fails', async (t) => {
  const weighted = (ofStable: number, ofNext: number): Record<string, unknown> =>
    configurationOf([route('w', { upstream: shares(ofStable, ofNext) })]);
  const running = await startGateway(t, weighted(1, 0));
  const token = tokenOf();
  const outcomes = new Set<string>();
  let isDone = false;
  const client = async (): Promise<void> => {
    while (!isDone) outcomes.add(await goesTo(running, '/w', { token }));
  };
  const clients = [client(), client(), client()];
  for (let round = 1; round <= 8; round++) await reload(running, weighted((round + 1) % 2, round % 2));
  await reload(running, weighted(0, 1));
  isDone = true;
  await Promise.all(clients);
  t.strictSame(
    [...outcomes].filter((outcome) => !['stable', 'next'].includes(outcome)),
    [],
  );
  for (let request = 0; request < 10; request++) t.equal(await goesTo(running, '/w', { token }), 'next');
});

const nowhere = async (): Promise<string> => `http://127.0.0.1:${await freePort()}`;

t.test('a retry stays with the upstream that was chosen', async (t) => {
  const canary = { targets: [await nowhere(), next.url] };
  const failing = await startGateway(
    t,
    configurationOf([route('beta', { upstream: [BETA, { name: 'stable' }] })], {
      ...UPSTREAMS,
      next: canary,
    }),
  );
  const before = stable.seen.length;
  const token = tokenOf({ beta: true });
  for (let request = 0; request < 4; request++) t.equal(await goesTo(failing, '/beta', { token }), 'next');
  t.ok((await failing.metric('sallyport_upstream_retries_total{upstream="next"}')) > 0);
  t.equal(stable.seen.length, before, 'the other upstream saw nothing');
});

t.test(
  'where every target of the chosen upstream is down, no other upstream takes over, and it is told',
  async (t) => {
    const dead = { targets: [await nowhere(), await nowhere()], eject: { errors: 1, for: '60s' } };
    const failing = await startGateway(
      t,
      configurationOf([route('beta', { upstream: [BETA, { name: 'stable' }] })], {
        ...UPSTREAMS,
        next: dead,
      }),
    );
    const before = stable.seen.length;
    for (const method of ['GET', 'POST', 'GET', 'GET']) {
      const response = await send(failing.url, '/beta', { method, token: tokenOf({ beta: true }) });
      t.equal(response.status, 502);
      t.equal(response.problem.code, 'upstream_unreachable');
    }
    t.equal(stable.seen.length, before, 'the other upstream saw nothing');
    t.equal(await goesTo(failing, '/beta', { token: tokenOf() }), 'stable', 'other callers do not notice');
    const counted = (upstream: string, code: number): Promise<number> =>
      failing.metric(
        `sallyport_route_upstream_requests_total{route="beta",upstream="${upstream}",code="${code}"}`,
      );
    t.strictSame(
      [await counted('next', 502), await counted('stable', 200), await counted('stable', 502)],
      [4, 1, 0],
    );
    t.equal(
      await failing.metric(`sallyport_upstream_target_healthy{upstream="next",target="${dead.targets[0]}"}`),
      0,
    );
    await until(() => failing.log.filter(({ msg }) => msg === 'request').length === 5);
    const lines = failing.log.filter(({ msg }) => msg === 'request');
    t.strictSame(
      lines.map(({ upstream, status }) => [upstream, status]),
      [...Array<unknown>(4).fill(['next', 502]), ['stable', 200]],
    );
  },
);

t.test('log, metrics and status name the upstreams of a list', async (t) => {
  const telling = await startGateway(
    t,
    configurationOf([
      route('sticky', { upstream: [BETA, ...shares(95, 5)], sticky: 'subject' }),
      route('one', { upstream: 'stable' }),
    ]),
  );
  await send(telling.url, '/sticky', { token: tokenOf({ beta: true }) });
  await send(telling.url, '/one', { token: tokenOf() });
  const before = seen();
  await send(telling.url, '/sticky');
  t.equal(seen(), before, 'the upstreams saw nothing');
  await until(() => telling.log.filter(({ msg }) => msg === 'request').length === 3);
  const lines = telling.log.filter(({ msg }) => msg === 'request');
  t.strictSame(
    lines.map(({ upstream }) => upstream),
    ['next', 'stable', undefined],
    'a refused request has none',
  );
  const requests = 'sallyport_route_upstream_requests_total';
  t.equal(await telling.metric(`${requests}{route="sticky",upstream="next",code="200"}`), 1);
  t.equal(await telling.metric('sallyport_upstream_request_duration_seconds_count{upstream="next"}'), 1);
  t.equal(await telling.metric('sallyport_upstream_request_duration_seconds_count{upstream="stable"}'), 1);
  const text = await (await telling.admin('GET', '/metrics')).text();
  t.equal(
    text.match(/^sallyport_route_upstream_requests_total\{/gm)?.length,
    1,
    'what was refused is not counted',
  );
  const status = (await (await telling.admin('GET', '/v1/status')).json()) as {
    routes: { upstream: string }[];
  };
  t.strictSame(
    status.routes.map(({ upstream }) => upstream),
    ['next if beta in true; stable 95 %, next 5 %, sticky', 'stable'],
  );
});

t.test('a WebSocket goes to the upstream that the claims choose', async (t) => {
  const echo = await startEcho(t);
  const plain = await startServer(t, (_request, response) => response.writeHead(200).end());
  const upgrading = await startGateway(
    t,
    configurationOf([route('ws', { upstream: [BETA, { name: 'stable' }], upgrade: ['websocket'] })], {
      stable: { targets: [plain] },
      next: { targets: [echo] },
    }),
  );
  const url = `${upgrading.url.replace('http', 'ws')}/ws`;
  const open = (beta: boolean): WebSocket =>
    new WebSocket(url, { headers: { authorization: `Bearer ${tokenOf({ beta })}` } });
  const socket = open(true);
  await once(socket, 'open');
  socket.send('hello');
  const [data] = (await once(socket, 'message')) as [Buffer];
  t.equal(data.toString(), 'hello');
  socket.terminate();
  const refused = open(false);
  const [error] = (await once(refused, 'error')) as [Error];
  t.match(error.message, /200|502/, 'the other upstream opens none');
});

/** `aud` of the assertion in these headers. */
function audienceIn(headers: Readonly<Record<string, unknown>> = {}): unknown {
  const [, claims = ''] = String(headers['x-identity-assertion']).split('.');
  return (JSON.parse(Buffer.from(claims, 'base64url').toString()) as { aud: unknown }).aud;
}

async function withAssertions(t: Test, listeners: readonly object[]): Promise<TestGateway> {
  const folder = temporaryFolder(t);
  writeFileSync(
    join(folder, 'identity.jwk'),
    JSON.stringify(createKey('EdDSA').privateKey.export({ format: 'jwk' })),
  );
  const configuration = configurationOf([route('beta', { upstream: [BETA, { name: 'stable' }] })]);
  return startGateway(
    t,
    { ...configuration, listeners, identity: { assertion: { key_file: 'identity.jwk' } } },
    { folder },
  );
}

t.test(
  'an assertion is for the upstream that gets the request; behind another proxy, for each of the list',
  async (t) => {
    const listener = { host: '127.0.0.1', port: 0 };
    const asked = { ...listener, serve: 'decisions', dialect: 'request', trusted_peers: ['127.0.0.1'] };
    const signing = await withAssertions(t, [listener, asked]);
    const token = tokenOf({ beta: true });
    for (const use of ['first', 'again']) {
      await send(signing.url, '/beta', { token });
      t.equal(audienceIn(next.seen.at(-1)?.headers), 'next', use);
    }
    await send(signing.url, '/beta', { token: tokenOf() });
    t.equal(audienceIn(stable.seen.at(-1)?.headers), 'stable');
    const decisions = `http://127.0.0.1:${signing.instance.listeners[1]?.address.port}`;
    const before = seen();
    const allowed = await send(decisions, '/beta', { token });
    t.equal(allowed.status, 200);
    t.strictSame(audienceIn(allowed.headers), ['next', 'stable']);
    t.equal(seen(), before, 'a decision forwards nothing');
  },
);

/** The line of a request: what it says, at which level, and which requests get none. Rules A5, A6. */
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { send, sendRaw } from '../support/client.ts';
import { loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { startRawUpstream, startUpstream } from '../support/upstream.ts';

const key = createKey();
const stranger = createKey('ES256', 'a key that is not\nin the key set');

interface Line extends Record<string, unknown> {
  readonly auth?: Record<string, unknown>;
}

/** Members of all lines of this file, with a dot before those of `auth`. */
const members = new Set<string>();

/** The lines of requests, once there are so many. */
async function lines(gateway: TestGateway, count: number, from = 0): Promise<Line[]> {
  const found = (): Line[] => gateway.log.slice(from).filter(({ msg }) => msg === 'request');
  await until(() => found().length >= count);
  for (const line of found()) {
    for (const member of Object.keys(line)) members.add(member);
    for (const member of Object.keys(line.auth ?? {})) members.add(`auth.${member}`);
  }
  return found();
}

/** An upstream that responds with the status in the path: /orders/404. */
const start = async (t: Test, more: Record<string, unknown> = {}, clock?: ManualClock) => {
  const upstream = await startUpstream(t, ({ url = '' }, response) => {
    response.statusCode = Number(/\d+/.exec(url)?.[0] ?? 200);
    response.end('ok');
  });
  const gateway = await startGateway(
    t,
    {
      issuers: { login: loginIssuer(key) },
      routes: [
        { name: 'orders', match: { path_prefix: '/orders' }, upstream: 'u', auth: { scopes: ['a', 'b'] } },
        { name: 'dead', match: { path_prefix: '/dead' }, upstream: 'dead', auth: { mode: 'none' } },
        { name: 'public', match: { path_prefix: '/public' }, upstream: 'u', auth: { mode: 'none' } },
      ],
      upstreams: { u: { targets: [upstream.url] }, dead: { targets: ['http://127.0.0.1:1'] } },
      ...more,
    },
    clock ? { clock } : {},
  );
  return { upstream, gateway, token: mint(key, claimsOf({ scope: 'a b' })) };
};

t.test('a line says who asked for what, how, and which target responded', async (t) => {
  const { upstream, gateway, token } = await start(t);
  await send(gateway.url, '/orders/404?secret=1', {
    token,
    headers: ['host', 'API.example.com', 'user-agent', 'curl/8'],
  });
  const [line] = await lines(gateway, 1);
  t.match(line, {
    level: 'info',
    route: 'orders',
    method: 'GET',
    scheme: 'http',
    host: 'api.example.com',
    path: '/orders/404',
    protocol: 'HTTP/1.1',
    status: 404,
    upstream: 'u',
    target: upstream.url,
    upstream_status: 404,
    user_agent: 'curl/8',
    auth: { decision: 'allow', reason: 'ok', issuer: 'login', client_id: 'web' },
  });
  t.notOk('retries' in (line ?? {}), 'there was no retry');
  t.notOk('sample' in (line ?? {}), 'every request has its line');
});

t.test('the level is a warning for a 5xx of the gateway, and for none that an upstream sent', async (t) => {
  const { gateway, token } = await start(t);
  await send(gateway.url, '/orders/503', { token });
  await send(gateway.url, '/orders/200', {});
  await send(gateway.url, '/dead', {});
  const [theirs, refused, ours] = await lines(gateway, 3);
  t.match(theirs, { level: 'info', status: 503, upstream_status: 503 });
  t.match(refused, { level: 'info', status: 401 });
  t.match(ours, { level: 'warn', status: 502, target: 'http://127.0.0.1:1', error: 'upstream_unreachable' });
  t.notOk('upstream_status' in (ours ?? {}), 'no response came');
});

t.test('a response that its upstream breaks off is a warning, whatever its status', async (t) => {
  const upstream = await startRawUpstream(t, (socket) => {
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfour');
  });
  const { gateway } = await start(t, {
    upstreams: { u: { targets: [upstream.url] }, dead: { targets: [upstream.url] } },
  });
  await send(gateway.url, '/public').catch(() => undefined);
  const [line] = await lines(gateway, 1);
  t.match(line, { level: 'warn', status: 200, upstream_status: 200, error: /^upstream_/ });
});

t.test('retries are counted, and the target is the last one', async (t) => {
  const upstream = await startUpstream(t);
  const dead = 'http://127.0.0.1:1';
  const own = await startGateway(t, {
    routes: [{ name: 'r', match: {}, upstream: 'u', auth: { mode: 'none' }, retries: { attempts: 2 } }],
    upstreams: { u: { targets: [dead, upstream.url] } },
  });
  for (let sent = 0; sent < 4; sent++) await send(own.url, '/200');
  const found = await lines(own, 4);
  t.ok(found.some(({ retries }) => retries === 1));
  for (const line of found) t.match(line, { status: 200, target: upstream.url, upstream_status: 200 });
});

t.test('A5 a 403 says which scopes are missing', async (t) => {
  const { upstream, gateway } = await start(t);
  await send(gateway.url, '/orders/200', { token: mint(key, claimsOf({ scope: 'a c' })) });
  const [line] = await lines(gateway, 1);
  t.match(line, { status: 403, auth: { reason: 'insufficient_scope', missing_scope: 'b' } });
  t.notMatch(JSON.stringify(line), /"c"/);
  t.equal(upstream.seen.length, 0);
});

t.test(
  'A5 A6 an unknown kid and an unknown iss are logged, bounded and escaped, and no other claim',
  async (t) => {
    const { upstream, gateway } = await start(t);
    const claims = claimsOf({ sub: 'claim-not-to-be-logged', scope: 'a b' });
    await send(gateway.url, '/orders/200', { token: mint(stranger, claims) });
    const iss = `https://${'x'.repeat(500)}.example`;
    await send(gateway.url, '/orders/200', { token: mint(key, { ...claims, iss }) });
    await send(gateway.url, '/orders/200', {
      token: mint(key, { ...claims, iss: `${ISSUER}\u001b[31m\u202e` }),
    });
    const [unknownKey, unknownIssuer, escaped] = await lines(gateway, 3);
    t.match(unknownKey?.auth, { reason: 'unknown_key', issuer: 'login', kid: stranger.kid });
    t.notOk('iss' in (unknownKey?.auth ?? {}));
    t.match(unknownIssuer?.auth, { reason: 'unknown_issuer', iss: `${iss.slice(0, 256)}...` });
    t.match(escaped?.auth, { iss: `${ISSUER}\u001b[31m\u202e` });
    t.notMatch(JSON.stringify([unknownKey, unknownIssuer, escaped]), /claim-not-to-be-logged/);
    t.equal(upstream.seen.length, 0);
  },
);

t.test('A6 a User-Agent is cut at 256 characters', async (t) => {
  const { gateway } = await start(t);
  const agent = `\t"\\${'x'.repeat(300)}`;
  await sendRaw(
    gateway.port,
    `GET /public/200 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser-Agent: curl${agent}\r\n\r\n`,
  );
  const [line] = await lines(gateway, 1);
  t.equal(line?.['user_agent'], `curl${agent}`.slice(0, 256) + '...');
});

t.test('sample: a share of the successful requests has lines, each failure has its own', async (t) => {
  const { gateway, token } = await start(t, { log: { sample: 0 } });
  for (const path of ['/orders/200', '/orders/204', '/public/200']) await send(gateway.url, path, { token });
  await send(gateway.url, '/orders/404', { token });
  await send(gateway.url, '/orders/200', { token: 'bad' });
  await send(gateway.url, '/dead');
  t.strictSame(
    (await lines(gateway, 3)).map(({ status }) => status),
    [404, 401, 502],
  );
  t.equal(
    await gateway.metric(
      'sallyport_http_requests_total{route="orders",method="GET",code="200",source="upstream"}',
    ),
    1,
  );
});

t.test('refusals: the first of a reason and route in a second, then one line with the rest', async (t) => {
  const clock = new ManualClock();
  const { upstream, gateway, token } = await start(t, { log: { refusals: 2 } }, clock);
  const flood = async (count: number, path: string): Promise<void> => {
    for (let sent = 0; sent < count; sent++) await send(gateway.url, path, { token: 'not-a-jwt' });
  };
  const counts = (): Record<string, unknown>[] =>
    gateway.log.flatMap(({ left_out, route, reason, level }) =>
      left_out === undefined ? [] : [{ left_out, route, reason, level }],
    );
  await flood(5, '/orders/200');
  await flood(3, '/none');
  await send(gateway.url, '/orders/200');
  await send(gateway.url, '/orders/200', { token });
  const found = await lines(gateway, 6);
  t.strictSame(
    found.map(({ status, auth }) => [status, auth?.['reason']]),
    [
      [401, 'malformed'],
      [401, 'malformed'],
      [404, undefined],
      [404, undefined],
      [401, 'missing'],
      [200, 'ok'],
    ],
  );
  clock.advance(1_000);
  t.strictSame(counts(), [
    { left_out: 3, route: 'orders', reason: 'malformed', level: 'info' },
    { left_out: 1, route: 'unmatched', reason: 'no_route', level: 'info' },
  ]);
  t.equal(
    await gateway.metric(
      'sallyport_auth_decisions_total{route="orders",issuer="",decision="deny",reason="malformed"}',
    ),
    5,
    'the metric has them all',
  );
  const from = gateway.log.length;
  await flood(3, '/orders/200');
  t.equal((await lines(gateway, 2, from)).length, 2, 'another second');
  await gateway.stop();
  t.match(counts().at(-1), { left_out: 1 }, 'what is left out in the last second is told at the end');
  t.equal(upstream.seen.length, 1);
});

t.test('refusals: 0 writes the line of each', async (t) => {
  const { gateway } = await start(t, { log: { refusals: 0 } });
  const COUNT = 120;
  for (let sent = 0; sent < COUNT; sent++) await send(gateway.url, '/none');
  t.equal((await lines(gateway, COUNT)).length, COUNT);
});

t.test('sub_hash is HMAC-SHA-256 with log_key, its first 16 characters in base64url', async (t) => {
  const { gateway, token } = await start(t, { log_key: 'fleet' });
  await send(gateway.url, '/orders/200', { token });
  const [line] = await lines(gateway, 1);
  const hashBy = (key: string): string =>
    createHmac('sha256', key).update('alice').digest('base64url').slice(0, 16);
  t.equal(line?.auth?.['sub_hash'], hashBy('fleet'));
  const { configuration } = gateway.loaded;
  await gateway.instance.reload({ ...gateway.loaded, configuration: { ...configuration, log_key: 'new' } });
  await send(gateway.url, '/orders/200', { token });
  const [, later] = await lines(gateway, 2);
  t.equal(later?.auth?.['sub_hash'], hashBy('new'), 'a new key counts from a reload on');
});

t.test('every member of a line is in the reference', async (t) => {
  const reference = readFileSync(new URL('../../docs/reference.md', import.meta.url), 'utf8');
  const [section = ''] = /^## Log$[^]*/m.exec(reference) ?? [];
  const documented = new Set(
    [...section.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, names = '']) =>
      [...names.matchAll(/`([\w.]+)`/g)].map(([, name = '']) => name),
    ),
  );
  t.ok(members.size > 20);
  const undocumented = [...members].filter((name) => !documented.has(name));
  t.strictSame(undocumented.sort(), ['auth', 'msg', 'time']);
});

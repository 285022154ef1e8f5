/** HTTP/2 in plaintext by prior knowledge (RFC 9113 sections 3.3 and 3.4), beside HTTP/1.1 on one port. Rules C13, C27, H18, H19, H20. */
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { connect, type ClientHttp2Session } from 'node:http2';
import { connect as connectPlain } from 'node:net';
import t, { type Test } from 'tap';
import { statuses } from '../support/client.ts';
import { handled, loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { responseOf, type Http2Response } from '../support/http2.ts';
import { ManualClock } from '../support/manual-clock.ts';
import {
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  PREFACE,
  RawHttp2,
  requestBlock,
  uint32,
} from '../support/raw-http2.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startUpstream, type HttpUpstream } from '../support/upstream.ts';

const key = createKey('EdDSA');
const BOTH = ['h2c', 'http/1.1'];
/** An HTTP/1.1 request, and one with the text of a preface behind it. */
const ASK = 'GET /open HTTP/1.1\r\nHost: a\r\n\r\n';
const SETTINGS = frame(FRAME.settings, 0, 0);
const get = (stream: number, path: string, ...fields: readonly string[]): Buffer =>
  frame(FRAME.headers, END_HEADERS | END_STREAM, stream, requestBlock('GET', path, ...fields));

interface Scene {
  readonly gateway: TestGateway;
  readonly upstream: HttpUpstream;
  /** Of a client in HTTP/2. */
  readonly session: ClientHttp2Session;
  readonly ask: (path: string, headers?: Record<string, string>, body?: string) => Promise<Http2Response>;
}

async function start(
  t: Test,
  {
    listener = {},
    more = {},
    clock,
    response,
  }: {
    listener?: Record<string, unknown>;
    more?: Record<string, unknown>;
    clock?: ManualClock;
    response?: RequestListener;
  } = {},
): Promise<Scene> {
  const upstream = await startUpstream(t, response);
  const gateway = await startGateway(
    t,
    {
      listeners: [{ host: '127.0.0.1', port: 0, protocols: BOTH, ...listener }],
      issuers: { login: loginIssuer(key) },
      timeouts: { drain: '1s' },
      routes: [
        { name: 'all', match: {}, upstream: 'u' },
        { name: 'open', match: { path_prefix: '/open' }, upstream: 'u', auth: { mode: 'none' } },
      ],
      upstreams: { u: { targets: [upstream.url] } },
      ...more,
    },
    clock && { clock },
  );
  const session = connect(gateway.url);
  session.on('error', () => undefined);
  t.teardown(() => session.destroy());
  const ask: Scene['ask'] = (path, headers = {}, body) =>
    responseOf(session.request({ ':path': path, ...headers }, { endStream: body === undefined }), body);
  return { gateway, upstream, session, ask };
}

const answered = (client: RawHttp2, stream: number): boolean =>
  client.of(stream).some(({ flags, type }) => type !== FRAME.windowUpdate && (flags & END_STREAM) !== 0);

t.test('one port serves HTTP/2 and HTTP/1.1, and decides both by the same rules', async (t) => {
  const { gateway, upstream, ask } = await start(t);
  const token = mint(key);
  t.match(await ask('/a'), { status: 401, code: 'missing_token' });
  t.strictSame(upstream.seen, [], 'the upstream saw nothing');
  const passed = await ask(
    '/a',
    { ':method': 'POST', authorization: `Bearer ${token}`, 'x-forwarded-proto': 'https' },
    'body',
  );
  t.match(passed, { status: 200, rstCode: 0 });
  t.match(upstream.seen[0], {
    method: 'POST',
    headers: { 'x-forwarded-proto': 'http', 'x-forwarded-for': '127.0.0.1', via: /^2\.0 / },
  });
  t.strictSame(statuses(await sendParts(t, gateway, [ASK])), [200]);
  t.strictSame(statuses(await sendParts(t, gateway, ['GET /a HTTP/1.1\r\nHost: a\r\n\r\n'])), [401]);
  t.match(upstream.seen[1]?.headers, { via: /^1\.1 / });
});

t.test('h2c alone serves no HTTP/1.1, and without h2c its preface is refused', async (t) => {
  const { gateway, upstream, ask } = await start(t, { listener: { protocols: ['h2c'] } });
  t.equal((await ask('/open')).status, 200);
  t.notMatch(await sendParts(t, gateway, [ASK]), /^HTTP/);
  const other = await start(t, { listener: { protocols: ['http/1.1'] } });
  t.strictSame(statuses(await sendParts(t, other.gateway, [PREFACE])), [400]);
  t.equal(upstream.seen.length + other.upstream.seen.length, 1);
});

t.test('the preface may come byte by byte, with or before what follows it', async (t) => {
  const { gateway } = await start(t);
  const one = await RawHttp2.connectPlain(t, gateway.port);
  for (const byte of Buffer.from(PREFACE)) {
    one.send(Buffer.from([byte]));
    await (await fetch(`${gateway.adminUrl}/livez`)).arrayBuffer();
  }
  one.send(SETTINGS, get(1, '/open'));
  await until(() => answered(one, 1));
  const cut = Buffer.concat([Buffer.from(PREFACE), SETTINGS, get(1, '/open')]);
  for (const at of [1, 3, 23, 24, 25, 40]) {
    const client = await RawHttp2.connectPlain(t, gateway.port);
    client.send(cut.subarray(0, at));
    await handled(gateway);
    client.send(cut.subarray(at));
    await until(() => answered(client, 1));
    client.destroy();
  }
  t.pass('served');
});

t.test('C13 what only begins like a preface is HTTP/1.1, and so is a preface behind a request', async (t) => {
  const { gateway, upstream } = await start(t);
  const requests: Record<string, [parts: string[], statuses: number[]]> = {
    'a method that begins like it': [['P', 'R', 'OPFIND /open HTTP/1.1\r\nHost: a\r\n\r\n'], [200]],
    'two requests, the first in pieces': [
      ['P', `OST /open HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok${ASK}`],
      [200, 200],
    ],
    'another version': [['PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n'], [400]],
    'another end': [['PRI * HTTP/2.0\r\n\r\n', 'XX\r\n\r\n'], [400]],
    'its first part, and the end': [['PRI * HT'], [400]],
    'a preface behind a request': [[`${ASK}${PREFACE}`], [200, 400]],
    'a preface on a connection that has served a request': [
      [ASK, PREFACE],
      [200, 400],
    ],
    'h2c in Upgrade': [
      [
        'GET /open HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n',
      ],
      [200],
    ],
  };
  for (const [name, [parts, expected]] of Object.entries(requests)) {
    const before = upstream.seen.length;
    const client = await sendParts(t, gateway, parts);
    t.strictSame(statuses(client), expected, name);
    const passed = expected.filter((status) => status === 200).length;
    t.equal(upstream.seen.length - before, passed, `${name}: the upstream saw no other request`);
  }
  t.strictSame(
    upstream.seen.filter(({ headers }) => headers.upgrade !== undefined),
    [],
  );
});

/** Sends each part once the one before it was looked at; returns what came until the gateway closed, or the client's end. */
async function sendParts(t: Test, gateway: TestGateway, parts: readonly string[]): Promise<string> {
  const socket = connectPlain({ port: gateway.port, host: '127.0.0.1', noDelay: true });
  t.teardown(() => socket.destroy());
  let received = '';
  socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  const closed = once(socket, 'close');
  for (const part of parts) {
    socket.write(part, 'latin1');
    await handled(gateway);
  }
  socket.end();
  await closed;
  return received;
}

t.test('H19 a slow preface times out like slow headers; so does one without a request', async (t) => {
  const clock = new ManualClock();
  const { gateway, upstream } = await start(t, { clock, more: { timeouts: { headers: '10m' } } });
  const slow = await RawHttp2.connectPlain(t, gateway.port);
  const silent = await RawHttp2.connectPlain(t, gateway.port);
  const idle = await RawHttp2.connectPlain(t, gateway.port);
  slow.send(Buffer.from('PRI *'));
  idle.send(Buffer.from('PRI *'));
  await handled(gateway);
  clock.advance(590_000);
  idle.send(Buffer.from(PREFACE.slice(5)), SETTINGS);
  await until(() => idle.of(0).length > 0);
  t.notOk(slow.closed || silent.closed || idle.closed);
  clock.advance(11_000);
  await until(() => idle.closed);
  await until(() => slow.text.includes('408') && silent.text.includes('408'));
  clock.advance(3_000);
  await until(() => slow.closed && silent.closed);
  t.strictSame(upstream.seen, []);
});

t.test('a drain tells its clients to go, serves what is in flight, and waits for no preface', async (t) => {
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const { gateway, session, ask } = await start(t, {
    more: { timeouts: { drain: '10m', headers: '10m' } },
    response: (_request, response) => void held.then(() => response.end('late')),
  });
  const undecided = await RawHttp2.connectPlain(t, gateway.port);
  undecided.send(Buffer.from('PRI'));
  const response = ask('/open');
  await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 1);
  const stopping = gateway.stop();
  await once(session, 'goaway');
  release();
  t.equal((await response).body, 'late');
  await stopping;
  await until(() => session.destroyed && undecided.closed);
});

t.test('limits and checks of HTTP/2 hold: fields, sizes, resets, connections', async (t) => {
  const { gateway, upstream, ask } = await start(t, { more: { limits: { connections: 3 } } });
  t.match(await ask('/open', { 'x-large': 'a'.repeat(20_000) }), { status: 431 });
  t.match(await ask(`/open/${'a'.repeat(10_000)}`), { status: 414 });
  const many = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`x-${index}`, '1']));
  t.match(await ask('/open', many), { status: 431 });
  const raw = async (): Promise<RawHttp2> => {
    const client = await RawHttp2.connectPlain(t, gateway.port);
    client.send(Buffer.from(PREFACE), SETTINGS);
    return client;
  };
  const fields = await raw();
  fields.send(get(1, '/open', 'x-a', 'b\0'), get(3, '/open', 'host', 'other'));
  await until(() => answered(fields, 1) && answered(fields, 3));
  t.strictSame(upstream.seen, [], 'C27 H7 H18 the upstream saw nothing');
  fields.send(get(5, '/open', 'host', 'api.example.com:80'));
  await until(() => answered(fields, 5));
  t.equal(upstream.seen.length, 1, 'the default port is that of http');
  const flood = await raw();
  for (let stream = 1; stream < 10_000; stream += 2)
    flood.send(get(stream, '/open'), frame(FRAME.resetStream, 0, stream, uint32(8)));
  await until(() => flood.closed);
  t.ok(upstream.seen.length < 1_000, 'H20 rapid reset ends the connection');
  const third = await raw();
  await until(() => third.of(0).length > 0);
  const fourth = await RawHttp2.connectPlain(t, gateway.port);
  await until(() => fourth.closed);
  fields.end();
  await until(() => fields.closed);
  t.equal((await ask('/open')).status, 200);
});

t.test('a decision listener speaks it, and a trusted proxy says what its clients use', async (t) => {
  const listener = { serve: 'decisions', dialect: 'request', trusted_peers: ['127.0.0.1'] };
  const { ask, upstream } = await start(t, { listener });
  t.equal((await ask('/a')).status, 401);
  t.match(await ask('/a', { authorization: `Bearer ${mint(key)}` }), {
    status: 200,
    headers: { 'x-user-id': /./ },
  });
  t.strictSame(upstream.seen, [], 'a decision forwards nothing');
  const behind = await start(t, { more: { trusted_proxies: ['127.0.0.1'] } });
  t.equal(
    (await behind.ask('/open', { 'x-forwarded-proto': 'https', 'x-forwarded-for': '10.0.0.1' })).status,
    200,
  );
  t.match(behind.upstream.seen[0]?.headers, {
    'x-forwarded-proto': 'https',
    'x-forwarded-for': '10.0.0.1, 127.0.0.1',
  });
});

t.test(
  'H20 streams end with their responses, so that a connection serves any number of failed uploads',
  async (t) => {
    const { ask } = await start(t, { more: { upstreams: { u: { targets: ['http://127.0.0.1:1'] } } } });
    const statuses = new Map<number, number>();
    // More than the streams that a connection may have at a time.
    for (let round = 0; round < 300; round++) {
      const { status } = await ask('/open', { ':method': 'POST' }, 'body');
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    t.strictSame([...statuses], [[502, 300]]);
  },
);

/** What is in flight when its token is revoked or expires. Rule V10. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { get as httpGet, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import t, { type Test } from 'tap';
import { WebSocket, WebSocketServer } from 'ws';
import { send } from '../support/client.ts';
import { advance, loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { FramePassage } from '../../src/server/websocket-frames.ts';
import { startServer } from '../support/upstream.ts';

const key = createKey('EdDSA');

const LONG = { response: '24h', idle: '24h' };

interface Stage {
  readonly gateway: TestGateway;
  readonly clock: ManualClock;
  readonly upstreamSockets: Set<Socket>;
  readonly received: string[];
  /** Of the WebSockets. */
  readonly echoPort: number;
}

/** Whether the system looks after silence on each connection of this process at a port (Linux). */
function keepsAlive(port: number): boolean[] {
  const hex = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return (
    readFileSync('/proc/self/net/tcp', 'latin1')
      .split('\n')
      .map((line) => line.trim().split(/ +/))
      .filter(
        ([, local, remote, state]) => state === '01' && [local, remote].some((end) => end?.endsWith(hex)),
      )
      // The timer that is set: 02 is that of keepalive.
      .map(([, , , , , timer = '']) => timer.startsWith('02:'))
  );
}

/** An upstream with a WebSocket that echoes, an event stream, and a download that never ends by itself. */
async function setStage(t: Test): Promise<Stage> {
  const upstreamSockets = new Set<Socket>();
  const received: string[] = [];
  const url = await startServer(t, (request: IncomingMessage, response: ServerResponse) => {
    upstreamSockets.add(request.socket);
    request.socket.on('close', () => upstreamSockets.delete(request.socket));
    if (request.url?.includes('wait') === true) return;
    const isEvents = request.url?.includes('events') === true;
    response.writeHead(200, { 'content-type': isEvents ? 'text/event-stream' : 'application/octet-stream' });
    const timer = setInterval(() => response.write(isEvents ? 'data: tick\n\n' : 'x'), 10);
    response.on('close', () => clearInterval(timer));
  });
  const echo = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(echo, 'listening');
  t.teardown(() => {
    for (const client of echo.clients) client.terminate();
    echo.close();
  });
  echo.on('connection', (socket) => {
    socket.on('message', (data: Buffer) => {
      received.push(data.toString());
      socket.send(data.toString());
    });
    socket.on('error', () => undefined);
  });
  const echoPort = (echo.address() as AddressInfo).port;
  const clock = new ManualClock();
  const gateway = await startGateway(
    t,
    {
      listeners: [{ host: '127.0.0.1', port: 0, protocols: ['h2c', 'http/1.1'] }],
      issuers: { login: loginIssuer(key) },
      // Time flies in these tests, and pauses in a response with it.
      timeouts: { idle: '24h', drain: '100ms' },
      routes: [
        { name: 'http', match: { path_prefix: '/' }, upstream: 'http', timeouts: LONG },
        {
          name: 'kept',
          match: { path_prefix: '/kept' },
          upstream: 'http',
          timeouts: LONG,
          streams: { expired: 'keep' },
        },
        { name: 'ws', match: { path_prefix: '/ws' }, upstream: 'ws', upgrade: ['websocket'] },
      ],
      upstreams: {
        http: { targets: [url] },
        ws: { targets: [`http://127.0.0.1:${echoPort}`] },
      },
    },
    { clock },
  );
  return { gateway, clock, upstreamSockets, received, echoPort };
}

/** A response that goes on; `ended` resolves with how it ended. */
async function open(
  gateway: TestGateway,
  path: string,
  token: string,
  more: Record<string, string> = {},
): Promise<{ ended: Promise<string> }> {
  const headers = { authorization: `Bearer ${token}`, ...more };
  const request = httpGet(`${gateway.url}${path}`, { headers });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  await once(response, 'data');
  const { promise: ended, resolve } = Promise.withResolvers<string>();
  response.resume();
  response.on('error', () => resolve('broken'));
  response.on('end', () => resolve('whole'));
  return { ended };
}

async function connect(gateway: TestGateway, token: string): Promise<WebSocket> {
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws`, {
    headers: { authorization: `Bearer ${token}` },
  });
  await once(socket, 'open');
  socket.send('hello');
  await once(socket, 'message');
  return socket;
}

const revokeSubject = (gateway: TestGateway, subject: string): Promise<Response> =>
  gateway.admin('POST', '/v1/revocations', { issuer: ISSUER, subject });

t.test(
  'a WebSocket whose client or service is gone without a word is noticed by the system',
  { skip: process.platform !== 'linux' && 'reads /proc/net/tcp' },
  async (t) => {
    const { gateway, echoPort } = await setStage(t);
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws`, {
      headers: { authorization: `Bearer ${mint(key)}` },
    });
    t.teardown(() => socket.terminate());
    await once(socket, 'open');
    for (const port of [Number(new URL(gateway.url).port), echoPort]) {
      // Both ends are in this process; the gateway's is the one with the timer, once what it sent last is acknowledged.
      await until(() => keepsAlive(port).includes(true));
      t.strictSame(keepsAlive(port).toSorted(), [false, true]);
    }
  },
);

t.test('V10 a revoked token ends its WebSocket with 1008, its event stream and its download', async (t) => {
  const { gateway, upstreamSockets, received } = await setStage(t);
  const [alice, bob] = [mint(key, claimsOf({ sub: 'alice' })), mint(key, claimsOf({ sub: 'bob' }))];
  const [socket, other] = await Promise.all([connect(gateway, alice), connect(gateway, bob)]);
  const [events, download, others] = await Promise.all([
    open(gateway, '/events', alice),
    open(gateway, '/file', alice),
    open(gateway, '/events', bob),
  ]);
  t.equal(upstreamSockets.size, 3);
  const closed = once(socket, 'close') as Promise<[code: number]>;
  t.equal((await revokeSubject(gateway, 'alice')).status, 201);
  const sinceMs = performance.now();
  t.equal((await closed)[0], 1008);
  t.strictSame(await Promise.all([events.ended, download.ended]), ['broken', 'broken']);
  t.comment(`all ended ${(performance.now() - sinceMs).toFixed(0)} ms after the API had answered`);
  await until(() => upstreamSockets.size === 1);
  t.equal(await gateway.metric('sallyport_streams_closed_total{reason="revoked"}'), 3);

  other.send('still here');
  await once(other, 'message');
  t.equal(received.at(-1), 'still here', 'what belongs to another token goes on');
  // The log says why, a line for each.
  const why = (line: Record<string, unknown>): boolean => line['error'] === 'token_revoked';
  await until(() => gateway.log.filter(why).length === 3);
  await revokeSubject(gateway, 'bob');
  t.equal(await others.ended, 'broken');
});

t.test(
  'V10 H15 a request that says that it is gRPC gets no clean end of a response that is none',
  async (t) => {
    const { gateway, upstreamSockets } = await setStage(t);
    const token = mint(key, claimsOf({ sub: 'alice' }));
    const grpc = { 'content-type': 'application/grpc' };
    const [events, download] = await Promise.all([
      open(gateway, '/events', token, grpc),
      open(gateway, '/file', token, grpc),
    ]);
    const session = connectHttp2(gateway.url);
    t.teardown(() => session.destroy());
    const stream = session.request({ ':path': '/file', authorization: `Bearer ${token}`, ...grpc });
    stream.on('error', () => undefined).resume();
    await once(stream, 'data');
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    stream.on('close', resolve);
    t.equal(upstreamSockets.size, 3);
    t.equal((await revokeSubject(gateway, 'alice')).status, 201);
    t.strictSame(await Promise.all([events.ended, download.ended]), ['broken', 'broken']);
    await closed;
    t.not(stream.rstCode, 0, 'the stream is reset');
    await until(() => upstreamSockets.size === 0);
  },
);

t.test(
  'V10 an expired token ends tunnels and event streams, unless the route keeps them; never downloads',
  async (t) => {
    const { gateway, clock } = await setStage(t);
    const token = mint(key);
    const socket = await connect(gateway, token);
    const [events, kept, download] = await Promise.all([
      open(gateway, '/events', token),
      open(gateway, '/kept/events', token),
      open(gateway, '/file', token),
    ]);
    const closed = once(socket, 'close') as Promise<[code: number]>;
    await advance(gateway, clock, 600_000);
    const stillOpen = Symbol('open');
    const state = (ended: Promise<string>): Promise<unknown> =>
      Promise.race([ended, Promise.resolve(stillOpen)]);
    t.equal(await state(events.ended), stillOpen, 'within the clock skew');
    await advance(gateway, clock, 31_000);
    t.equal((await closed)[0], 1008);
    t.equal(await events.ended, 'broken');
    t.equal((await send(gateway.url, '/file', { token })).status, 401, 'nothing new begins');
    t.equal(await state(kept.ended), stillOpen);
    t.equal(await state(download.ended), stillOpen);
    t.equal(await gateway.metric('sallyport_streams_closed_total{reason="expired"}'), 2);
  },
);

t.test(
  'V10 V15 a call of gRPC that waits for its first message ends when its token expires, unless the route keeps it',
  async (t) => {
    const { gateway, clock, upstreamSockets } = await setStage(t);
    const session = connectHttp2(gateway.url);
    t.teardown(() => session.destroy());
    // It expires in 2 s, with the clock skew of 30 s.
    const iat = Math.floor(clock.nowMs() / 1_000);
    const authorization = `Bearer ${mint(key, claimsOf({ iat, exp: iat - 28 }))}`;
    const call = (path: string, type: string) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': type,
        authorization,
      });
      stream.on('error', () => undefined);
      stream.write('x');
      return stream;
    };
    const ends = [call('/wait', 'application/grpc'), call('/wait', 'application/grpc-web+proto')];
    const others = [call('/kept/wait', 'application/grpc'), call('/wait', 'text/plain')];
    const responses = ends.map(async (stream) => {
      const [headers] = (await once(stream, 'response')) as [Record<string, string>];
      return [headers[':status'], headers['grpc-status'], headers['www-authenticate']];
    });
    await until(() => upstreamSockets.size === 4);
    clock.advance(800);
    t.equal(upstreamSockets.size, 4, 'within the clock skew');
    clock.advance(2_000);
    const refused = [200, '16', 'Bearer realm="test", error="invalid_token"'];
    t.strictSame(await Promise.all(responses), [refused, refused]);
    await until(() => upstreamSockets.size === 2);
    t.ok(others.every(({ closed }) => !closed));
    t.equal(await gateway.metric('sallyport_streams_closed_total{reason="expired"}'), 2);
  },
);

t.test('V10 the close frame comes at a border of frames, whatever the pieces', async (t) => {
  const frame = (payload: Buffer): Buffer =>
    payload.length < 126
      ? Buffer.concat([Buffer.from([0x82, payload.length]), payload])
      : payload.length < 65_536
        ? Buffer.concat([Buffer.from([0x82, 126, payload.length >> 8, payload.length & 0xff]), payload])
        : Buffer.concat([Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]), payload]);
  const frames = [0, 5, 125, 126, 300, 65_536].map((length) => frame(Buffer.alloc(length, 0x88)));
  const all = Buffer.concat(frames);
  const borders = frames.map((_, index) => Buffer.concat(frames.slice(0, index + 1)).length);
  for (const size of [1, 2, 3, 7, 1_000, 100_000]) {
    for (const closeAfter of [0, 1, 4, 150, 400, 5_000]) {
      const passage = new FramePassage();
      const out: Buffer[] = [];
      passage.on('data', (chunk: Buffer) => out.push(chunk));
      let written = 0;
      for (; written < Math.min(closeAfter, all.length); written += size)
        passage.write(all.subarray(written, written + size));
      passage.closeAtBorder();
      for (; written < all.length; written += size) passage.write(all.subarray(written, written + size));
      passage.end();
      await once(passage, 'end');
      const result = Buffer.concat(out);
      const passed = result.length - 4;
      const expected = [0, ...borders].find((border) => border >= Math.min(written, passed)) ?? -1;
      if (!result.subarray(passed).equals(Buffer.from([0x88, 2, 3, 0xf0])) || passed !== expected)
        t.fail(`pieces of ${size}, closed after ${closeAfter}: ${passed} bytes`);
    }
  }
  t.pass('36 ways');
});

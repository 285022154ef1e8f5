/**
 * What has brought HTTP/2 servers down: the gateway stays alive, its memory stays bounded, sessions are freed, and
 * others are served meanwhile. Rules H20, C17, C21.
 */
import t, { type Test } from 'tap';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { until } from '../support/gateway.ts';
import { memoryOf, startGatewayProcess, temporaryFolder, type GatewayProcess } from '../support/process.ts';
import {
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  RawHttp2,
  requestBlock,
  uint32,
} from '../support/raw-http2.ts';
import { startServer } from '../support/upstream.ts';

interface Scene {
  readonly gateway: GatewayProcess;
  /** Requests that reached the upstream. */
  seen(): number;
}

async function setUp(t: Test): Promise<Scene> {
  const folder = temporaryFolder(t);
  certificateAuthority(folder).issue('server', 'IP:127.0.0.1');
  let seen = 0;
  const url = await startServer(t, (request, response) => {
    seen++;
    if (request.url === '/large') response.end(Buffer.alloc(1024 * 1024));
    else if (request.url !== '/never') response.end('ok');
  });
  const gateway = await startGatewayProcess(
    t,
    {
      listeners: [{ host: '127.0.0.1', port: 0, tls: { cert_file: 'server.crt', key_file: 'server.key' } }],
      routes: [{ name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' } }],
      upstreams: { u: { targets: [url] } },
      access_log: false,
    },
    folder,
  );
  return { gateway, seen: () => seen };
}

/** A client that asks for something is served. */
async function isServed(t: Test, { gateway }: Scene): Promise<void> {
  const client = await RawHttp2.connect(t, gateway.port);
  client.send(frame(FRAME.headers, END_HEADERS | END_STREAM, 1, requestBlock('GET', '/')));
  await until(() => client.of(1).some(({ flags }) => (flags & END_STREAM) !== 0));
  client.destroy();
  // The peak is what counts: memory that was needed for a moment was needed.
  t.ok(memoryOf(gateway.pid).peak < 400 * 1024 * 1024, 'its memory stays bounded');
  await until(async () => {
    const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
    return text.includes('\nsallyport_requests_in_flight 0\n');
  });
}

const get = (stream: number, path = '/never', flags = END_HEADERS | END_STREAM): Buffer =>
  frame(FRAME.headers, flags, stream, requestBlock('GET', path));
const reset = (stream: number): Buffer => frame(FRAME.resetStream, 0, stream, uint32(8));
const streams = (count: number): number[] => Array.from({ length: count }, (_, index) => 2 * index + 1);

t.test('HTTP/2 floods', { skip: noOpenssl }, async (t) => {
  const scene = await setUp(t);
  const { gateway } = scene;

  t.test(
    'H20 C17 rapid reset: the connection ends, and few of its requests reach the upstream',
    async (t) => {
      const before = scene.seen();
      const client = await RawHttp2.connect(t, gateway.port);
      for (const stream of streams(5_000)) client.send(get(stream), reset(stream));
      await until(() => client.closed);
      t.ok(scene.seen() - before < 1_000, `${scene.seen() - before} requests reached the upstream`);
      await isServed(t, scene);
    },
  );

  t.test('H20 C17 400 calls that are cancelled at once, as by clients of gRPC, are no attack', async (t) => {
    const client = await RawHttp2.connect(t, gateway.port);
    for (const stream of streams(400)) client.send(get(stream), reset(stream));
    client.send(get(801, '/'));
    await until(() => client.of(801).some(({ flags }) => (flags & END_STREAM) !== 0));
    t.notOk(client.closed);
    client.destroy();
  });

  t.test('H20 MadeYouReset: resets that the client makes the gateway send count as its own', async (t) => {
    const tricks: [string, (stream: number) => Buffer][] = [
      ['a window update of nothing', (stream) => frame(FRAME.windowUpdate, 0, stream, uint32(0))],
      ['a window beyond its limit', (stream) => frame(FRAME.windowUpdate, 0, stream, uint32(0x7fffffff))],
      ['data after the end', (stream) => frame(FRAME.data, 0, stream, Buffer.from('x'))],
    ];
    for (const [name, trick] of tricks) {
      const client = await RawHttp2.connect(t, gateway.port);
      const before = scene.seen();
      for (const stream of streams(3_000)) client.send(get(stream), trick(stream));
      await until(() => client.closed);
      t.ok(scene.seen() - before < 1_000, name);
      await isServed(t, scene);
    }
  });

  t.test('H20 C17 a flood of CONTINUATION frames ends the connection', async (t) => {
    const client = await RawHttp2.connect(t, gateway.port);
    client.send(get(1, '/', END_STREAM));
    const chunk = frame(
      FRAME.continuation,
      0,
      1,
      Buffer.concat([Buffer.from([0, 3]), Buffer.from('x-aabcd')]),
    );
    for (let index = 0; index < 10_000 && !client.closed; index++) client.send(chunk);
    await until(() => client.closed);
    await isServed(t, scene);
  });

  t.test('H20 tiny indexed fields behind a closed window stay within bounds', async (t) => {
    // One large field goes into the table once, and each of its repetitions costs the client a byte.
    const large = Buffer.concat([
      Buffer.from([0x40, 3]),
      Buffer.from('x-a'),
      Buffer.from([0x7f, 0x81, 0x1e]),
      Buffer.alloc(127 + 1 + 30 * 128, 'a'),
    ]);
    for (let round = 0; round < 5; round++) {
      // SETTINGS_INITIAL_WINDOW_SIZE 0: no byte of a response can be sent.
      const client = await RawHttp2.connect(t, gateway.port, Buffer.from([0, 4, 0, 0, 0, 0]));
      for (const stream of streams(100)) {
        const fields = Buffer.concat([
          requestBlock('GET', '/large'),
          stream === 1 ? large : Buffer.alloc(0),
          Buffer.alloc(1_000, 0xbe),
        ]);
        client.send(frame(FRAME.headers, END_HEADERS | END_STREAM, stream, fields));
      }
      client.send(frame(FRAME.ping, 0, 0, Buffer.alloc(8)));
      await until(
        () => client.closed || client.frames.some(({ type, flags }) => type === FRAME.ping && flags === 1),
      );
      client.destroy();
    }
    await isServed(t, scene);
  });

  t.test('H20 responses that no client takes do not pile up', async (t) => {
    const client = await RawHttp2.connect(t, gateway.port, Buffer.from([0, 4, 0, 0, 0, 0]));
    for (const stream of streams(100)) client.send(get(stream, '/large'));
    await until(() => client.frames.filter(({ type }) => type === FRAME.headers).length === 100);
    t.ok(memoryOf(gateway.pid).now < 350 * 1024 * 1024);
    client.destroy();
    await isServed(t, scene);
  });

  t.test('more streams at a time than were offered are refused', async (t) => {
    const client = await RawHttp2.connect(t, gateway.port);
    await until(() => client.frames.some(({ type, flags }) => type === FRAME.settings && flags === 1));
    const before = scene.seen();
    for (const stream of streams(400)) client.send(get(stream));
    await until(() => client.closed || client.frames.some(({ type }) => type === FRAME.resetStream));
    t.ok(scene.seen() - before <= 128);
    client.destroy();
    await isServed(t, scene);
  });

  t.test('C21 storms and nonsense: the connection ends or is served, others are', async (t) => {
    const storm = (one: Buffer, count = 20_000): Buffer =>
      Buffer.concat(Array.from({ length: count }, () => one));
    const storms: Record<string, Buffer> = {
      PING: storm(frame(FRAME.ping, 0, 0, Buffer.alloc(8))),
      SETTINGS: storm(frame(FRAME.settings, 0, 0, Buffer.from([0, 4, 0, 0, 255, 255]))),
      'WINDOW_UPDATE of the connection': storm(frame(FRAME.windowUpdate, 0, 0, uint32(1))),
      'a window that overflows': storm(frame(FRAME.windowUpdate, 0, 0, uint32(0x7fffffff)), 10),
      'empty DATA': Buffer.concat([get(1, '/', END_HEADERS), storm(frame(FRAME.data, 0, 1))]),
      GOAWAY: storm(frame(FRAME.goAway, 0, 0, Buffer.alloc(8))),
      PRIORITY: storm(frame(2, 0, 1, Buffer.from([0, 0, 0, 3, 1]))),
      'an unknown frame': storm(frame(0xfe, 0, 1, Buffer.alloc(8))),
      'HEADERS that cannot be decompressed': frame(
        FRAME.headers,
        END_HEADERS | END_STREAM,
        1,
        Buffer.alloc(50, 0xff),
      ),
      'HEADERS on an even stream': get(2),
      'HEADERS on stream 0': get(0),
      'a frame that is too large': frame(FRAME.data, 0, 1, Buffer.alloc(100_000)),
      'a push of the client': frame(5, END_HEADERS, 1, Buffer.concat([uint32(2), requestBlock('GET', '/')])),
      'no HTTP/2 at all': Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(100)),
    };
    for (const [name, bytes] of Object.entries(storms)) {
      const client = await RawHttp2.connect(t, gateway.port);
      client.send(bytes, frame(FRAME.ping, 0, 0, Buffer.from('the last')));
      await until(
        () => client.closed || client.frames.some(({ payload }) => payload.toString() === 'the last'),
      );
      t.pass(name);
      client.destroy();
    }
    await isServed(t, scene);
  });

  t.test('connections that were left with streams open are freed', async (t) => {
    for (let round = 0; round < 50; round++) {
      const client = await RawHttp2.connect(t, gateway.port);
      client.send(...streams(20).map((stream) => get(stream)));
      client.destroy();
    }
    await isServed(t, scene);
    t.notMatch(gateway.output(), /a bug/);
  });
});

/**
 * Requests that come before the response to the one before them: each in its turn, and none hurts another. RFC 9112 section
 * 9.3.2. Rules H12, H16, C14.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import t from 'tap';
import { sendRaw, statuses } from '../support/client.ts';
import { handled, standsStill, startGateway, until } from '../support/gateway.ts';
import { startEcho, startServer } from '../support/upstream.ts';

let serving = 0;
let most = 0;
const seen: string[] = [];
const url = await startServer(t, (request, response) => {
  most = Math.max(most, ++serving);
  seen.push(`${request.method} ${request.url}`);
  let body = '';
  request.on('data', (chunk: Buffer) => (body += chunk.toString()));
  request.on('end', () => {
    const answer = (): void => {
      serving--;
      response.end(request.url === '/large' ? Buffer.alloc(60_000, 'x') : `${request.url}${body};`);
    };
    // What was sent with it has come by then.
    if (request.url === '/slow') void handled(gateway).then(answer);
    else answer();
  });
});
const gateway = await startGateway(t, {
  timeouts: { drain: '100ms' },
  routes: [
    { name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' } },
    {
      name: 'ws',
      match: { path_prefix: '/ws' },
      upstream: 'echo',
      auth: { mode: 'none' },
      upgrade: ['websocket'],
    },
  ],
  upstreams: { u: { targets: [url] }, echo: { targets: [await startEcho(t)] } },
});
const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const post = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const HANDSHAKE =
  'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';
const isServed = async (): Promise<boolean> => (await fetch(`${gateway.url}/alive`)).status === 200;

t.test('many at once are served one after the other, and get their responses in order', async (t) => {
  most = 0;
  const paths = Array.from({ length: 300 }, (_, index) => `/${index}`);
  const received = await sendRaw(gateway.port, paths.map(get).join(''), (text) => text.endsWith('/299;'));
  t.strictSame(
    [...received.matchAll(/(\/\d+);/g)].map(([, path]) => path),
    paths,
  );
  t.equal(most, 1);
});

t.test('bodies between them stay where they belong', async (t) => {
  const bytes = [get('/slow'), post('/a', 'one'), get('/b'), post('/c', 'x'.repeat(200_000)), get('/d')].join(
    '',
  );
  const received = await sendRaw(gateway.port, bytes, (text) => text.endsWith('/d;'));
  t.strictSame(statuses(received), [200, 200, 200, 200, 200]);
  t.match(received, /\/slow;[^]*\/aone;[^]*\/b;[^]*\/cx{200000};[^]*\/d;$/);
});

t.test('responses that no client reads do not pile up', async (t) => {
  const before = seen.length;
  const deaf = connect(gateway.port, '127.0.0.1');
  deaf.on('error', () => undefined);
  deaf.pause();
  deaf.write(get('/large').repeat(2_000));
  await until(() => seen.length > before);
  await standsStill(gateway, () => seen.length);
  t.ok(seen.length - before < 1_000, `${seen.length - before} were asked for`);
  t.equal(await gateway.metric('sallyport_requests_in_flight'), 1);
  deaf.destroy();
  await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 0);
});

t.test('H12 a WebSocket behind a request that still waits for its response', async (t) => {
  const socket = connect(gateway.port, '127.0.0.1');
  let received = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])));
  socket.on('error', () => undefined);
  socket.write(get('/slow') + HANDSHAKE);
  await until(() => received.includes('101 Switching'));
  t.match(received.toString('latin1'), /^HTTP\/1\.1 200 [^]*\/slow;HTTP\/1\.1 101 /);
  // A masked text frame: "hi".
  socket.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]));
  await until(() => received.subarray(-4).equals(Buffer.from([0x81, 0x02, 0x68, 0x69])));
  socket.destroy();
  t.ok(await isServed());
});

t.test('C14 and early bytes behind that are refused as well', async (t) => {
  const received = await sendRaw(
    gateway.port,
    `${get('/slow')}${HANDSHAKE}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`,
  );
  t.strictSame(statuses(received), [200, 400]);
  t.notOk(seen.includes('GET /smuggled'));
  t.ok(await isServed());
});

t.test(
  'CONNECT, nonsense, and what ends the connection, behind one that still waits for its response',
  async (t) => {
    const cases: [string, string, number[]][] = [
      ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', [200, 405]],
      ['no HTTP', 'nonsense\r\n\r\n', [200, 400]],
      [
        'two framings',
        'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
        [200, 400],
      ],
      ['no Host', 'GET / HTTP/1.1\r\n\r\n', [200, 400]],
      [
        'a broken body',
        `POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
        [200, 400],
      ],
    ];
    for (const [name, bytes, expected] of cases) {
      const before = seen.length;
      const received = await sendRaw(gateway.port, get('/slow') + bytes + get('/behind'));
      t.strictSame(statuses(received), expected, name);
      t.strictSame(
        seen.slice(before),
        ['GET /slow'],
        `${name}: the upstream saw nothing of it, and nothing behind it`,
      );
    }
    t.ok(await isServed());
  },
);

t.test('a client that pipelines and leaves', async (t) => {
  for (let round = 0; round < 20; round++) {
    const socket = connect(gateway.port, '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(get('/slow').repeat(5) + HANDSHAKE);
    socket.resetAndDestroy();
  }
  await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 0);
  t.ok(await isServed());
});

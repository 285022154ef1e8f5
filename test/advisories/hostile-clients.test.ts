/**
 * Thousands of connections that send pieces of requests in any order, cut them off and leave: the gateway lives, serves
 * others, ends every exchange that it began, and stops when told. Rules H2 to H20, C14, C17, C21.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import { WebSocketServer } from 'ws';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { send } from '../support/client.ts';
import { until } from '../support/gateway.ts';
import { startGatewayProcess, temporaryFolder } from '../support/process.ts';
import { block, FRAME, frame, requestBlock, uint32 } from '../support/raw-http2.ts';

const CONNECTIONS = Number(process.env['FUZZ_RUNS'] ?? 1_500);
const AT_A_TIME = 25;
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000);

const HANDSHAKE =
  'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';
const PIECES = [
  'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /closed HTTP/1.1\r\nHost: a\r\n\r\n',
  'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n',
  HANDSHAKE,
  HANDSHAKE,
  'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nhello',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz',
  'POST /closed HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nExpect: another\r\nContent-Length: 3\r\n\r\nabc',
  'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n',
  'GET /%2e HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET / HTTP/1.0\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
  `GET /${'a'.repeat(10_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
  'GET / HTTP/1.1\r\nHost: a\r\nX: ',
  'nonsense\r\n\r\n',
  '\0\0',
];

function http1Bytes(random: SeededRandom): Buffer {
  let text = '';
  for (let count = 1 + random.below(4); count > 0; count--) text += random.of(PIECES);
  return Buffer.from(random.below(6) === 0 ? text.slice(0, random.below(text.length)) : text, 'latin1');
}

function http2Bytes(random: SeededRandom): Buffer {
  const stream = random.of([0, 1, 1, 3, 3, 5, 7, 2]);
  const some = (length: number): Buffer =>
    Buffer.from(Array.from({ length: random.below(length) }, () => random.below(256)));
  const number = (): Buffer => uint32(random.of([0, 1, 8, 65_535, 0x7fffffff]));
  return random.of([
    () =>
      frame(
        FRAME.headers,
        random.of([4, 5, 0, 1]),
        stream,
        requestBlock(
          random.of(['GET', 'POST', 'CONNECT', 'HEAD']),
          random.of(['/', '/closed', '/%2e', '*']),
          ...(random.below(3) === 0 ? ['content-length', String(random.below(20))] : []),
          ...(random.below(3) === 0 ? ['expect', '100-continue'] : []),
        ),
      ),
    () => frame(FRAME.headers, 5, stream, requestBlock('GET', '/')),
    () => frame(FRAME.data, random.of([0, 1, 8]), stream, some(2_000)),
    () => frame(FRAME.resetStream, 0, stream, number()),
    () => frame(FRAME.windowUpdate, 0, stream, number()),
    () => frame(FRAME.settings, 0, 0, Buffer.concat([Buffer.from([0, random.below(8)]), number()])),
    () => frame(FRAME.settings, 1, 0),
    () => frame(FRAME.ping, random.below(2), 0, Buffer.alloc(8)),
    () => frame(FRAME.goAway, 0, 0, Buffer.concat([number(), number()])),
    () => frame(FRAME.continuation, random.of([0, 4]), stream, block('x-a', 'b')),
    () => frame(random.below(256), random.below(256), random.below(20), some(100)),
    () => some(60),
  ])();
}

async function attack(
  random: SeededRandom,
  open: () => Socket,
  bytes: (random: SeededRandom) => Buffer,
): Promise<void> {
  const socket = open();
  socket.on('error', () => undefined);
  if (random.below(5) === 0) socket.pause();
  else socket.resume();
  for (let writes = 1 + random.below(8); writes > 0 && !socket.destroyed; writes--) {
    socket.write(bytes(random));
    if (random.below(3) === 0) await pause(random.below(5));
  }
  await pause(random.below(10));
  if (random.below(2) === 0 || 'encrypted' in socket) socket.destroy();
  else socket.resetAndDestroy();
}

t.test(`hostile clients, seed ${SEED}`, { skip: noOpenssl }, async (t) => {
  const folder = temporaryFolder(t);
  certificateAuthority(folder).issue('server', 'IP:127.0.0.1');
  const random = new SeededRandom(SEED);
  // An upstream that is no better than the clients.
  const upstream = createServer((request, response) => {
    request.on('error', () => undefined);
    request.resume();
    const kind = random.below(10);
    if (kind === 0) response.destroy();
    else if (kind === 1) {
      response.write('part');
      setTimeout(() => response.destroy(), 5);
    } else setTimeout(() => response.end('x'.repeat(random.below(200_000))), random.below(10));
  });
  const webSockets = new WebSocketServer({ noServer: true });
  upstream.on('upgrade', (request, socket: Socket, head) => {
    socket.on('error', () => undefined);
    const kind = random.below(3);
    if (kind === 0) socket.destroy();
    else if (kind === 1) socket.end('HTTP/1.1 418 No\r\nContent-Length: 0\r\n\r\n');
    else
      webSockets.handleUpgrade(request, socket, head, (client) => {
        client.on('error', () => undefined);
        client.send('hi');
        setTimeout(() => client.terminate(), random.below(50));
      });
  });
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  t.teardown(() => {
    upstream.closeAllConnections();
    upstream.close();
  });
  const gateway = await startGatewayProcess(
    t,
    {
      listeners: [
        { host: '127.0.0.1', port: 0 },
        { host: '127.0.0.1', port: 0, tls: { cert_file: 'server.crt', key_file: 'server.key' } },
      ],
      timeouts: { idle: '2s', drain: '1s' },
      issuers: {
        login: { issuer: 'https://a', hmac_secret: 'x'.repeat(32), algorithms: ['HS256'], audiences: ['a'] },
      },
      routes: [
        {
          name: 'all',
          match: {},
          upstream: 'u',
          auth: { mode: 'none' },
          upgrade: ['websocket'],
          timeouts: { response: '1s', idle: '1s' },
        },
        { name: 'closed', match: { path_prefix: '/closed' }, upstream: 'u' },
      ],
      upstreams: { u: { targets: [`http://127.0.0.1:${(upstream.address() as AddressInfo).port}`] } },
      access_log: false,
    },
    folder,
  );
  const tlsPort = Number(/127\.0\.0\.1:\d+","127\.0\.0\.1:(\d+)"/.exec(gateway.output())?.[1]);
  const overTls = (): Socket => {
    const socket = connectTls({
      host: '127.0.0.1',
      port: tlsPort,
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
    });
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    socket.write(frame(FRAME.settings, 0, 0));
    return socket;
  };
  let left = CONNECTIONS;
  await Promise.all(
    Array.from({ length: AT_A_TIME }, async () => {
      while (left-- > 0) {
        // Of its own, so that it comes again whatever the others do.
        const random = new SeededRandom(SEED + left);
        if (left % 3 > 0) await attack(random, () => connect(gateway.port, '127.0.0.1'), http1Bytes);
        else await attack(random, overTls, http2Bytes);
      }
    }),
  );
  t.equal((await send(gateway.url, '/closed')).status, 401, 'others are served');
  await until(async () => {
    const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
    return text.includes('\nsallyport_requests_in_flight 0\n');
  });
  t.notMatch(gateway.output(), /a bug/);
  gateway.kill('SIGTERM');
  t.equal(await gateway.exited, 0, 'it stops when told');
});

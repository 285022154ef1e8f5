/**
 * Measures the memory of idle connections, and of connections whose clients read a large response slowly.
 *
 *   node bench/connections.ts [--idle 10000] [--slow 1000]
 */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { withBenchEnvironment, type Gateway } from './pairs.ts';

const { values } = parseArgs({
  options: { idle: { type: 'string', default: '10000' }, slow: { type: 'string', default: '1000' } },
});
const DOWNLOAD_BYTES = 100 * 1024 * 1024;
/** Connections opened at a time: more would measure the listener's backlog. */
const AT_A_TIME = 200;
/** Time for garbage collection, and for slow clients to get their first bytes. */
const SETTLE_MS = 10_000;

interface DownloadServer {
  readonly origin: string;
  /** Bytes of downloads that it has written so far, to all connections. */
  readonly sentBytes: () => number;
  close(): void;
}

/** An upstream with a large response at /large and a small one everywhere else. */
async function startDownloadServer(): Promise<DownloadServer> {
  let sentBytes = 0;
  const server = createServer((request, response) => {
    if (request.url === '/large') sendLarge(response, (bytes) => (sentBytes += bytes));
    else response.end('ok');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sentBytes: () => sentBytes,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

const CHUNK = Buffer.alloc(1024 * 1024);

/** Writes as fast as the reader reads, and reports the bytes of each write. */
function sendLarge(response: ServerResponse, sent: (bytes: number) => void): void {
  response.writeHead(200, { 'content-length': DOWNLOAD_BYTES });
  let left = DOWNLOAD_BYTES;
  const send = (): void => {
    while (left > 0) {
      left -= CHUNK.length;
      sent(CHUNK.length);
      if (!response.write(CHUNK)) {
        response.once('drain', send);
        return;
      }
    }
    response.end();
  };
  send();
}

/** Opens connections, sends the request on each and waits for its first bytes. */
async function open(gateway: Gateway, count: number, request: string, read: boolean): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < count) {
    const some = Array.from({ length: Math.min(AT_A_TIME, count - sockets.length) }, () => {
      const socket = connect(gateway.port, '127.0.0.1');
      socket.on('error', (error) => console.log(error.message));
      socket.write(request);
      return socket;
    });
    await Promise.all(some.map((socket) => once(socket, 'data')));
    if (!read) for (const socket of some) socket.pause();
    sockets.push(...some);
  }
  return sockets;
}

await withBenchEnvironment(async ({ configuration, start, token }) => {
  const upstream = await startDownloadServer();
  const gateway = await start(
    configuration({ upstreams: { orders: { targets: [upstream.origin], connections: 2_000 } } }),
  );
  const growth = async (name: string, count: number, path: string, read: boolean): Promise<void> => {
    await pause(SETTLE_MS);
    const before = gateway.residentMiB();
    const request = `GET ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n\r\n`;
    const sockets = await open(gateway, count, request, read);
    await pause(SETTLE_MS);
    const grown = gateway.residentMiB() - before;
    const sentMiB = upstream.sentBytes() / count / 2 ** 20;
    console.log(
      `${count} ${name}: ${before.toFixed(0)} MiB and ${grown.toFixed(0)} more, ${((grown * 1024) / count).toFixed(1)} KiB each` +
        (sentMiB > 0 ? `; the upstream has written ${sentMiB.toFixed(1)} MiB to each` : ''),
    );
    for (const socket of sockets) socket.destroy();
  };
  // The first requests cost memory once: for compiled code and caches.
  await growth('connections to warm up', 500, '/', true);
  await growth('idle connections', Number(values.idle), '/', true);
  await growth('slow readers of 100 MiB', Number(values.slow), '/large', false);
  await pause(SETTLE_MS);
  console.log(`after they have closed: ${gateway.residentMiB().toFixed(0)} MiB`);
  upstream.close();
});

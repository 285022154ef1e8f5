/**
 * What connections cost in memory that do nothing, and those whose clients take an answer slowly.
 *
 *   node bench/connections.ts [--idle 10000] [--slow 1000]
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { withBenchEnvironment, type Gateway } from './pairs.ts';

const { values } = parseArgs({
  options: { idle: { type: 'string', default: '10000' }, slow: { type: 'string', default: '1000' } },
});
const DOWNLOAD_BYTES = 100 * 1024 * 1024;
/** Connections that are opened at a time: a listener's backlog is not what is measured. */
const AT_A_TIME = 200;
/** Until garbage is collected, and slow clients have had their first bytes. */
const SETTLE_MS = 10_000;

/** Opens connections that ask for something, one after the other has had its first bytes. */
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
  const chunk = Buffer.alloc(1024 * 1024);
  let sentBytes = 0;
  const upstream = createServer((request, response) => {
    if (request.url !== '/large') {
      response.end('ok');
      return;
    }
    response.writeHead(200, { 'content-length': DOWNLOAD_BYTES });
    let left = DOWNLOAD_BYTES;
    const send = (): void => {
      while (left > 0) {
        left -= chunk.length;
        sentBytes += chunk.length;
        if (!response.write(chunk)) {
          response.once('drain', send);
          return;
        }
      }
      response.end();
    };
    send();
  }).listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const origin = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  const gateway = await start(
    configuration({ upstreams: { orders: { targets: [origin], connections: 2_000 } } }),
  );
  const request = (path: string): string =>
    `GET ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n\r\n`;
  const grownBy = async (name: string, count: number, path: string, read: boolean): Promise<void> => {
    await pause(SETTLE_MS);
    const before = gateway.residentMiB();
    const sockets = await open(gateway, count, request(path), read);
    await pause(SETTLE_MS);
    const grown = gateway.residentMiB() - before;
    console.log(
      `${count} ${name}: ${before.toFixed(0)} MiB and ${grown.toFixed(0)} more, ${((grown * 1024) / count).toFixed(1)} KiB each` +
        (sentBytes > 0
          ? `; the upstream has written ${(sentBytes / count / 2 ** 20).toFixed(1)} MiB to each`
          : ''),
    );
    for (const socket of sockets) socket.destroy();
  };
  // What only the first requests cost.
  await grownBy('connections to warm up', 500, '/', true);
  await grownBy('idle connections', Number(values.idle), '/', true);
  await grownBy('slow readers of 100 MiB', Number(values.slow), '/large', false);
  await pause(SETTLE_MS);
  console.log(`when they have gone: ${gateway.residentMiB().toFixed(0)} MiB`);
  upstream.closeAllConnections();
  upstream.close();
});

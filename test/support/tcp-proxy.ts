/** A TCP proxy that loses, delays or cuts what passes, as networks do. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { Test } from 'tap';

export interface TcpProxy {
  readonly port: number;
  /** Swallows everything from now on, and keeps the connections open: half-open ones, and a black hole. */
  blackHole(): void;
  /** Resets all connections and takes no new ones. */
  cut(): void;
  /** Passes again what comes. */
  heal(): void;
}

/** @param delayMs each way: half of a round trip */
export async function startTcpProxy(
  t: Test,
  targetPort: number,
  { delayMs = 0 }: { delayMs?: number } = {},
): Promise<TcpProxy> {
  let state: 'passes' | 'swallows' | 'refuses' = 'passes';
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    sockets.add(client);
    client.on('error', () => undefined).on('close', () => sockets.delete(client));
    if (state === 'refuses') {
      client.resetAndDestroy();
      return;
    }
    if (state === 'swallows') {
      client.resume();
      return;
    }
    const target = connect(targetPort, '127.0.0.1');
    sockets.add(target);
    target.on('error', () => client.destroy()).on('close', () => sockets.delete(target));
    const pass = (from: Socket, to: Socket): void => {
      // Timers of one length keep their order.
      const later = (run: () => void): void => {
        if (delayMs === 0) run();
        else setTimeout(run, delayMs);
      };
      from.on('data', (chunk) => {
        later(() => {
          if (state === 'passes') to.write(chunk);
        });
      });
      from.on('close', () => {
        later(() => {
          if (state === 'passes') to.destroy();
        });
      });
    };
    pass(client, target);
    pass(target, client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const dropAll = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  t.teardown(() => {
    dropAll();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    blackHole: () => (state = 'swallows'),
    cut() {
      state = 'refuses';
      dropAll();
    },
    heal() {
      state = 'passes';
      dropAll();
    },
  };
}

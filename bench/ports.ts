/** Free ports, and waiting for servers on them. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** The system may give a port again that was free a moment ago, and has no user yet. */
const given = new Set<number>();

export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    if (given.has(port)) continue;
    given.add(port);
    return port;
  }
}

/**
 * Resolves when a server accepts connections on the port.
 *
 * @param check throws if it never will
 */
export async function listening(port: number, check: () => void = () => undefined): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    check();
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return;
    } catch {
      await pause(50);
    } finally {
      socket.destroy();
    }
  }
  throw new Error(`nothing listens on port ${port}`);
}

/** The channel between a primary and a worker, within one process. */
import type { SocketHandle } from '../../src/server/shared-sockets.ts';
import type { Pipe } from '../../src/workers/channel.ts';

/** Two ends that pass messages on in order, as a process does. */
export function pipes(): [Pipe, Pipe] {
  const received: ((message: unknown, socket: SocketHandle | undefined) => void)[] = [];
  const end = (own: 0 | 1): Pipe => ({
    send: (message, socket) => setImmediate(() => received[1 - own]?.(structuredClone(message), socket)),
    open: (handler) => (received[own] = handler),
  });
  return [end(0), end(1)];
}

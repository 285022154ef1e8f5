/** A TCP proxy that loses, delays or cuts what passes, as networks do. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { Test } from 'tap';

export class TcpProxy {
  readonly #targetPort: number;
  readonly #delayMs: number;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((client) => this.#accept(client));
  #state: 'passes' | 'swallows' | 'refuses' = 'passes';

  /** @param delayMs each way: half of a round trip */
  constructor(targetPort: number, delayMs: number) {
    this.#targetPort = targetPort;
    this.#delayMs = delayMs;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  close(): void {
    this.#resetAll();
    this.#server.close();
  }

  /** Swallows all bytes from now on and keeps the connections open: half-open connections, and a black hole. */
  blackHole(): void {
    this.#state = 'swallows';
  }

  /** Resets all connections and accepts no new ones. */
  cut(): void {
    this.#state = 'refuses';
    this.#resetAll();
  }

  /** Resets all connections and passes bytes again on new ones. */
  heal(): void {
    this.#state = 'passes';
    this.#resetAll();
  }

  #accept(client: Socket): void {
    this.#sockets.add(client);
    client.on('error', () => undefined).on('close', () => this.#sockets.delete(client));
    if (this.#state === 'refuses') {
      client.resetAndDestroy();
      return;
    }
    if (this.#state === 'swallows') {
      client.resume();
      return;
    }
    const target = connect(this.#targetPort, '127.0.0.1');
    this.#sockets.add(target);
    target.on('error', () => client.destroy()).on('close', () => this.#sockets.delete(target));
    this.#pass(client, target);
    this.#pass(target, client);
  }

  #pass(from: Socket, to: Socket): void {
    from.on('data', (chunk) => this.#later(() => to.write(chunk)));
    from.on('close', () => this.#later(() => to.destroy()));
  }

  /** Timers of one length keep their order. */
  #later(deliver: () => void): void {
    const run = (): void => {
      if (this.#state === 'passes') deliver();
    };
    if (this.#delayMs === 0) run();
    else setTimeout(run, this.#delayMs);
  }

  #resetAll(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }
}

/** @param delayMs each way: half of a round trip */
export async function startTcpProxy(
  t: Test,
  targetPort: number,
  { delayMs = 0 }: { delayMs?: number } = {},
): Promise<TcpProxy> {
  const proxy = new TcpProxy(targetPort, delayMs);
  await proxy.listen();
  t.teardown(() => proxy.close());
  return proxy;
}

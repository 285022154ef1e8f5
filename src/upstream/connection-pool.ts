/**
 * The connections to one target: idle ones first, the most recently used before the others; new ones up to a
 * limit; beyond it requests wait in line.
 */
import type { Socket } from 'node:net';
import { ConnectDeadline } from './connect-deadline.ts';
import { Connecting } from './connecting.ts';
import type { Deadlines } from './deadlines.ts';
import { TargetsChanged } from './stream-errors.ts';
import { UpstreamConnection, type ConnectionOwner } from './upstream-connection.ts';
import type { LinkPool, OpenConnections, PoolOptions, SharedQueue, Waiter } from './upstream-link.ts';

/** Idle connections are closed before the usual upstream would (Node: 5 s, nginx: 75 s): a request must not meet a closing one. */
const IDLE_MS = 4_000;
/** How much earlier to close than an upstream that says when it closes. */
const EARLIER_MS = 1_000;

export class ConnectionPool implements ConnectionOwner, LinkPool {
  readonly #options: PoolOptions;
  readonly #deadlines: Deadlines;
  readonly #idle: UpstreamConnection[] = [];
  readonly #connecting: Connecting<UpstreamConnection>;
  readonly #all = new Set<UpstreamConnection>();
  /** First come, first served. A Set, so that leaving needs no search. */
  readonly #waiters: Set<Waiter>;
  readonly #queue: SharedQueue | undefined;
  /** Waiters for a connection of their own, while it is being opened. */
  readonly #alone = new Map<Waiter, UpstreamConnection>();
  #isClosed = false;
  #isDraining = false;

  /** @param queue where it shares a line with another pool, and opens nothing itself */
  constructor(options: PoolOptions, deadlines: Deadlines, queue?: SharedQueue) {
    this.#queue = queue;
    this.#waiters = queue?.waiters ?? new Set();
    this.#options = options;
    this.#deadlines = deadlines;
    this.#connecting = new Connecting(deadlines);
  }

  get open(): readonly OpenConnections[] {
    return [{ protocol: 'http/1.1', count: this.#all.size + this.#alone.size }];
  }

  acquire(waiter: Waiter): void {
    if (this.give(waiter)) return;
    this.#waiters.add(waiter);
    this.#open();
  }

  /** @returns false where no connection is free */
  give(waiter: Waiter): boolean {
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined) return false;
      if (!connection.usable) continue;
      waiter.connected(connection);
      return true;
    }
  }

  /** @param socket connected to a peer that has chosen HTTP/1.1 */
  adopt(socket: Socket): void {
    const { endpoint, tls, attempts } = this.#options;
    const connection = new UpstreamConnection(endpoint, tls, this, false, socket);
    attempts.reached();
    this.#all.add(connection);
    this.#handOn(connection);
  }

  get size(): number {
    return this.#all.size;
  }

  /** It counts in no limit, since it may last for days. */
  acquireAlone(waiter: Waiter): void {
    const { endpoint, tls, connectTimeoutMs, attempts } = this.#options;
    const settle = (): boolean => {
      this.#deadlines.end(deadline);
      return this.#alone.delete(waiter);
    };
    const owner: ConnectionOwner = {
      connected: (made) => {
        settle();
        attempts.reached();
        waiter.connected(made);
      },
      released: (used) => used.abandon(),
      closed: (_, error) => {
        if (!settle() || error === undefined) return;
        attempts.unreached();
        waiter.unconnected(error);
      },
    };
    const connection = new UpstreamConnection(endpoint, tls, owner, true);
    const deadline = new ConnectDeadline(connection, this.#deadlines.deadlineAfter(connectTimeoutMs));
    this.#deadlines.begin(deadline);
    this.#alone.set(waiter, connection);
  }

  leave(waiter: Waiter): void {
    this.#waiters.delete(waiter);
    const connection = this.#alone.get(waiter);
    if (!connection) return;
    this.#alone.delete(waiter);
    connection.abandon();
  }

  sweep(): void {
    const nowMs = this.#deadlines.nowMs;
    for (let index = this.#idle.length - 1; index >= 0; index--) {
      const connection = this.#idle[index];
      if (connection === undefined || nowMs - connection.idleSinceMs < idleLimitMs(connection)) continue;
      this.#idle.splice(index, 1);
      connection.abandon();
    }
  }

  drain(): void {
    this.#isDraining = true;
    for (const connection of this.#idle.splice(0)) connection.abandon();
    // A copy: a waiter that chooses again may come back.
    for (const waiter of [...this.#waiters]) {
      this.#waiters.delete(waiter);
      waiter.unconnected(new TargetsChanged());
    }
  }

  revive(): void {
    this.#isDraining = false;
  }

  close(): void {
    this.#isClosed = true;
    for (const connection of [...this.#all, ...this.#alone.values()])
      connection.close(new Error('the gateway stops'));
  }

  connected(connection: UpstreamConnection): void {
    this.#connecting.end(connection);
    this.#options.attempts.reached();
    this.#handOn(connection);
  }

  released(connection: UpstreamConnection): void {
    connection.idleSinceMs = this.#deadlines.nowMs;
    if (idleLimitMs(connection) > 0) this.#handOn(connection);
    else connection.abandon();
  }

  closed(connection: UpstreamConnection, error: Error | undefined): void {
    this.#all.delete(connection);
    this.#connecting.end(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    if (error !== undefined && !this.#isClosed) this.#options.attempts.unreached();
    // Each failed attempt fails one request, which may try another target.
    const [first] = this.#waiters;
    if (error !== undefined && first) {
      this.#waiters.delete(first);
      first.unconnected(error);
    }
    this.#open();
  }

  #handOn(connection: UpstreamConnection): void {
    const [first] = this.#waiters;
    if (first) {
      this.#waiters.delete(first);
      first.connected(connection);
    } else if (this.#isDraining) {
      connection.abandon();
    } else {
      this.#idle.push(connection);
    }
  }

  /** As many attempts to connect as requests wait, within the limit. */
  #open(): void {
    if (this.#queue) {
      this.#queue.open();
      return;
    }
    const { endpoint, tls, connections, connectTimeoutMs } = this.#options;
    while (!this.#isClosed && this.#connecting.size < this.#waiters.size && this.#all.size < connections) {
      const connection = new UpstreamConnection(endpoint, tls, this);
      this.#all.add(connection);
      this.#connecting.begin(connection, connectTimeoutMs);
    }
  }
}

function idleLimitMs({ keepAliveSeconds }: UpstreamConnection): number {
  return keepAliveSeconds === undefined ? IDLE_MS : Math.min(IDLE_MS, keepAliveSeconds * 1_000 - EARLIER_MS);
}

/**
 * The connections to one target that chooses between HTTP/2 and HTTP/1.1 on each connection (`protocol: auto`). Behind one
 * address there may be servers of both kinds, as while new ones replace the old: a connection is used for what it speaks.
 *
 * Requests wait in one line. The pools of the two protocols keep the connections; this one opens them.
 */
import type { TLSSocket } from 'node:tls';
import { Connecting } from './connecting.ts';
import { ConnectionPool } from './connection-pool.ts';
import type { Deadlines } from './deadlines.ts';
import { Http2Pool } from './http2-pool.ts';
import { Negotiation, type NegotiatedProtocol, type NegotiationOwner } from './negotiation.ts';
import type { LinkPool, OpenConnections, PoolOptions, Waiter } from './upstream-link.ts';

export class NegotiatedPool implements LinkPool, NegotiationOwner {
  readonly #options: PoolOptions;
  readonly #http2: Http2Pool;
  readonly #http1: ConnectionPool;
  /** Both pools serve it when a connection of theirs is free. */
  readonly #waiters = new Set<Waiter>();
  readonly #attempts: Connecting<Negotiation>;
  /** What the target chose last. */
  #last: NegotiatedProtocol = 'h2';
  #isClosed = false;

  constructor(options: PoolOptions, deadlines: Deadlines) {
    this.#options = options;
    this.#attempts = new Connecting(deadlines);
    const queue = { waiters: this.#waiters, open: () => this.#open() };
    this.#http2 = new Http2Pool(options, deadlines, queue);
    this.#http1 = new ConnectionPool(options, deadlines, queue);
  }

  get open(): readonly OpenConnections[] {
    return [...this.#http2.open, ...this.#http1.open].map(({ protocol, count }) => ({
      protocol,
      // What a connection that is being opened will speak is not known: likely the same as the last one.
      count: count + (protocol === this.#last ? this.#attempts.size : 0),
    }));
  }

  acquire(waiter: Waiter): void {
    if (this.#http2.give(waiter) || this.#http1.give(waiter)) return;
    this.#waiters.add(waiter);
    this.#open();
  }

  /** Only HTTP/1.1 can switch protocols, so nothing else is offered. */
  acquireAlone(waiter: Waiter): void {
    this.#http1.acquireAlone(waiter);
  }

  leave(waiter: Waiter): void {
    this.#http1.leave(waiter);
  }

  sweep(): void {
    this.#http2.sweep();
    this.#http1.sweep();
  }

  /** What is being opened is closed once it is open and no request waits for it. */
  drain(): void {
    this.#http2.drain();
    this.#http1.drain();
  }

  revive(): void {
    this.#http2.revive();
    this.#http1.revive();
  }

  close(): void {
    this.#isClosed = true;
    for (const attempt of this.#attempts.all) attempt.close(new Error('the gateway stops'));
    this.#http1.close();
    this.#http2.close();
  }

  chosen(attempt: Negotiation, socket: TLSSocket, protocol: NegotiatedProtocol): void {
    this.#attempts.end(attempt);
    this.#last = protocol;
    (protocol === 'h2' ? this.#http2 : this.#http1).adopt(socket);
    this.#open();
  }

  failed(attempt: Negotiation, error: Error): void {
    this.#attempts.end(attempt);
    if (!this.#isClosed) this.#options.attempts.unreached();
    // Where one connection would have served all, all may try another target.
    const served = this.#last === 'h2' && this.#size === 0 ? this.#waiters.size : 1;
    for (const waiter of [...this.#waiters].slice(0, served)) {
      this.#waiters.delete(waiter);
      waiter.unconnected(error);
    }
    this.#open();
  }

  get #size(): number {
    return this.#http1.size + this.#http2.size;
  }

  #open(): void {
    const { endpoint, tls, connectTimeoutMs } = this.#options;
    while (!this.#isClosed && this.#needsAnother()) {
      const attempt = new Negotiation(endpoint, tls, this);
      this.#attempts.begin(attempt, connectTimeoutMs);
    }
  }

  /** Of HTTP/2 one attempt at a time, of HTTP/1.1 as many as requests wait; in all, at most `connections`. */
  #needsAnother(): boolean {
    if (this.#waiters.size === 0 || this.#attempts.size + this.#size >= this.#options.connections)
      return false;
    if (this.#http2.isConnecting || this.#http2.isShut) return false;
    return this.#attempts.size < (this.#last === 'h2' ? 1 : this.#waiters.size);
  }
}

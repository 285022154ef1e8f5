/**
 * The HTTP/2 connections to one target: streams share few of them; another is opened where all are full, up to a limit;
 * beyond it requests wait in line.
 */
import type { Socket } from 'node:net';
import { Connecting } from './connecting.ts';
import type { Deadlines } from './deadlines.ts';
import { Http2Link, sensitiveFields } from './http2-link.ts';
import { Http2Session, type SessionOwner } from './http2-session.ts';
import { TargetsChanged } from './stream-errors.ts';
import type { LinkPool, OpenConnections, PoolOptions, SharedQueue, Waiter } from './upstream-link.ts';

/** A peer that ends an idle connection says so by GOAWAY, and what it has not looked at is sent again: no need to hurry. */
const IDLE_MS = 60_000;

export class Http2Pool implements LinkPool, SessionOwner {
  readonly #options: PoolOptions;
  readonly #sensitive: readonly string[];
  readonly #deadlines: Deadlines;
  /** Those that may take streams. */
  readonly #sessions: Http2Session[] = [];
  /** Those that take no new ones; they count in no limit, since their streams may last for days. */
  readonly #draining = new Set<Http2Session>();
  readonly #connecting: Connecting<Http2Session>;
  /** First come, first served. A Set, so that leaving needs no search. */
  readonly #waiters: Set<Waiter>;
  readonly #queue: SharedQueue | undefined;
  #isClosed = false;
  #isDraining = false;

  /** @param queue where it shares a line with another pool, and opens nothing itself */
  constructor(options: PoolOptions, deadlines: Deadlines, queue?: SharedQueue) {
    this.#queue = queue;
    this.#waiters = queue?.waiters ?? new Set();
    this.#options = options;
    this.#sensitive = sensitiveFields(options.sensitive);
    this.#deadlines = deadlines;
    this.#connecting = new Connecting(deadlines);
  }

  get open(): readonly OpenConnections[] {
    return [{ protocol: 'h2', count: this.#sessions.length + this.#draining.size + this.#connecting.size }];
  }

  acquire(waiter: Waiter): void {
    if (this.give(waiter)) return;
    this.#waiters.add(waiter);
    this.#open();
  }

  /** @returns false where no session has room */
  give(waiter: Waiter): boolean {
    const session = this.#sessions.find(({ hasRoom }) => hasRoom);
    if (session) waiter.connected(new Http2Link(session, this.#sensitive));
    return session !== undefined;
  }

  /** @param socket of a peer that has chosen HTTP/2 */
  adopt(socket: Socket): void {
    this.#connect(socket);
  }

  /** Sessions that may take streams, now or soon. */
  get size(): number {
    return this.#sessions.length + this.#connecting.size;
  }

  get isConnecting(): boolean {
    return this.#connecting.size > 0;
  }

  /** The peer allows no stream at all for now: another session would not help. */
  get isShut(): boolean {
    return this.#sessions.some(({ isShut }) => isShut);
  }

  /** The configuration allows no route to switch protocols at such a target. */
  acquireAlone(waiter: Waiter): void {
    waiter.unconnected(new Error('HTTP/2 has no Upgrade'));
  }

  leave(waiter: Waiter): void {
    this.#waiters.delete(waiter);
  }

  sweep(): void {
    const nowMs = this.#deadlines.nowMs;
    for (const session of [...this.#sessions, ...this.#draining]) session.look(nowMs);
    for (const session of [...this.#sessions]) {
      if (session.streams === 0 && nowMs - session.idleSinceMs >= IDLE_MS) session.retire();
      session.isResting = false;
      this.#serve(session);
    }
    // One of them may have turned suspect.
    this.#open();
  }

  drain(): void {
    this.#isDraining = true;
    for (const session of [...this.#sessions]) session.retire();
    this.#failAll(new TargetsChanged());
  }

  revive(): void {
    this.#isDraining = false;
  }

  close(): void {
    this.#isClosed = true;
    const error = new Error('the gateway stops');
    for (const session of [...this.#sessions, ...this.#draining, ...this.#connecting.all])
      session.close(error);
    this.#failAll(error);
  }

  connected(session: Http2Session): void {
    this.#connecting.end(session);
    this.#options.attempts.reached();
    session.idleSinceMs = this.#deadlines.nowMs;
    this.#sessions.push(session);
    this.#serve(session);
    if (this.#isDraining) session.retire();
    this.#open();
  }

  released(session: Http2Session): void {
    session.idleSinceMs = this.#deadlines.nowMs;
    this.#serve(session);
  }

  draining(session: Http2Session): void {
    this.#forget(session);
    this.#draining.add(session);
    this.#open();
  }

  closed(session: Http2Session, error: Error | undefined): void {
    if (this.#connecting.has(session) && !this.#isClosed) this.#options.attempts.unreached();
    this.#connecting.end(session);
    this.#forget(session);
    this.#draining.delete(session);
    // All have waited for this attempt, and may try another target, unless another session can still serve them.
    if (error !== undefined && this.#sessions.length === 0) this.#failAll(error);
    else if (error !== undefined) this.#failFirst(error);
    this.#open();
  }

  #forget(session: Http2Session): void {
    const at = this.#sessions.indexOf(session);
    if (at >= 0) this.#sessions.splice(at, 1);
  }

  #failAll(error: Error): void {
    // A copy: a waiter that fails may come back, for its next try.
    for (const waiter of [...this.#waiters]) {
      this.#waiters.delete(waiter);
      waiter.unconnected(error);
    }
  }

  #failFirst(error: Error): void {
    const [first] = this.#waiters;
    if (!first) return;
    this.#waiters.delete(first);
    first.unconnected(error);
  }

  /** As many waiters as the session has room for. */
  #serve(session: Http2Session): void {
    for (const waiter of this.#waiters) {
      if (!session.hasRoom) return;
      this.#waiters.delete(waiter);
      waiter.connected(new Http2Link(session, this.#sensitive));
    }
  }

  /** One attempt to connect at a time: what waits may all find room on the next session. */
  #open(): void {
    if (this.#queue) {
      this.#queue.open();
      return;
    }
    if (this.#isClosed || this.#waiters.size === 0 || this.#connecting.size > 0) return;
    if (this.#sessions.length >= this.#options.connections || this.isShut) return;
    this.#connect();
  }

  #connect(socket?: Socket): void {
    const { endpoint, tls, connectTimeoutMs, streams } = this.#options;
    const session = new Http2Session(endpoint, tls, streams, this, socket);
    this.#connecting.begin(session, connectTimeoutMs);
  }
}

/**
 * Whether connections to one of several addresses can be opened. An address that cannot be reached gets no requests while
 * another can; it is tried again in the background, so that no request has to wait for it. A host without a route to
 * IPv6 is the usual case (RFC 8305).
 */
import type { Clock } from '../clock.ts';
import type { ConnectObserver } from './upstream-link.ts';

const FIRST_TRY_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** After this time within reach, the pauses begin from the first again. */
const STEADY_MS = 60_000;

/** Opens a connection and closes it again; calls back with its success once. Returns a function that ends it. */
export type TryToConnect = (done: (success: boolean) => void) => () => void;

export interface ReachabilityParts {
  readonly tryToConnect: TryToConnect;
  /** There is another address, so that this one need not get requests. */
  readonly isOneOfSeveral: () => boolean;
  readonly clock: Clock;
  readonly changed: () => void;
}

export class Reachability implements ConnectObserver {
  readonly #parts: ReachabilityParts;
  #isProven = false;
  #isOut = false;
  #pauseMs = FIRST_TRY_MS;
  #reachedAtMs = -Infinity;
  #cancel: (() => void) | undefined;
  #isClosed = false;

  constructor(parts: ReachabilityParts) {
    this.#parts = parts;
  }

  /** The last attempt to connect succeeded, or none was made since it did. */
  get isProven(): boolean {
    return this.#isProven;
  }

  get isOut(): boolean {
    return this.#isOut;
  }

  reached(): void {
    if (this.#isProven) return;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#isProven = true;
    this.#isOut = false;
    this.#reachedAtMs = this.#parts.clock.monotonicMs();
    this.#parts.changed();
  }

  unreached(): void {
    if (this.#isOut || this.#isClosed || !this.#parts.isOneOfSeveral()) return;
    if (this.#isProven && this.#parts.clock.monotonicMs() - this.#reachedAtMs > STEADY_MS)
      this.#pauseMs = FIRST_TRY_MS;
    this.#takeOut();
    this.#pause();
  }

  /** An attempt to connect takes long; the one that begins now decides. */
  suspect(): void {
    if (this.#isOut || this.#isClosed || !this.#parts.isOneOfSeveral()) return;
    this.#takeOut();
    this.#try();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #takeOut(): void {
    this.#isOut = true;
    this.#isProven = false;
    this.#parts.changed();
  }

  #pause(): void {
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    this.#cancel = this.#parts.clock.after(pauseMs, () => this.#try());
  }

  #try(): void {
    this.#cancel = this.#parts.tryToConnect((success) => {
      this.#cancel = undefined;
      if (success) this.reached();
      else if (!this.#isClosed) this.#pause();
    });
  }
}

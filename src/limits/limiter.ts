/** What counts requests by one limit. Behind it stand one process alone (LocalLimiter) and a fleet that shares a store (LeasedLimiter). */
import type { MaybePromise } from '../maybe-promise.ts';

/** What a limit says to one request, and how things stand after it. */
export interface Verdict {
  readonly allowed: boolean;
  /** How many more requests would pass now. */
  readonly remaining: number;
  /** How long until one more request would pass; 0: now. */
  readonly retryAfterMs: number;
  /** How long until nothing of the bucket is used any more. */
  readonly fullAfterMs: number;
}

export interface Limiter {
  /**
   * Counts one request, if it passes. Returns without a Promise where it can: only what cannot be known yet waits, for a bounded time.
   *
   * @param key a digest: KEY_CHARACTERS of base64url, whatever a client has sent
   * @param nowMs of the monotonic clock
   */
  take(key: string, nowMs: number): MaybePromise<Verdict>;
  /** Uncounts a request that has passed here, and was then refused by another limit. */
  giveBack(key: string, nowMs: number): void;
  /** As take, but nothing is counted: for `explain`. */
  look(key: string, nowMs: number): MaybePromise<Verdict>;
  /** How many requests found no room for a bucket of their own, and were counted in one for all such keys. */
  readonly overflowed: number;
  /** No configuration has the limit any more. */
  close(): void;
}

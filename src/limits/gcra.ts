/**
 * The generic cell rate algorithm: how many requests pass, with one number to remember for each key. That number is the theoretical
 * arrival time (TAT): when the bucket of the key is full again. Pure; all times are milliseconds of one clock that never goes back.
 */

/** One request each `emissionMs` on average, and at most `burst` at once. In any time t at most burst + t / emissionMs pass. */
export interface Rate {
  /** Above 0; may be a fraction. */
  readonly emissionMs: number;
  /** A whole number, at least 1. */
  readonly burst: number;
}

/** A bucket that is full: of a key that was never seen, or not for a long time. */
export const FULL = -Infinity;

/** Dates of some 1e12 ms lose the ninth digit behind the point: a request is not refused for less than this. */
const ROUNDING_MS = 1e-3;

/**
 * The bucket after `count` requests, or undefined where they do not pass, and the bucket stays as it is.
 *
 * @param tatMs the bucket before
 */
export function take(rate: Rate, tatMs: number, nowMs: number, count = 1): number | undefined {
  const next = charge(rate, tatMs, nowMs, count);
  return next - nowMs <= rate.burst * rate.emissionMs + ROUNDING_MS ? next : undefined;
}

/** The bucket after `count` requests that have passed already, whatever it holds. A negative count gives back. */
export function charge({ emissionMs }: Rate, tatMs: number, nowMs: number, count: number): number {
  return Math.max(tatMs, nowMs) + count * emissionMs;
}

/** How many requests would pass now: a whole number from 0 to the burst. */
export function remaining({ emissionMs, burst }: Rate, tatMs: number, nowMs: number): number {
  const aheadMs = Math.max(0, tatMs - nowMs);
  return Math.max(0, Math.floor(burst - (aheadMs - ROUNDING_MS) / emissionMs));
}

/** How long until one request would pass; 0: now. */
export function retryAfterMs({ emissionMs, burst }: Rate, tatMs: number, nowMs: number): number {
  const waitMs = tatMs - nowMs - (burst - 1) * emissionMs;
  return waitMs > ROUNDING_MS ? waitMs : 0;
}

/** Is nothing of the bucket used? Then it need not be remembered. */
export function isFull(tatMs: number, nowMs: number): boolean {
  return tatMs <= nowMs;
}

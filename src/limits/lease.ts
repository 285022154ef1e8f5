/**
 * What gateways that count together agree on. The store has the bucket of each key. A gateway lets requests pass before the store
 * has counted them, at most a lease at a time, so that no request waits where few are sent; then it tells the store. Pure. Rules L2, L4.
 *
 * In any time t, N gateways let at most t / emissionMs + burst + N × lease requests of one key pass. Why: requests that the store has
 * not counted, or has counted beyond the burst, are at most a lease for each gateway. One that has filled its lease goes on only when
 * the store has replied, and what the reply says holds it back until all that it has added is within the burst again.
 */
import { remaining, type Rate } from './gcra.ts';
import type { LeaseAsk, LeaseReply } from './lease-store.ts';

/** Of the number of a rate: 100 a second gives a lease of 5. */
const LEASE_PART = 0.05;

/** A request that may neither pass nor be refused yet waits so long for the store, at most. */
export const WAIT_MS = 100;

/**
 * What a gateway tells of a key is less than what it knows by this: the time that messages take, so that they do not add to the
 * bucket. A store that has lost everything grants at most what the rate gives in this time.
 */
const TRANSIT_MS = 250;

/** As many gateways are always expected, in what a bucket may hold: a gateway that has just started knows no others. */
const MIN_EXPECTED = 20;

/** How many requests one gateway lets pass ahead of the store. */
export function leaseOf(count: number, burst: number): number {
  return Math.max(1, Math.floor(Math.min(count * LEASE_PART, burst)));
}

/** What one gateway gives while the store is unavailable: all of them together give the rate. */
export function shareOf({ emissionMs, burst }: Rate, gateways: number): Rate {
  return { emissionMs: emissionMs * gateways, burst: Math.max(1, Math.floor(burst / gateways)) };
}

/** No bucket is further ahead: where one is, a clock was set back, and it would refuse for as long as that. */
export function maxAheadMs({ emissionMs, burst }: Rate, lease: number, gateways: number): number {
  return (burst + lease * Math.max(gateways, MIN_EXPECTED)) * emissionMs;
}

/** What is told of a bucket that is full again in so many milliseconds. */
export function toldAheadMs({ emissionMs, burst }: Rate, knownMs: number): number {
  return Math.max(0, Math.min(knownMs, burst * emissionMs) - TRANSIT_MS);
}

/** What an ask comes to. The script of Redis does the same. */
export function settle(
  { rate, passed, wanted, aheadMs, maxAheadMs: limitMs }: LeaseAsk,
  tatMs: number,
  nowMs: number,
): LeaseReply & { readonly tatMs: number } {
  const { emissionMs } = rate;
  const knownMs = Math.max(Math.min(Math.max(tatMs, nowMs), nowMs + limitMs), nowMs + aheadMs);
  const chargedMs = Math.max(nowMs, knownMs + passed * emissionMs);
  const granted = Math.min(wanted, remaining(rate, chargedMs, nowMs));
  const nextMs = chargedMs + granted * emissionMs;
  return { granted, aheadMs: nextMs - nowMs, tatMs: nextMs };
}

/**
 * What one gateway has with the store for one key: requests that have passed and are not counted there yet, and requests that wait.
 * It lives until both are settled; the bucket outlives it. docs/decisions/rate-limit-leases.md. Rules L2, L4.
 */
import type { Bucket } from './bucket-table.ts';
import { charge, take, type Rate } from './gcra.ts';
import type { LeaseAsk, LeaseReply } from './lease-store.ts';
import { maxAheadMs, toldAheadMs } from './lease.ts';

/** What is the same for all keys of a limit. */
export interface LeaseTerms {
  readonly kind: string;
  readonly rate: Rate;
  /** Requests that may pass ahead of the store. */
  readonly lease: number;
}

/** The store counts a request when it is told of it: for a bucket that fills up in this time, later is too late. */
const FAST_MS = 200;

/** Told when it is decided: true: it passes, and is counted in the bucket. Undefined: the store has not decided in time. */
export type Waiter = (passes: boolean | undefined) => void;

export class LeaseAccount {
  readonly terms: LeaseTerms;
  /** As far as this gateway knows: what the store has said, and what was let pass here since. */
  bucket: Bucket;
  /** Forgets it: it is settled. */
  readonly onSettled: () => void;
  /** Passed here and not known to be counted, what is on the way too. Below 0: given back. */
  debt = 0;
  /** Requests have passed by this gateway's share of the limit, which the store is not told yet: in the bucket, and in no debt. */
  passedByShare = false;
  cancelWait: () => void = () => undefined;
  /** On the way. */
  #sent: LeaseAsk | undefined;
  #sentShare = false;
  #waiters: Waiter[] = [];

  constructor(terms: LeaseTerms, bucket: Bucket, onSettled: () => void) {
    this.terms = terms;
    this.bucket = bucket;
    this.onSettled = onSettled;
  }

  /** May one more pass ahead of the store? */
  get hasLease(): boolean {
    return this.debt < this.terms.lease;
  }

  get isWaitedFor(): boolean {
    return this.#waiters.length > 0;
  }

  get isOnTheWay(): boolean {
    return this.#sent !== undefined;
  }

  /** Is there something to tell the store? */
  get isOpen(): boolean {
    return this.debt !== 0 || this.#waiters.length > 0 || this.passedByShare;
  }

  /** Half of the lease is used: what comes during the way to the store and back needs the other half. Or the bucket fills up fast. */
  get isUrgent(): boolean {
    const { rate, lease } = this.terms;
    const isHalfUsed = lease > 1 && 2 * this.debt > lease;
    return isHalfUsed || this.#waiters.length > 0 || rate.burst * rate.emissionMs < FAST_MS;
  }

  wait(waiter: Waiter): void {
    this.#waiters.push(waiter);
  }

  /** Sends those that wait away: the store has not decided. */
  release(): void {
    this.cancelWait();
    for (const waiter of this.#waiters.splice(0)) waiter(undefined);
  }

  send(nowMs: number, gateways: number): LeaseAsk {
    const { kind, rate, lease } = this.terms;
    const { key, tatMs } = this.bucket;
    this.#sentShare = this.passedByShare;
    this.passedByShare = false;
    this.#sent = {
      kind,
      key,
      rate,
      passed: this.debt,
      wanted: this.#waiters.length,
      aheadMs: toldAheadMs(rate, tatMs - this.debt * rate.emissionMs - nowMs),
      maxAheadMs: maxAheadMs(rate, lease, gateways),
    };
    return this.#sent;
  }

  /** It is told again with the next: better counted twice than not at all. */
  failed(): void {
    this.#sent = undefined;
    this.passedByShare ||= this.#sentShare;
  }

  replied({ granted, aheadMs }: LeaseReply, nowMs: number): void {
    const sent = this.#sent;
    if (!sent) return;
    this.#sent = undefined;
    const { rate } = this.terms;
    this.debt -= sent.passed;
    const toldMs = nowMs + aheadMs + this.debt * rate.emissionMs;
    // What has passed by the share since it was sent is not in it.
    this.bucket.tatMs = this.passedByShare ? Math.max(this.bucket.tatMs, toldMs) : toldMs;
    for (const waiter of this.#waiters.splice(0, granted)) {
      granted--;
      waiter(true);
    }
    // Granted to requests that have stopped waiting.
    if (granted > 0) this.#giveBack(granted, nowMs);
    this.#decideOthers(nowMs);
    this.cancelWait();
  }

  /** Those that came after the ask was sent, or for which the bucket holds nothing. */
  #decideOthers(nowMs: number): void {
    const { rate } = this.terms;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const [index, waiter] of waiters.entries()) {
      const tatMs = take(rate, this.bucket.tatMs, nowMs);
      if (tatMs !== undefined && !this.hasLease) {
        this.#waiters = waiters.slice(index);
        return;
      }
      if (tatMs !== undefined) {
        this.bucket.tatMs = tatMs;
        this.debt++;
      }
      waiter(tatMs !== undefined);
    }
  }

  #giveBack(count: number, nowMs: number): void {
    this.debt -= count;
    this.bucket.tatMs = charge(this.terms.rate, this.bucket.tatMs, nowMs, -count);
  }
}

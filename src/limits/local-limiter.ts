/** Counts requests by one limit in this process alone. Never waits. */
import { charge, FULL, remaining, retryAfterMs, take, type Rate } from './gcra.ts';
import { BucketTable, type KeyBudget } from './bucket-table.ts';
import type { Limiter, Verdict } from './limiter.ts';

export class LocalLimiter implements Limiter {
  readonly #rate: Rate;
  readonly #budget: KeyBudget;
  readonly #table: BucketTable;
  #overflowed = 0;

  constructor(rate: Rate, budget: KeyBudget) {
    this.#rate = rate;
    this.#budget = budget;
    this.#table = new BucketTable(budget, rate.burst * rate.emissionMs);
  }

  get overflowed(): number {
    return this.#overflowed;
  }

  take(key: string, nowMs: number): Verdict {
    const known = this.#table.find(key);
    if (known === undefined) {
      const tatMs = charge(this.#rate, FULL, nowMs, 1);
      if (this.#table.add(key, tatMs, nowMs)) return this.#verdict(true, tatMs, nowMs);
      this.#overflowed++;
    }
    const bucket = known ?? this.#table.overflow;
    const tatMs = take(this.#rate, bucket.tatMs, nowMs);
    if (tatMs === undefined) return this.#verdict(false, bucket.tatMs, nowMs);
    bucket.tatMs = tatMs;
    return this.#verdict(true, tatMs, nowMs);
  }

  giveBack(key: string, nowMs: number): void {
    const bucket = this.#table.find(key) ?? this.#table.overflow;
    bucket.tatMs = charge(this.#rate, bucket.tatMs, nowMs, -1);
  }

  look(key: string, nowMs: number): Verdict {
    const tatMs = this.#table.find(key)?.tatMs ?? FULL;
    return this.#verdict(take(this.#rate, tatMs, nowMs) !== undefined, tatMs, nowMs);
  }

  close(): void {
    this.#budget.leave(this.#table);
  }

  #verdict(allowed: boolean, tatMs: number, nowMs: number): Verdict {
    return {
      allowed,
      remaining: remaining(this.#rate, tatMs, nowMs),
      retryAfterMs: retryAfterMs(this.#rate, tatMs, nowMs),
      fullAfterMs: Math.max(0, tatMs - nowMs),
    };
  }
}

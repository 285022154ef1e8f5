/**
 * Counts requests by one limit together with other processes. A request passes or is refused at once wherever this process knows
 * enough; it waits, for a bounded time, only where its lease is used up and the store may have more. Rules L1, L2, L4.
 *
 * What the store has said of a key, and what was let pass since, is in a bucket here. The bucket in the store is never fuller. So what
 * the bucket here does not hold is refused without asking; what it holds passes within the lease.
 */
import type { MaybePromise } from '../maybe-promise.ts';
import { BucketTable, type Bucket, type KeyBudget } from './bucket-table.ts';
import { charge, FULL, remaining, retryAfterMs, take, type Rate } from './gcra.ts';
import { LeaseAccount, type LeaseTerms } from './lease-account.ts';
import type { LeaseDesk } from './lease-desk.ts';
import { leaseOf, maxAheadMs, shareOf, toldAheadMs } from './lease.ts';
import type { Limiter, Verdict } from './limiter.ts';
import type { RateLimit } from './rate-limit.ts';

export interface LeasedLimiterParts {
  readonly limit: Pick<RateLimit, 'rate' | 'count'>;
  /** Of its keys: see LeaseAsk. */
  readonly kind: string;
  readonly budget: KeyBudget;
  readonly desk: LeaseDesk;
  readonly monotonicMs: () => number;
}

export class LeasedLimiter implements Limiter {
  readonly #terms: LeaseTerms;
  readonly #parts: LeasedLimiterParts;
  readonly #table: BucketTable;
  /** By key: of what the store is not told yet. */
  readonly #accounts = new Map<string, LeaseAccount>();
  #share: { readonly gateways: number; readonly rate: Rate };
  #overflowed = 0;

  constructor(parts: LeasedLimiterParts) {
    const { rate, count } = parts.limit;
    this.#parts = parts;
    this.#terms = { kind: parts.kind, rate, lease: leaseOf(count, rate.burst) };
    this.#share = { gateways: 1, rate };
    this.#table = new BucketTable(parts.budget, rate.burst * rate.emissionMs);
  }

  get overflowed(): number {
    return this.#overflowed;
  }

  take(key: string, nowMs: number): MaybePromise<Verdict> {
    const { rate } = this.#terms;
    const bucket = this.#table.find(key) ?? this.#added(key, nowMs);
    if (!bucket) {
      this.#overflowed++;
      return this.#takeShare(this.#table.overflow, nowMs);
    }
    if (!this.#parts.desk.isAvailable) return this.#takeShare(bucket, nowMs);
    const tatMs = take(rate, bucket.tatMs, nowMs);
    if (tatMs === undefined) return verdict(rate, false, bucket, nowMs);
    const account = this.#accountOf(bucket);
    if (!account) return this.#takeShare(bucket, nowMs);
    if (!account.hasLease || account.isWaitedFor) return this.#wait(account);
    bucket.tatMs = tatMs;
    account.debt++;
    this.#parts.desk.tell(account);
    return verdict(rate, true, bucket, nowMs);
  }

  giveBack(key: string, nowMs: number): void {
    const { desk } = this.#parts;
    const bucket = this.#table.find(key);
    const account = bucket && desk.isAvailable ? this.#accountOf(bucket) : undefined;
    const rate = account ? this.#terms.rate : this.#shareRate();
    const place = bucket ?? this.#table.overflow;
    place.tatMs = charge(rate, place.tatMs, nowMs, -1);
    if (!account) return;
    account.debt--;
    desk.tell(account);
  }

  async look(key: string, nowMs: number): Promise<Verdict> {
    const { desk, monotonicMs } = this.#parts;
    const { kind, rate, lease } = this.#terms;
    const known = this.#table.find(key) ?? { key, tatMs: FULL };
    const debt = this.#accounts.get(key)?.debt ?? 0;
    try {
      const aheadMs = toldAheadMs(rate, known.tatMs - debt * rate.emissionMs - nowMs);
      const limitMs = maxAheadMs(rate, lease, desk.gateways);
      const reply = await desk.look({ kind, key, rate, passed: 0, wanted: 0, aheadMs, maxAheadMs: limitMs });
      const laterMs = monotonicMs();
      return looked(rate, { key, tatMs: laterMs + reply.aheadMs + debt * rate.emissionMs }, laterMs);
    } catch {
      return looked(this.#shareRate(), known, monotonicMs());
    }
  }

  close(): void {
    this.#parts.budget.leave(this.#table);
  }

  /** A bucket that nothing is used of; undefined where there is no room. */
  #added(key: string, nowMs: number): Bucket | undefined {
    // Where the table puts it, it will be looked at when one request is given back.
    if (!this.#table.add(key, charge(this.#terms.rate, FULL, nowMs, 1), nowMs)) return undefined;
    const bucket = this.#table.find(key);
    if (bucket) bucket.tatMs = nowMs;
    return bucket;
  }

  #accountOf(bucket: Bucket): LeaseAccount | undefined {
    const { key } = bucket;
    const known = this.#accounts.get(key);
    if (known) {
      // A bucket that was full may have been forgotten, and made once more.
      known.bucket = bucket;
      return known;
    }
    if (!this.#parts.desk.hasRoom) return undefined;
    const account = new LeaseAccount(this.#terms, bucket, () => this.#accounts.delete(key));
    this.#accounts.set(key, account);
    return account;
  }

  #wait(account: LeaseAccount): Promise<Verdict> {
    const { desk, monotonicMs } = this.#parts;
    const { promise, resolve } = Promise.withResolvers<Verdict>();
    const isFirst = !account.isWaitedFor;
    account.wait((passes) => {
      const nowMs = monotonicMs();
      resolve(
        passes === undefined
          ? this.#undecided(account, nowMs)
          : verdict(this.#terms.rate, passes, account.bucket, nowMs),
      );
    });
    if (isFirst) desk.waitFor(account);
    return promise;
  }

  /** The store has not decided in time. One that is only slow counts what passes all the same. */
  #undecided(account: LeaseAccount, nowMs: number): Verdict {
    const { desk } = this.#parts;
    if (!desk.isAvailable) return this.#takeShare(account.bucket, nowMs);
    const decided = this.#decidedByShare(account.bucket, nowMs);
    if (decided.allowed) account.debt++;
    desk.tell(account);
    return decided;
  }

  /** Decides without the store: all gateways do, so each gives a part. */
  #takeShare(bucket: Bucket, nowMs: number): Verdict {
    const decided = this.#decidedByShare(bucket, nowMs);
    const account = decided.allowed && bucket !== this.#table.overflow ? this.#accountOf(bucket) : undefined;
    if (account) {
      account.passedByShare = true;
      this.#parts.desk.tell(account);
    }
    return decided;
  }

  #decidedByShare(bucket: Bucket, nowMs: number): Verdict {
    const rate = this.#shareRate();
    const tatMs = take(rate, bucket.tatMs, nowMs);
    if (tatMs !== undefined) bucket.tatMs = tatMs;
    return verdict(rate, tatMs !== undefined, bucket, nowMs);
  }

  #shareRate(): Rate {
    const { gateways } = this.#parts.desk;
    if (this.#share.gateways !== gateways)
      this.#share = { gateways, rate: shareOf(this.#terms.rate, gateways) };
    return this.#share.rate;
  }
}

function verdict(rate: Rate, allowed: boolean, { tatMs }: Bucket, nowMs: number): Verdict {
  return {
    allowed,
    remaining: remaining(rate, tatMs, nowMs),
    retryAfterMs: retryAfterMs(rate, tatMs, nowMs),
    fullAfterMs: Math.max(0, tatMs - nowMs),
  };
}

function looked(rate: Rate, bucket: Bucket, nowMs: number): Verdict {
  return verdict(rate, take(rate, bucket.tatMs, nowMs) !== undefined, bucket, nowMs);
}

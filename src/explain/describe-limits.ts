/** The limits that count a request, and what is left of them, in words. Names what a caller is counted by, never its value. */
import { whenReady, type MaybePromise } from '../maybe-promise.ts';
import type { Limiter, Verdict } from '../limits/limiter.ts';
import type { RateLimit } from '../limits/rate-limit.ts';
import type { Route } from '../policy.ts';
import { LimitKeys } from '../token/limit-keys.ts';
import type { Limiters } from '../token/placed-limits.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';

/** One limit of a request. Plain data. */
export interface ExplainedLimit {
  readonly name: string;
  /** `claim PATH` for a claim. */
  readonly by: string;
  readonly rate: string;
  readonly burst: number;
  readonly scope: RateLimit['scope'];
  readonly report_only: boolean;
  /** `missing`: the token does not say, and shares a bucket. Null: the request did not come as far as a token. */
  readonly counted_by: RateLimit['by'] | 'missing' | null;
  /** How many more requests would pass now; null where no running gateway was asked. */
  readonly left: number | null;
  /** In how many seconds one would pass; null where no running gateway was asked. */
  readonly retry_after: number | null;
}

/** Limiters of a gateway that runs, looked at without counting. What they said is kept. */
export class DryLimits {
  readonly limiters: Limiters;
  readonly #said = new Map<string, Verdict>();

  /** @param running undefined: no gateway is asked, and nothing is known of what is left */
  constructor(running: Limiters | undefined) {
    const looking = (limiters: Limiters['callers'] = new Map()): Limiters['callers'] =>
      new Map([...limiters].map(([name, limiter]) => [name, this.#looking(name, limiter)]));
    this.limiters = { callers: looking(running?.callers), addresses: looking(running?.addresses) };
  }

  /** The limits of the route, in the order in which they count. */
  explained({ limits }: Route, token: AuthenticToken | undefined, reachedCaller: boolean): ExplainedLimit[] {
    return [...limits.address, ...limits.caller].map(({ limit }) => {
      const said = this.#said.get(limit.name);
      return {
        name: limit.name,
        by: limit.claim === undefined ? limit.by : `claim ${limit.claim}`,
        rate: rateText(limit),
        burst: limit.rate.burst,
        scope: limit.scope,
        report_only: limit.reportOnly,
        counted_by: limit.by === 'ip' ? 'ip' : reachedCaller ? countedBy(limit, token) : null,
        left: said?.remaining ?? null,
        retry_after: said === undefined ? null : Math.ceil(said.retryAfterMs / 1000),
      };
    });
  }

  #looking(name: string, limiter: Limiter): Limiter {
    const look = (key: string, nowMs: number): MaybePromise<Verdict> =>
      whenReady(limiter.look(key, nowMs), (verdict) => {
        this.#said.set(name, verdict);
        return verdict;
      });
    return { take: look, look, giveBack: () => undefined, overflowed: 0, close: () => undefined };
  }
}

function countedBy(limit: RateLimit, token: AuthenticToken | undefined): ExplainedLimit['counted_by'] {
  if (!token) return 'ip';
  return LimitKeys.valueOf(limit, token) === undefined ? 'missing' : limit.by;
}

const UNITS = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1_000, 's'],
] as const;

/** As the configuration writes it. */
export function rateText({ count, windowMs }: Pick<RateLimit, 'count' | 'windowMs'>): string {
  const [unitMs, unit] = UNITS.find(([ms]) => windowMs % ms === 0) ?? [1_000, 's'];
  return `${count}/${windowMs / unitMs}${unit}`;
}

/** Of the limits of one step. */
export function limitsText(limits: readonly ExplainedLimit[]): string {
  return limits.map(limitText).join('; ');
}

function limitText({ name, by, rate, burst, report_only, counted_by, left }: ExplainedLimit): string {
  const counted = counted_by === null ? '' : (COUNTED[counted_by] ?? '');
  const leftText = left === null ? '' : `, ${left} left`;
  return `${name}: ${rate} by ${by}, burst ${burst}${report_only ? ', report only' : ''}${by === counted_by ? '' : counted}${leftText}`;
}

const COUNTED: Readonly<Partial<Record<NonNullable<ExplainedLimit['counted_by']>, string>>> = {
  ip: ' (by the address: there is no token)',
  missing: ' (in the bucket of tokens that do not say)',
};

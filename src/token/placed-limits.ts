/**
 * Counts one request by several limits: it passes where all of them let it. What one refuses is not counted by the others. Returns
 * without a Promise where the limiters do.
 */
import type { GatewayError } from '../errors.ts';
import type { Limiter, Verdict } from '../limits/limiter.ts';
import type { LimitRefusals } from '../limits/limit-refusals.ts';
import type { RateLimit } from '../limits/rate-limit.ts';
import type { MaybePromise } from '../maybe-promise.ts';
import type { LimitKeys } from './limit-keys.ts';
import type { AuthenticToken } from './token-verifier.ts';

/** A limit of a route. All routes that have it share this one. */
export interface PlacedLimit {
  readonly limit: RateLimit;
  readonly keys: LimitKeys;
  readonly refusals: LimitRefusals;
}

/**
 * What counts, by the name of the limit; a limit without counts nothing, as in a dry run. Addresses have tables of their own: a client
 * without a token must not fill those of callers.
 */
export interface Limiters {
  readonly callers: ReadonlyMap<string, Limiter>;
  /** For limits by address, and for callers without a token. */
  readonly addresses: ReadonlyMap<string, Limiter>;
}

/** What counts one request. */
export interface Counted {
  readonly limits: readonly PlacedLimit[];
  readonly limiters: Limiters;
  /** Undefined: the request is counted by its address. */
  readonly token: AuthenticToken | undefined;
  /** Of the client, as the log has it. */
  readonly address: string;
  /** On the monotonic clock. */
  readonly nowMs: number;
  /** Is told of each limit that would refuse, but only reports. */
  readonly onReported: (limit: RateLimit) => void;
}

const NONE: readonly PlacedLimit[] = [];

/** @returns the refusal of the first limit that does not let the request pass; undefined: it passes, and is counted */
export function takeAll(counted: Counted): MaybePromise<GatewayError | undefined> {
  return takeFrom(counted, 0, NONE);
}

/** @param exceeded those before `from` that only report, and have not counted the request */
function takeFrom(
  counted: Counted,
  from: number,
  exceeded: readonly PlacedLimit[],
): MaybePromise<GatewayError | undefined> {
  const { limits, token, address, nowMs, onReported } = counted;
  const limiters = token ? counted.limiters.callers : counted.limiters.addresses;
  let uncounted = exceeded;
  for (let at = from; at < limits.length; at++) {
    const placed = limits[at];
    const limiter = placed && limiters.get(placed.limit.name);
    if (!limiter) continue;
    const verdict = limiter.take(placed.keys.of(token, address), nowMs);
    if (verdict instanceof Promise) {
      const before = uncounted;
      return verdict.then(
        (late) =>
          judged(late, placed, at) ?? takeFrom(counted, at + 1, late.allowed ? before : [...before, placed]),
      );
    }
    const refusal = judged(verdict, placed, at);
    if (refusal) return refusal;
    if (!verdict.allowed) uncounted = [...uncounted, placed];
  }
  return undefined;

  function judged(verdict: Verdict, placed: PlacedLimit, at: number): GatewayError | undefined {
    if (verdict.allowed) return undefined;
    if (placed.limit.reportOnly) {
      onReported(placed.limit);
      return undefined;
    }
    for (const other of limits.slice(0, at))
      if (!uncounted.includes(other))
        limiters.get(other.limit.name)?.giveBack(other.keys.of(token, address), nowMs);
    return placed.refusals.of(verdict);
  }
}

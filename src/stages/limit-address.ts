/**
 * Second stage: may this address send a request now? By the route's limits `by: ip`.
 *
 * It stands in front of everything that looks at a token, since it protects that: behind the verification, a flood of made-up
 * tokens would be verified first. So it knows nothing but the route and the address; what a client claims decides nothing here
 * (rule L3). What it has let pass stays counted, whatever the request comes to.
 */
import type { Clock } from '../clock.ts';
import type { GatewayError } from '../errors.ts';
import type { RateLimit } from '../limits/rate-limit.ts';
import type { MaybePromise } from '../maybe-promise.ts';
import type { Route } from '../policy.ts';
import { takeAll, type Limiters } from '../token/placed-limits.ts';

declare const made: unique symbol;

/** The route of a request, where the address that it comes from may send one now. The route itself, so that it costs no object. */
export type OpenRoute = Route & { readonly [made]: 'by limitAddress' };

/**
 * @param address of the client, as the log has it
 * @param onReported is told of each limit that would refuse, but only reports
 * @returns a refusal: 429
 */
export function limitAddress(
  limiters: Limiters,
  route: Route,
  address: string,
  clock: Pick<Clock, 'monotonicMs'>,
  onReported: (limit: RateLimit) => void,
): MaybePromise<OpenRoute | GatewayError> {
  const { address: limits } = route.limits;
  if (limits.length === 0) return route as OpenRoute;
  const refusal = takeAll({
    limits,
    limiters,
    token: undefined,
    address,
    nowMs: clock.monotonicMs(),
    onReported,
  });
  return refusal instanceof Promise
    ? refusal.then((late) => late ?? (route as OpenRoute))
    : (refusal ?? (route as OpenRoute));
}

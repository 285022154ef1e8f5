/**
 * Eighth stage: may this caller send a request now? By the limits of the route that count identities.
 *
 * It stands behind `check revocation` and `authorize`: a token that is refused, such as a stolen one that was revoked, must use up
 * nothing of what its subject may send. And in front of everything that works for the request: choice, signature, upstream.
 * A limit may wait for the others of a fleet, and meanwhile the token may be revoked: then the pipeline looks once more
 * (rule V2).
 *
 * A caller without a token is counted by its address.
 */
import type { Clock } from '../clock.ts';
import type { GatewayError } from '../errors.ts';
import type { RateLimit } from '../limits/rate-limit.ts';
import type { MaybePromise } from '../maybe-promise.ts';
import { takeAll, type Limiters } from '../token/placed-limits.ts';
import type { AuthorizedRequest } from './authorize.ts';

declare const made: unique symbol;

/** An authorized request that no limit refuses. The request itself, so that it costs no object. */
export type AdmittedRequest = AuthorizedRequest & { readonly [made]: 'by limitCaller' };

/**
 * @param address of the client, as the log has it
 * @param onReported is told of each limit that would refuse, but only reports
 * @param stillGood asked where a limit has waited: a refusal, where the token was revoked meanwhile
 * @returns a refusal: 429, or that of `stillGood`
 */
export function limitCaller(
  limiters: Limiters,
  authorized: AuthorizedRequest,
  address: string,
  clock: Pick<Clock, 'monotonicMs'>,
  onReported: (limit: RateLimit) => void,
  stillGood: (authorized: AuthorizedRequest) => AuthorizedRequest | GatewayError,
): MaybePromise<AdmittedRequest | GatewayError> {
  const { token, route } = authorized;
  const { caller: limits } = route.limits;
  if (limits.length === 0) return authorized as AdmittedRequest;
  const refusal = takeAll({ limits, limiters, token, address, nowMs: clock.monotonicMs(), onReported });
  return refusal instanceof Promise
    ? refusal.then((late) => late ?? (stillGood(authorized) as AdmittedRequest | GatewayError))
    : (refusal ?? (authorized as AdmittedRequest));
}

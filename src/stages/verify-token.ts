/**
 * Fourth stage: is the token authentic, from an issuer that this route accepts, and in time? Caches and verification
 * are behind the TokenVerifier interface. Rules B3, B10, I3, J12.
 */
import { invalidToken } from '../auth-errors.ts';
import { GatewayError } from '../errors.ts';
import { whenReady, type MaybePromise } from '../maybe-promise.ts';
import type { Route } from '../policy.ts';
import type { AuthenticToken, TokenCaller, TokenVerifier, Verification } from '../token/token-verifier.ts';
import type { PresentedToken } from './extract-token.ts';

/** A token that is authentic and in time, or none on a route that allows that. Whether it is revoked is not yet checked. */
class VerifiedToken {
  declare protected readonly made: 'by verifyToken';
  readonly token: AuthenticToken | undefined;
  readonly cache: 'hit' | 'miss' | undefined;

  constructor(verification: Verification | undefined) {
    this.token = verification?.token;
    this.cache = verification?.cache;
  }
}
export type { VerifiedToken };

const ANONYMOUS = new VerifiedToken(undefined);

/**
 * @param verifiers by issuer set; the policy guarantees one for each route that asks for a token
 * @param caller its address bounds waiting and asking; it decides nothing about the token
 * @returns a refusal that is known already, or that time has brought: to throw it would cost as much as to verify from a cache
 * @throws GatewayError 401 with its reason, 503 where an authority is unavailable
 */
export function verifyToken(
  verifiers: ReadonlyMap<string, TokenVerifier>,
  presented: PresentedToken,
  route: Pick<Route, 'issuerSet'>,
  caller: TokenCaller,
  nowMs: number,
): MaybePromise<VerifiedToken | GatewayError> {
  if (presented.token === undefined) return ANONYMOUS;
  const verifier = verifiers.get(route.issuerSet);
  if (!verifier) throw invalidToken('unknown_issuer');
  return whenReady(verifier.judge(presented.token, caller, presented.digest), (judgement) => {
    if (judgement instanceof GatewayError) return judgement;
    return refusedByTime(judgement.token, nowMs / 1000) ?? new VerifiedToken(judgement);
  });
}

/** On every use, cached or not: a token in a cache grows old like any other. */
function refusedByTime(token: AuthenticToken, nowSeconds: number): GatewayError | undefined {
  const { issuerName, expiresAt, notBefore, clockSkewSeconds } = token;
  if (expiresAt !== undefined && nowSeconds >= expiresAt + clockSkewSeconds) {
    return invalidToken('expired', issuerName);
  }
  if (notBefore !== undefined && nowSeconds < notBefore - clockSkewSeconds) {
    return invalidToken('not_yet_valid', issuerName);
  }
  return undefined;
}

/**
 * Tenth stage: a signed assertion about the caller, for upstreams that verify one. It is signed once for a token and an
 * upstream, and used again within its life.
 */
import type { Clock } from '../clock.ts';
import type { ReusableAssertion } from '../identity/assertion-jwt.ts';
import type { TokenMemo } from '../token/token-memo.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';
import type { ChosenUpstream } from './choose-upstream.ts';
import type { AdmittedRequest } from './limit-caller.ts';

/** Whom an assertion is for: the upstream that gets the request, or each that may get it. */
type Audience = string | readonly string[];

/** Signs assertions (RFC 7519) about callers. */
export interface AssertionSigner {
  /** What was signed for a token, by audience. */
  readonly reusable: TokenMemo<Map<Audience, ReusableAssertion>>;
  /** @param audience names of upstreams */
  sign(token: AuthenticToken, audience: Audience): ReusableAssertion;
}

/** An admitted request with everything that the gateway says about its caller. */
class AssertedRequest {
  declare protected readonly made: 'by signAssertion';
  readonly authorized: AdmittedRequest;
  /** Names and values in turn: the assertion, or nothing. */
  readonly assertion: readonly string[];

  constructor(authorized: AdmittedRequest, assertion: readonly string[]) {
    this.authorized = authorized;
    this.assertion = assertion;
  }
}
export type { AssertedRequest };

const NONE: readonly string[] = [];

/**
 * @param signer undefined where no assertion is configured
 * @param chosen undefined where another proxy forwards the request: which of the route's upstreams it asks is up to it, so
 *               the assertion is for each of them
 */
export function signAssertion(
  signer: AssertionSigner | undefined,
  authorized: AdmittedRequest,
  chosen: ChosenUpstream | undefined,
  clock: Clock,
): AssertedRequest {
  const { token, route } = authorized;
  if (!signer || !token) return new AssertedRequest(authorized, NONE);
  const { upstream } = route;
  const audience = chosen ?? (typeof upstream === 'string' ? upstream : upstream.names);
  const byAudience = signer.reusable.of(token);
  let reusable = byAudience.get(audience);
  if (!reusable || clock.nowMs() >= reusable.reusableUntilMs) {
    reusable = signer.sign(token, audience);
    byAudience.set(audience, reusable);
  }
  return new AssertedRequest(authorized, reusable.headers);
}

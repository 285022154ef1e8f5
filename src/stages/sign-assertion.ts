/**
 * Sixth stage: a signed assertion about the caller, for upstreams that verify one. It is signed once for a token and an
 * upstream, and used again within its life.
 */
import type { ReusableAssertion } from '../identity/assertion-jwt.ts';
import type { TokenMemo } from '../token/token-memo.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';
import type { AuthorizedRequest } from './authorize.ts';

/** Signs assertions (RFC 7519) about callers. */
export interface AssertionSigner {
  /** What was signed for a token, by upstream. */
  readonly reusable: TokenMemo<Map<string, ReusableAssertion>>;
  /** @param audience the name of the upstream */
  sign(token: AuthenticToken, audience: string): ReusableAssertion;
}

/** An authorized request with everything that the gateway says about its caller. */
class AssertedRequest {
  declare protected readonly made: 'by signAssertion';
  readonly authorized: AuthorizedRequest;
  /** Names and values in turn: the assertion, or nothing. */
  readonly assertion: readonly string[];

  constructor(authorized: AuthorizedRequest, assertion: readonly string[]) {
    this.authorized = authorized;
    this.assertion = assertion;
  }
}
export type { AssertedRequest };

const NONE: readonly string[] = [];

/** @param signer undefined where no assertion is configured */
export function signAssertion(
  signer: AssertionSigner | undefined,
  authorized: AuthorizedRequest,
  nowMs: number,
): AssertedRequest {
  const { token, route } = authorized;
  if (!signer || !token) return new AssertedRequest(authorized, NONE);
  const byUpstream = signer.reusable.of(token);
  let reusable = byUpstream.get(route.upstream);
  if (!reusable || nowMs >= reusable.reusableUntilMs) {
    reusable = signer.sign(token, route.upstream);
    byUpstream.set(route.upstream, reusable);
  }
  return new AssertedRequest(authorized, reusable.headers);
}

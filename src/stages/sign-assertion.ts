/**
 * Sixth stage: the gateway's own word for the caller, as a signed assertion, for upstreams that verify. One is
 * signed for a token and an upstream and used again within its life.
 */
import type { AuthenticToken } from '../token/token-verifier.ts';
import type { AuthorizedRequest } from './authorize.ts';

/** Signs assertions (RFC 7519) about callers. */
export interface AssertionSigner {
  readonly header: string;
  /**
   * @param audience the name of the upstream
   * @returns the assertion, and until when (milliseconds of wall-clock time) it may be used again
   */
  sign(
    token: AuthenticToken,
    audience: string,
  ): { readonly assertion: string; readonly reusableUntilMs: number };
}

/** An authorized request with everything that the gateway says of its caller. */
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

interface ReusableAssertion {
  readonly headers: readonly string[];
  readonly reusableUntilMs: number;
}

/** @param signer undefined where no assertion is configured */
export function signAssertion(
  signer: AssertionSigner | undefined,
  authorized: AuthorizedRequest,
  nowMs: number,
): AssertedRequest {
  const { token, route } = authorized;
  if (!signer || !token) return new AssertedRequest(authorized, NONE);
  const known = token.derived.get(signer) as Map<string, ReusableAssertion> | undefined;
  const byUpstream = known ?? new Map<string, ReusableAssertion>();
  if (!known) token.derived.set(signer, byUpstream);
  let reusable = byUpstream.get(route.upstream);
  if (!reusable || nowMs >= reusable.reusableUntilMs) {
    const { assertion, reusableUntilMs } = signer.sign(token, route.upstream);
    reusable = { headers: [signer.header, assertion], reusableUntilMs };
    byUpstream.set(route.upstream, reusable);
  }
  return new AssertedRequest(authorized, reusable.headers);
}

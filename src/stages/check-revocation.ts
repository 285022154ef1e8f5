/**
 * Sixth stage: refuses tokens that were revoked before they expired.
 *
 * Runs on every request, verification-cache hits included: a cached signature stays true, a cached "not
 * revoked" does not. Rules V1, V2, V8, B10.
 */
import { invalidToken, unavailable } from '../auth-errors.ts';
import type { GatewayError } from '../errors.ts';
import type { Route } from '../policy.ts';
import type { RevocableToken } from '../revocation/revocation-target.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';
import type { PossessedToken } from './check-possession.ts';

/** The local copy of the revocation list. */
export interface Revocations {
  /** Milliseconds since it was last known to be complete. */
  readonly ageMs: number;
  isRevoked(token: RevocableToken, issuedAt: number | undefined): boolean;
}

/** A token that is not revoked as far as the list goes, or none on a route that allows that. */
class UnrevokedToken {
  declare protected readonly made: 'by checkRevocation';
  readonly token: AuthenticToken | undefined;
  /** The list, or that of used proofs, was too old to know, and the route says to let requests pass then. */
  readonly failedOpen: boolean;

  constructor(token: AuthenticToken | undefined, failedOpen: boolean) {
    this.token = token;
    this.failedOpen = failedOpen;
  }
}
export type { UnrevokedToken };

const RETRY_AFTER_SECONDS = 1;

/**
 * @throws GatewayError 401 `revoked`; 503 `revocation_unavailable` where the view is older than `max_view_age`
 *         and the route says deny. Silence is never read as "not revoked".
 */
export function checkRevocation(
  revocations: Revocations,
  possessed: PossessedToken,
  route: Pick<Route, 'whenStale'>,
  maxViewAgeMs: number,
): UnrevokedToken {
  const { token, failedOpen } = possessed;
  if (!token) return new UnrevokedToken(undefined, false);
  // A token that is known to be revoked stays revoked, however old the list is.
  if (revocations.isRevoked(token.revocable, token.issuedAt)) throw invalidToken('revoked');
  const stale = revocations.ageMs > maxViewAgeMs;
  if (stale && route.whenStale === 'deny') throw unavailable('revocation_unavailable', RETRY_AFTER_SECONDS);
  return new UnrevokedToken(token, stale || failedOpen);
}

/**
 * For a later step that has waited: a revocation that has landed meanwhile holds (rule V2). How old the list may be was asked
 * before.
 */
export function revokedMeanwhile(
  revocations: Revocations,
  token: AuthenticToken | undefined,
): GatewayError | undefined {
  return token && revocations.isRevoked(token.revocable, token.issuedAt)
    ? invalidToken('revoked')
    : undefined;
}

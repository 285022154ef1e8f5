/**
 * Sixth stage: refuses tokens that were revoked before they expired, by the gateway's own list or by that of their issuer
 * (draft-ietf-oauth-status-list).
 *
 * Runs on every request, verification-cache hits included: a cached signature stays true, a cached "not
 * revoked" does not. It may wait for a list of the issuer that is not there yet: only a token that is authentic, and whose
 * holder presents it, has one fetched. Rules V1, V2, V8, V18, B10.
 */
import { invalidToken, unavailable } from '../auth-errors.ts';
import type { GatewayError } from '../errors.ts';
import { whenReady, type MaybePromise } from '../maybe-promise.ts';
import type { Route } from '../policy.ts';
import type { RevocableToken } from '../revocation/revocation-target.ts';
import type { StatusVerdict } from '../status-lists/status-lists.ts';
import type { AuthenticToken, TokenCaller } from '../token/token-verifier.ts';
import type { PossessedToken } from './check-possession.ts';

/** The local copy of the revocation list. */
export interface Revocations {
  /** Milliseconds since it was last known to be complete. */
  readonly ageMs: number;
  isRevoked(token: RevocableToken, issuedAt: number | undefined): boolean;
}

/** The lists in which issuers say how their tokens stand. */
export interface Statuses {
  /** May wait for a list. Without a Promise where it is there. */
  verdictOf(token: AuthenticToken, caller: TokenCaller): MaybePromise<StatusVerdict>;
  /** By what is held, without a wait. */
  heldVerdictOf(token: AuthenticToken): StatusVerdict;
}

/** What says that a token has ended before it expires. */
export interface OffSwitches {
  readonly revocations: Revocations;
  readonly statuses: Statuses;
}

/** A token that is not revoked as far as the lists go, or none on a route that allows that. */
class UnrevokedToken {
  declare protected readonly made: 'by checkRevocation';
  readonly token: AuthenticToken | undefined;
  /** A list, or that of used proofs, was too old to know, and the route says to let requests pass then. */
  readonly failedOpen: boolean;

  constructor(token: AuthenticToken | undefined, failedOpen: boolean) {
    this.token = token;
    this.failedOpen = failedOpen;
  }
}
export type { UnrevokedToken };

const RETRY_AFTER_SECONDS = 1;
/** A list is not fetched more often. */
const STATUS_RETRY_AFTER_SECONDS = 5;

/**
 * @throws GatewayError 401 `revoked`, `status`; 503 `revocation_unavailable` where the view is older than `max_view_age`, or
 *         `status_unavailable` where the list of the issuer is too old or not there, and the route says deny. Silence is never
 *         read as "not revoked".
 */
export function checkRevocation(
  { revocations, statuses }: OffSwitches,
  possessed: PossessedToken,
  route: Pick<Route, 'whenStale'>,
  maxViewAgeMs: number,
  caller: TokenCaller,
): MaybePromise<UnrevokedToken> {
  const { token, failedOpen } = possessed;
  if (!token) return new UnrevokedToken(undefined, false);
  // A token that is known to be revoked stays revoked, however old the list is.
  if (isRevoked(revocations, token)) throw invalidToken('revoked');
  const stale = revocations.ageMs > maxViewAgeMs;
  if (stale && route.whenStale === 'deny') throw unavailable('revocation_unavailable', RETRY_AFTER_SECONDS);
  const verdict = statuses.verdictOf(token, caller);
  const hasWaited = verdict instanceof Promise;
  return whenReady(verdict, (status) => {
    // A revocation that has landed meanwhile holds (rule V2).
    if (hasWaited && isRevoked(revocations, token)) throw invalidToken('revoked');
    if (status instanceof Error) throw status;
    if (status === 'unknown' && route.whenStale === 'deny')
      throw unavailable('status_unavailable', STATUS_RETRY_AFTER_SECONDS, { issuer: token.issuerName });
    return new UnrevokedToken(token, stale || failedOpen || status === 'unknown');
  });
}

/**
 * For what goes on after this stage, or waits: a revocation that has landed meanwhile holds (rule V2). How old the lists may be was
 * asked before.
 */
export function revokedMeanwhile(
  { revocations, statuses }: OffSwitches,
  token: AuthenticToken | undefined,
): GatewayError | undefined {
  if (!token) return undefined;
  if (isRevoked(revocations, token)) return invalidToken('revoked');
  const status = statuses.heldVerdictOf(token);
  return status instanceof Error ? status : undefined;
}

function isRevoked(revocations: Revocations, token: AuthenticToken): boolean {
  return revocations.isRevoked(token.revocable, token.issuedAt);
}

/**
 * A proof of possession (RFC 9449) may be used once. What that means: what makes two proofs the same one, and how long a used
 * one is remembered. Pure. Rule D14.
 */
import { createHash } from 'node:crypto';

/** Proofs of DPoP. Other things that may be used once get a word of their own. */
export const DPOP = 'dpop';
/** JWTs by which an authorization server asks for a global token revocation. */
export const GLOBAL_REVOCATION = 'global-revocation';

/** As many are remembered in memory, unless configured otherwise. Some 180 bytes each. */
export const DEFAULT_ENTRIES = 1_000_000;

/**
 * A proof at the end of its time is remembered for this long all the same: another gateway of the fleet, whose clock is a
 * little slow, would still accept it.
 */
export const MIN_KEPT_MS = 1_000;
/** Redis takes no other number. Some 285 years. */
const MAX_KEPT_MS = 9_000_000_000_000;

/** The store is asked on the way of a request: it decides within this time, or counts as unavailable. */
export const RESPONSE_MS = 1_000;

/**
 * What a used proof is remembered by. `jti` is unique for its key only: a client must not be able to use up the ids of another.
 * A digest: the length and the characters of a `jti` are the client's.
 *
 * @param thumbprint of the key (RFC 7638): 43 characters, so that no other pair gives the same text
 * @returns 43 base64url characters
 */
export function proofId(thumbprint: string, jti: string): string {
  return createHash('sha256').update(`${thumbprint}.${jti}`).digest('base64url');
}

/**
 * How long an id is kept.
 *
 * @param ttlMs until the proof can pass no more; 0 or less where its time is over
 * @throws RangeError where it is no number: such an id would be kept for ever, or not at all
 */
export function keptMs(ttlMs: number): number {
  if (Number.isNaN(ttlMs)) throw new RangeError('the time for which a proof is remembered must be a number');
  return Math.min(Math.max(Math.ceil(ttlMs), MIN_KEPT_MS), MAX_KEPT_MS);
}

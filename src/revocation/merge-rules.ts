/**
 * What a change makes of the entry that is there: a second request, a renewal, the mark of another gateway. Every store and
 * the local view follow these rules; the scripts that Redis runs repeat them (redis-scripts.ts). Pure. Rules V6, V11, V14.
 */
import { compareVersions, type RevocationMark } from './mark.ts';
import type { RevocationEntry, RevocationRequest } from './revocation-store.ts';
import { isForGood, type RevocationTarget } from './revocation-target.ts';

/** Does the first mark win over the second? The higher version does; a tie revokes (rule V6), and for good. */
export function supersedes(a: RevocationMark, b: RevocationMark): boolean {
  const order = compareVersions(a.version, b.version);
  return order > 0 || (order === 0 && a.revoked && (!b.revoked || (revokesForGood(a) && !revokesForGood(b))));
}

function revokesForGood({ revoked, issuedBefore }: RevocationMark): boolean {
  return revoked && issuedBefore === null;
}

/**
 * Merges two marks under one id: the one that wins, for good where either revokes for good, so that the cutoff
 * which an older gateway writes for a session never brings its tokens back (rule V14). The same in whatever order marks
 * come.
 *
 * @returns the known one itself where nothing changes
 */
export function mergedMark(known: RevocationMark, news: RevocationMark): RevocationMark {
  const winner = supersedes(news, known) ? news : known;
  return winner.revoked && winner.issuedBefore !== null && (revokesForGood(known) || revokesForGood(news))
    ? { ...winner, issuedBefore: null }
    : winner;
}

/** A renewal puts the expiry of an entry off by at least this, in seconds: so it happens once a day at most. */
export const RENEWAL_STEP_SECONDS = 86_400;

/** The expiry of an entry that is renewed; undefined where it is renewed already, or revokes nothing. */
export function renewedExpiry(
  entry: RevocationMark | undefined,
  lifeSeconds: number,
  nowSeconds: number,
): number | undefined {
  if (entry?.revoked !== true || entry.expiresAt < nowSeconds) return undefined;
  const expiresAt = nowSeconds + lifeSeconds;
  return expiresAt - entry.expiresAt >= RENEWAL_STEP_SECONDS ? expiresAt : undefined;
}

/** What a request makes of the entry that is there. */
interface Revision {
  readonly entry: Omit<RevocationEntry, 'version'>;
  readonly created: boolean;
  /** False: the entry stays as it is, with its version. */
  readonly changed: boolean;
}

/** Repeating raises the cutoff and the expiry, never lowers them, and keeps who was first. */
export function revise(
  current: RevocationEntry | undefined,
  request: RevocationRequest,
  createdAt: number,
): Revision {
  const cutoff = cutoffOf(request.target, request.issuedBefore);
  const fresh = { ...request, issuedBefore: cutoff, revoked: true, createdAt };
  if (current?.revoked !== true) return { entry: fresh, created: true, changed: true };
  const issuedBefore =
    cutoff === null || current.issuedBefore === null ? null : Math.max(current.issuedBefore, cutoff);
  const expiresAt = Math.max(current.expiresAt, request.expiresAt);
  // An entry that was put back does not say what it is aimed at; the request does.
  const base = current.target ? current : fresh;
  const changed = base === fresh || issuedBefore !== current.issuedBefore || expiresAt !== current.expiresAt;
  return { entry: { ...base, issuedBefore, expiresAt }, created: false, changed };
}

/** The cutoff of an entry as it counts: a session has none, whatever an older gateway has stored (rule V14). */
export function cutoffOf(target: RevocationTarget | undefined, issuedBefore: number | null): number | null {
  return target !== undefined && isForGood(target.kind) ? null : issuedBefore;
}

/** An entry of which only the mark is known, since a gateway has put it back. */
export function restoredEntry(mark: RevocationMark): RevocationEntry {
  return {
    ...mark,
    target: undefined,
    createdAt: Math.floor(mark.version.timeMs / 1000),
    createdBy: 'restored',
    reason: 'restored',
  };
}

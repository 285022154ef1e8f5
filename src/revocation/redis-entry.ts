/** An entry as Redis holds it: its mark, and beside it who revoked what, and why, as JSON. Pure. */
import type { RevocationMark } from './mark.ts';
import { cutoffOf, restoredEntry } from './merge-rules.ts';
import type { RevocationEntry, RevocationRequest } from './revocation-store.ts';
import type { RevocationTarget } from './revocation-target.ts';

type Detail = KnownDetail | { readonly restored: true; readonly created_at: number };

interface KnownDetail {
  readonly restored?: undefined;
  readonly target: RevocationTarget;
  /** The script adds it. */
  readonly created_at: number;
  readonly created_by: string;
  /** Absent where none was given: cjson would turn null into something else. */
  readonly reason?: string;
}

/** The detail of a request, without its date. */
export function detailText({ target, createdBy, reason }: RevocationRequest): string {
  const detail: Omit<KnownDetail, 'created_at'> = {
    target,
    created_by: createdBy,
    ...(reason === null ? {} : { reason }),
  };
  return JSON.stringify(detail);
}

export function entryOf(mark: RevocationMark, detail: string): RevocationEntry {
  const who = JSON.parse(detail) as Detail;
  // Its version is that of its last change: it must not move in the list.
  if (who.restored === true) return { ...restoredEntry(mark), createdAt: who.created_at };
  return {
    ...mark,
    target: who.target,
    issuedBefore: cutoffOf(who.target, mark.issuedBefore),
    createdAt: who.created_at,
    createdBy: who.created_by,
    reason: who.reason ?? null,
  };
}

/** Undefined for a tombstone and an expired entry. */
export function liveEntry(
  mark: RevocationMark,
  detail: string | null,
  nowMs: number,
): RevocationEntry | undefined {
  return mark.revoked && detail !== null && mark.expiresAt >= Math.floor(nowMs / 1000)
    ? entryOf(mark, detail)
    : undefined;
}

/**
 * Where revocations are kept. Three adapters stand behind this interface (memory, SQLite, Redis), and one
 * suite of tests runs over all of them. CONTRACT.md section 6; rules V5 to V7.
 */
import { isExact, type RevocationTarget } from './revocation-target.ts';

/**
 * When a change was made, by the store's clock: time in milliseconds and a counter within it. The higher one
 * wins; between equals a revocation beats an undo.
 */
export interface Version {
  readonly timeMs: number;
  readonly counter: number;
}

export function compareVersions(a: Version, b: Version): number {
  return a.timeMs - b.timeMs || a.counter - b.counter;
}

/** What a gateway must know of an entry to act on it. An undone entry is a tombstone that lives as long. */
export interface RevocationMark {
  readonly id: string;
  /** False: undone. */
  readonly revoked: boolean;
  /**
   * Tokens issued up to this second are meant; null for one token, whenever it was issued.
   */
  readonly issuedBefore: number | null;
  /** NumericDate after which no token that it matches can be valid. */
  readonly expiresAt: number;
  readonly version: Version;
}

/** An entry as the API shows it. Dates are NumericDates in whole seconds. */
export interface RevocationEntry extends RevocationMark {
  readonly target: RevocationTarget;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly reason: string | null;
}

/** What is asked of the store; id, dates and version are worked out by it. */
export interface RevocationRequest {
  readonly id: string;
  readonly target: RevocationTarget;
  readonly issuedBefore: number | null;
  readonly expiresAt: number;
  readonly createdBy: string;
  readonly reason: string | null;
}

export interface Page {
  readonly entries: readonly RevocationEntry[];
  /** Undefined on the last page. */
  readonly cursor: string | undefined;
}

/** Changes since the last batch, and how fresh that makes a view that has applied them. */
export interface Batch {
  readonly marks: readonly RevocationMark[];
  /** When the store was asked, on the monotonic clock: the view is at least as fresh as that. */
  readonly askedAtMs: number;
}

/** A place in the store's log of changes; opaque to everyone else. */
export type Position = string;

/**
 * Every method rejects with an Error when the store cannot be had or did not take the change; none hangs.
 */
export interface RevocationStore {
  /** The store's clock, in milliseconds since 1970. */
  nowMs(): Promise<number>;
  /**
   * Revokes. A target that is revoked already has its cutoff and expiry raised, never lowered.
   *
   * Resolves once the store has it.
   */
  revoke(request: RevocationRequest): Promise<{ readonly entry: RevocationEntry; readonly created: boolean }>;
  /** Leaves a tombstone. Undefined where nothing is revoked under this id. */
  undo(id: string): Promise<RevocationMark | undefined>;
  /** Undefined for an unknown id, a tombstone and an expired entry. */
  find(id: string): Promise<RevocationEntry | undefined>;
  /** What is revoked, in an order that stays the same while one pages through it. */
  list(query: { readonly cursor?: string; readonly limit: number; readonly subject?: string }): Promise<Page>;
  /** The end of the log. Taken before a snapshot, so that following from it loses nothing. */
  position(): Promise<Position>;
  /** Every mark, tombstones too, in batches. */
  snapshot(): AsyncIterable<readonly RevocationMark[]>;
  /**
   * The changes after a position, as they come, and an empty batch at least once a second.
   *
   * Ends with an error when the store is lost, or when the log no longer reaches back to the position; then a
   * snapshot is due.
   */
  follow(position: Position, signal: AbortSignal): AsyncIterable<Batch>;
  close(): Promise<void>;
}

/** The later of two cutoffs; an exact target has none. */
export function raisedCutoff(target: RevocationTarget, a: number | null, b: number | null): number | null {
  return isExact(target.kind) ? null : Math.max(a ?? 0, b ?? 0);
}

/** A version as a position in a log that is ordered by versions. */
export function formatVersion({ timeMs, counter }: Version): Position {
  return `${timeMs}-${counter}`;
}

export function parseVersion(position: Position): Version {
  const [timeMs = 0, counter = 0] = position.split('-').map(Number);
  return { timeMs, counter };
}

/** The version that follows, whatever the clock did. */
export function nextVersion(last: Version, nowMs: number): Version {
  return nowMs > last.timeMs
    ? { timeMs: nowMs, counter: 0 }
    : { timeMs: last.timeMs, counter: last.counter + 1 };
}

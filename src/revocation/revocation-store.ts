/**
 * Where revocations are kept. Three adapters stand behind this interface (memory, SQLite, Redis), and one
 * suite of tests runs over all of them. docs/revocation.md. Rules V5 to V7.
 */
import { isForGood, type RevocationTarget } from './revocation-target.ts';

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

/** Does the first mark win over the second? The higher version does; a tie revokes (rule V6), and for good. */
export function supersedes(a: RevocationMark, b: RevocationMark): boolean {
  const order = compareVersions(a.version, b.version);
  return order > 0 || (order === 0 && a.revoked && (!b.revoked || (revokesForGood(a) && !revokesForGood(b))));
}

function revokesForGood({ revoked, issuedBefore }: RevocationMark): boolean {
  return revoked && issuedBefore === null;
}

/**
 * What comes of two marks under one id: the one that wins, for good where either revokes for good, so that the cutoff
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

/** What a gateway must know of an entry to act on it. An undone entry is a tombstone that lives as long. */
export interface RevocationMark {
  readonly id: string;
  /** False: undone. */
  readonly revoked: boolean;
  /**
   * Tokens issued up to this second are meant; null for good, whenever they were issued: one token, or a session.
   */
  readonly issuedBefore: number | null;
  /** NumericDate up to which it lives: as long as any token that it matches; put off while it still refuses some. */
  readonly expiresAt: number;
  readonly version: Version;
}

/** An entry as the API shows it. Dates are NumericDates in whole seconds. */
export interface RevocationEntry extends RevocationMark {
  /** Undefined for an entry that a gateway has put back after the store had lost it: only its id is known. */
  readonly target: RevocationTarget | undefined;
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

/** Changes since the last batch. */
export interface Batch {
  readonly marks: readonly RevocationMark[];
  /** Marks that the store has dropped, since no token can match them any more. */
  readonly dropped?: readonly RevocationMark[];
  /** What was announced, in its order. */
  readonly announcements?: readonly string[];
  /** When the store was asked, on the monotonic clock. */
  readonly askedAtMs: number;
  /** Where the log is read to with this batch. */
  readonly position: Position;
  /**
   * What a view has that has applied all of it: then it is as fresh as `askedAtMs`, else it has missed something.
   * Undefined where nobody has looked yet. A store that cannot lose anything says `everything`.
   */
  readonly complete: Inventory | 'everything' | undefined;
}

/** What is in a list, without its order. */
export interface Inventory {
  readonly count: number;
  /** Sum of the checksums of all marks (mark-table.ts). */
  readonly checksum: number;
}

/** The log does not reach back to the position, or is another log: only a full comparison helps. */
export class PositionLost extends Error {
  override readonly name = 'PositionLost';
}

/** Announcements share the log with revocations, and must not crowd it. */
export const MAX_ANNOUNCEMENT_CHARACTERS = 4_096;

/** A place in the store's log of changes; opaque to everyone else. */
export type Position = string;

/**
 * Every method rejects with an Error when the store cannot be had or did not take the change; none hangs.
 */
export interface RevocationStore {
  /** Who learns of a change, and what survives a restart. */
  readonly kind: 'memory' | 'sqlite' | 'redis';
  /** The store's clock, in milliseconds since 1970. */
  nowMs(): Promise<number>;
  /**
   * Revokes. A target that is revoked already has its cutoff and expiry raised, never lowered; a session is revoked for
   * good, whatever cutoff is asked for.
   *
   * Resolves once the store has it.
   */
  revoke(request: RevocationRequest): Promise<Revoked>;
  /**
   * Lets an entry that revokes live for so long from now on, where that puts its expiry off by a day or more.
   *
   * @returns undefined where it stays as it is, or is not there
   */
  renew(id: string, lifeSeconds: number): Promise<RevocationMark | undefined>;
  /** Leaves a tombstone. Undefined where nothing is revoked under this id. */
  undo(id: string): Promise<RevocationMark | undefined>;
  /** Undefined for an unknown id, a tombstone and an expired entry. */
  find(id: string): Promise<RevocationEntry | undefined>;
  /**
   * What is revoked, the latest first.
   *
   * @throws RangeError where the cursor is none of ours
   */
  list(query: { readonly cursor?: string; readonly limit: number; readonly subject?: string }): Promise<Page>;
  /**
   * Puts a text into the log, for every gateway that follows it, this one too. It is news, not state: no snapshot holds
   * it, and a gateway that lost its position does not get it.
   *
   * @param text at most MAX_ANNOUNCEMENT_CHARACTERS
   */
  announce(text: string): Promise<void>;
  /** The end of the log. Taken before a snapshot, so that following from it loses nothing. */
  position(): Promise<Position>;
  /** Every mark, tombstones too, in batches. A mark may come twice. */
  snapshot(): AsyncIterable<readonly RevocationMark[]>;
  /**
   * Puts marks back that the store has lost. The higher version wins, a tie revokes, what is revoked for good stays
   * so (mergedMark); marks that have expired are left out. Idempotent: several gateways may do it at once.
   */
  merge(marks: readonly RevocationMark[]): Promise<void>;
  /**
   * The changes after a position, as they come, and a complete batch at least once a second.
   *
   * @throws PositionLost; any other Error when the store is lost
   */
  follow(position: Position, signal: AbortSignal): AsyncIterable<Batch>;
  close(): Promise<void>;
}

/** What has come of a request. */
export interface Revoked {
  readonly entry: RevocationEntry;
  /** Nothing was revoked under its id before. */
  readonly created: boolean;
  /** False: the list is as it was. */
  readonly changed: boolean;
}

/** By how much a renewal puts the expiry of an entry off at least, in seconds: so it happens once a day at most. */
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
export interface Revision {
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

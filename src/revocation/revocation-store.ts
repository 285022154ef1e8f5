/**
 * Where revocations are kept. Three adapters stand behind this interface (memory, SQLite, Redis), and one
 * suite of tests runs over all of them. docs/revocation.md. Rules V5 to V7.
 */
import type { FleetBoard } from './fleet-board.ts';
import type { RevocationMark } from './mark.ts';
import type { RevocationTarget } from './revocation-target.ts';

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

export interface ListQuery {
  /** Of the page before; absent for the first page. */
  readonly cursor?: string;
  readonly limit: number;
  /** Only entries for this subject. */
  readonly subject?: string;
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
   * Undefined where the store has not looked yet. A store that cannot lose anything says `everything`.
   */
  readonly complete: Inventory | 'everything' | undefined;
}

/** What is in a list, without its order. */
export interface Inventory {
  readonly count: number;
  /** Sum of the checksums of all marks (mark.ts). */
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
 * Every method rejects with an Error when the store is unavailable or did not take the change; none hangs.
 */
export interface RevocationStore {
  /** Who learns of a change, and what survives a restart. */
  readonly kind: 'memory' | 'sqlite' | 'redis';
  /**
   * How old what it holds was when it was last asked for its position: of a copy. Absent: it holds what there is.
   */
  readonly ageMs?: number;
  /** Where the gateways that share it find each other. Absent: of a copy, whose original has it. */
  readonly board?: FleetBoard;
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
   * What is revoked, the latest first; within a second in no certain order.
   *
   * @throws RangeError where the cursor is invalid
   */
  list(query: ListQuery): Promise<Page>;
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

/** The result of a request. */
export interface Revoked {
  readonly entry: RevocationEntry;
  /** Nothing was revoked under its id before. */
  readonly created: boolean;
  /** False: the list is as it was. */
  readonly changed: boolean;
}

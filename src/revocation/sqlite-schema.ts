/** The tables of the SQLite store, and an entry as a row of them. Pure. */
import { cutoffOf } from './merge-rules.ts';
import type { RevocationEntry } from './revocation-store.ts';
import type { TargetKind } from './revocation-target.ts';

// synchronous = FULL: what was acknowledged is on the disk, also after a power failure.
export const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS revocation (
    id TEXT PRIMARY KEY,
    revoked INTEGER NOT NULL,
    issuer TEXT,
    kind TEXT,
    value TEXT,
    issued_before INTEGER,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    reason TEXT,
    version_time_ms INTEGER NOT NULL,
    version_counter INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS announcement (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    text TEXT NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS revocation_version ON revocation (version_time_ms, version_counter);
  CREATE INDEX IF NOT EXISTS revocation_expiry ON revocation (expires_at);
  CREATE INDEX IF NOT EXISTS revocation_created ON revocation (created_at, id);
  CREATE INDEX IF NOT EXISTS revocation_subject ON revocation (value) WHERE kind = 'subject';
`;

/** A row of the table, as the schema guarantees it. */
export interface Row {
  readonly id: string;
  readonly revoked: number;
  /** The three of the target are null together: of an entry that was put back. */
  readonly issuer: string | null;
  readonly kind: TargetKind | null;
  readonly value: string | null;
  readonly issued_before: number | null;
  readonly expires_at: number;
  readonly created_at: number;
  readonly created_by: string;
  readonly reason: string | null;
  readonly version_time_ms: number;
  readonly version_counter: number;
}

export function entryOf(row: Row): RevocationEntry {
  const target =
    row.issuer === null || row.kind === null || row.value === null
      ? undefined
      : { issuer: row.issuer, kind: row.kind, value: row.value };
  return {
    id: row.id,
    revoked: row.revoked === 1,
    target,
    issuedBefore: cutoffOf(target, row.issued_before),
    expiresAt: row.expires_at,
    createdAt: row.created_at,
    createdBy: row.created_by,
    reason: row.reason,
    version: { timeMs: row.version_time_ms, counter: row.version_counter },
  };
}

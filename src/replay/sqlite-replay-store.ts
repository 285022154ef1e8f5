/**
 * Used proofs in the file of the revocation list: several gateways on one host share them.
 *
 * A connection of its own. It does not wait for the disk: a process that is killed loses nothing, but a host that loses its power
 * may forget the last moments. And it never waits for another process inside SQLite, which would stop all requests: it tries again.
 */
import type { Clock } from '../clock.ts';
import { pause } from '../revocation/abortable-delay.ts';
import { SqliteDatabase } from '../revocation/sqlite-database.ts';
import { Batch, type Outcome } from './batch.ts';
import { ReplayStoreFull, type ReplayStore } from './replay-store.ts';
import { DEFAULT_ENTRIES, keptMs, RESPONSE_MS } from './used-proofs.ts';

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  CREATE TABLE IF NOT EXISTS used_proof (
    namespace TEXT NOT NULL,
    id TEXT NOT NULL,
    ends_at_ms INTEGER NOT NULL,
    PRIMARY KEY (namespace, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS used_proof_end ON used_proof (ends_at_ms);
  CREATE TABLE IF NOT EXISTS used_proof_count (one INTEGER PRIMARY KEY CHECK (one = 1), count INTEGER NOT NULL) STRICT;
  INSERT OR IGNORE INTO used_proof_count VALUES (1, 0);
`;
/** A row with its time over is replaced: its id counts as new. */
const REMEMBER = 'INSERT OR REPLACE INTO used_proof VALUES (?, ?, ?)';
const FIND = 'SELECT ends_at_ms AS endsAtMs FROM used_proof WHERE namespace = ? AND id = ?';
// To count a million rows takes a part of a second: their number is written down.
const COUNT = 'SELECT count FROM used_proof_count';
const SET_COUNT = 'UPDATE used_proof_count SET count = ?';
const FORGET = `
  DELETE FROM used_proof WHERE (namespace, id) IN
    (SELECT namespace, id FROM used_proof WHERE ends_at_ms <= ? ORDER BY ends_at_ms LIMIT ?)`;
/** Old rows that are removed for each new one: more than one, so that they become fewer; few, so that none waits for it. */
const FORGOTTEN_PER_CALL = 2;

/** Another process writes: that takes a part of a millisecond. */
const RETRY_MS = 1;
// Of SQLite (https://www.sqlite.org/rescode.html); the upper bits are details.
const [BUSY, LOCKED, DISK_FULL] = [5, 6, 13];

interface Use {
  readonly namespace: string;
  readonly id: string;
  readonly lifeMs: number;
}

export class SqliteReplayStore implements ReplayStore {
  readonly #file: string;
  readonly #clock: Clock;
  #entries: number;
  readonly #batch = new Batch<Use, boolean>((uses) =>
    this.#retrying((database) => this.#write(database, uses)),
  );
  readonly #closing = new AbortController();
  /** Opened by the first call: a gateway without proofs needs none. */
  #database: SqliteDatabase | undefined;

  /** @param entries beyond which it is full */
  constructor(file: string, clock: Clock, entries = DEFAULT_ENTRIES) {
    this.#file = file;
    this.#clock = clock;
    this.#entries = entries;
  }

  async firstUse(namespace: string, id: string, ttlMs: number): Promise<boolean> {
    return this.#batch.ask({ namespace, id, lifeMs: keptMs(ttlMs) });
  }

  async isUsed(namespace: string, id: string): Promise<boolean> {
    return this.#retrying((database) => {
      const [known] = database.all<{ endsAtMs: number }>(FIND, namespace, id);
      return known !== undefined && known.endsAtMs > Math.floor(this.#clock.nowMs());
    });
  }

  resize(entries: number): void {
    this.#entries = entries;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#database?.close();
    this.#database = undefined;
  }

  async #retrying<Result>(work: (database: SqliteDatabase) => Result): Promise<Result> {
    const untilMs = this.#clock.monotonicMs() + RESPONSE_MS;
    for (;;) {
      if (this.#closing.signal.aborted) throw new Error('the store is closed');
      try {
        return work((this.#database ??= new SqliteDatabase(this.#file, 0, SCHEMA)));
      } catch (error) {
        const code = resultCode(error);
        if (code === DISK_FULL) throw new ReplayStoreFull({ cause: error });
        if ((code !== BUSY && code !== LOCKED) || this.#clock.monotonicMs() >= untilMs) throw error;
      }
      await pause(this.#clock, RETRY_MS, this.#closing.signal);
    }
  }

  #write(database: SqliteDatabase, uses: readonly Use[]): readonly Outcome<boolean>[] {
    const nowMs = Math.floor(this.#clock.nowMs());
    return database.transaction(() => {
      const before = database.all<{ count: number }>(COUNT)[0]?.count ?? 0;
      let count = before - database.run(FORGET, nowMs, FORGOTTEN_PER_CALL * uses.length);
      const outcomes = uses.map(({ namespace, id, lifeMs }): Outcome<boolean> => {
        const [known] = database.all<{ endsAtMs: number }>(FIND, namespace, id);
        if (known && known.endsAtMs > nowMs) return { value: false };
        if (!known && count >= this.#entries) return { error: new ReplayStoreFull() };
        if (!known) count++;
        database.run(REMEMBER, namespace, id, nowMs + lifeMs);
        return { value: true };
      });
      if (count !== before) database.run(SET_COUNT, count);
      return outcomes;
    });
  }
}

function resultCode(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
    ? error.errcode & 0xff
    : undefined;
}

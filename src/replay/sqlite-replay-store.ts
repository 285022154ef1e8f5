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
import { keptMs, RESPONSE_MS } from './used-proofs.ts';

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
`;
/** Changes the row of an id whose time is over: it counts as new. */
const REMEMBER = `
  INSERT INTO used_proof VALUES (?, ?, ?)
  ON CONFLICT (namespace, id) DO UPDATE SET ends_at_ms = excluded.ends_at_ms WHERE ends_at_ms <= ?`;
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
  readonly #batch = new Batch<Use, boolean>((uses) => this.#remember(uses));
  readonly #closing = new AbortController();
  /** Opened by the first call: a gateway without proofs needs none. */
  #database: SqliteDatabase | undefined;

  constructor(file: string, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
  }

  async firstUse(namespace: string, id: string, ttlMs: number): Promise<boolean> {
    return this.#batch.ask({ namespace, id, lifeMs: keptMs(ttlMs) });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#database?.close();
    this.#database = undefined;
  }

  async #remember(uses: readonly Use[]): Promise<readonly Outcome<boolean>[]> {
    const untilMs = this.#clock.monotonicMs() + RESPONSE_MS;
    for (;;) {
      if (this.#closing.signal.aborted) throw new Error('the store is closed');
      try {
        return this.#write(uses);
      } catch (error) {
        const code = resultCode(error);
        if (code === DISK_FULL) throw new ReplayStoreFull({ cause: error });
        if ((code !== BUSY && code !== LOCKED) || this.#clock.monotonicMs() >= untilMs) throw error;
      }
      await pause(this.#clock, RETRY_MS, this.#closing.signal);
    }
  }

  #write(uses: readonly Use[]): readonly Outcome<boolean>[] {
    const database = (this.#database ??= new SqliteDatabase(this.#file, 0, SCHEMA));
    const nowMs = Math.floor(this.#clock.nowMs());
    return database.transaction(() => {
      database.run(FORGET, nowMs, FORGOTTEN_PER_CALL * uses.length);
      return uses.map(({ namespace, id, lifeMs }) => ({
        value: database.run(REMEMBER, namespace, id, nowMs + lifeMs, nowMs) === 1,
      }));
    });
  }
}

function resultCode(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
    ? error.errcode & 0xff
    : undefined;
}

/**
 * Buckets in the file of the revocation list: several gateways on one host count together.
 *
 * A connection of its own. It does not wait for the disk: a host that loses its power forgets the last moments. And it never waits
 * for another process inside SQLite, which would stop all requests: it tries again. Times are of the wall clock, which the processes
 * share; where it is set back, no bucket is further ahead than its gateways expect. Rules L1, L2.
 */
import type { Clock } from '../clock.ts';
import { pause } from '../revocation/abortable-delay.ts';
import { isBusy, SqliteDatabase } from '../revocation/sqlite-database.ts';
import { FULL } from './gcra.ts';
import { RESPONSE_MS, type LeaseAsk, type LeaseReply, type LeaseStore } from './lease-store.ts';
import { settle } from './lease.ts';

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  CREATE TABLE IF NOT EXISTS rate_limit_bucket (key TEXT PRIMARY KEY, full_at_ms REAL NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS rate_limit_bucket_full ON rate_limit_bucket (full_at_ms);
`;
const FIND = 'SELECT full_at_ms AS tatMs FROM rate_limit_bucket WHERE key = ?';
const SET = 'INSERT OR REPLACE INTO rate_limit_bucket VALUES (?, ?)';
const FORGET = `
  DELETE FROM rate_limit_bucket WHERE key IN
    (SELECT key FROM rate_limit_bucket WHERE full_at_ms <= ? ORDER BY full_at_ms LIMIT ?)`;
/** Full buckets that are removed for each that is asked for: more than one, so that they become fewer. */
const FORGOTTEN_PER_ASK = 2;
/** Another process writes: that takes a part of a millisecond. */
const RETRY_MS = 1;

export class SqliteLeaseStore implements LeaseStore {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  /** Opened by the first call: a gateway without limits needs none. */
  #database: SqliteDatabase | undefined;

  constructor(file: string, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
  }

  async ask(asks: readonly LeaseAsk[]): Promise<readonly LeaseReply[]> {
    const untilMs = this.#clock.monotonicMs() + RESPONSE_MS;
    for (;;) {
      if (this.#closing.signal.aborted) throw new Error('the store is closed');
      try {
        return this.#write(asks);
      } catch (error) {
        if (!isBusy(error) || this.#clock.monotonicMs() >= untilMs) throw error;
      }
      await pause(this.#clock, RETRY_MS, this.#closing.signal);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#database?.close();
    this.#database = undefined;
  }

  #write(asks: readonly LeaseAsk[]): readonly LeaseReply[] {
    const database = (this.#database ??= new SqliteDatabase(this.#file, 0, SCHEMA));
    const nowMs = this.#clock.nowMs();
    return database.transaction(() => {
      database.run(FORGET, nowMs, FORGOTTEN_PER_ASK * asks.length);
      return asks.map((ask) => {
        const [known] = database.all<{ tatMs: number }>(FIND, ask.key);
        const { granted, aheadMs, tatMs } = settle(ask, known?.tatMs ?? FULL, nowMs);
        if (aheadMs > 0 || known) database.run(SET, ask.key, tatMs);
        return { granted, aheadMs };
      });
    });
  }
}

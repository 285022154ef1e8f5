/** API keys in the file of the revocation list: several gateways on one host share them. A connection of its own. */
import type { Clock } from '../clock.ts';
import { PositionLost, type Position } from '../revocation/revocation-store.ts';
import { SqliteDatabase } from '../revocation/sqlite-database.ts';
import type { ApiKeyStore, Changes, KeyUse, NamedText, Replacement } from './api-key-store.ts';

// synchronous = FULL: what was acknowledged is on the disk, also after a power failure. A number is never used twice.
const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS api_key (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    text TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS api_key_use (name TEXT PRIMARY KEY, used_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`;
const BUSY_TIMEOUT_MS = 2_000;
const BATCH_ROWS = 1_000;

interface Row extends NamedText {
  readonly number: number;
}

export class SqliteApiKeyStore implements ApiKeyStore {
  readonly #file: string;
  readonly #clock: Clock;
  /** Opened by the first call: a gateway without stored keys needs none. */
  #opened: SqliteDatabase | undefined;
  #isClosed = false;

  constructor(file: string, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
  }

  async nowMs(): Promise<number> {
    return this.#clock.nowMs();
  }

  async changes(after: Position | undefined): Promise<Changes> {
    const end = this.#end();
    const from = Number(after ?? end);
    if (from > end) throw new PositionLost('the order ends before the position');
    const rows = this.#database.all<Row>(
      'SELECT number, name, text FROM api_key WHERE number > ? ORDER BY number LIMIT ?',
      from,
      BATCH_ROWS,
    );
    const hasMore = rows.length === BATCH_ROWS;
    return {
      texts: rows.map(({ name, text }) => ({ name, text })),
      position: String(rows.at(-1)?.number ?? from),
      complete: hasMore ? undefined : 'everything',
    };
  }

  async *snapshot(): AsyncGenerator<readonly NamedText[]> {
    for (let after = 0; ;) {
      const rows = this.#database.all<Row>(
        'SELECT number, name, text FROM api_key WHERE number > ? ORDER BY number LIMIT ?',
        after,
        BATCH_ROWS,
      );
      if (rows.length === 0) return;
      yield rows.map(({ name, text }) => ({ name, text }));
      after = rows.at(-1)?.number ?? after;
    }
  }

  async replace(replacements: readonly Replacement[]): Promise<readonly boolean[]> {
    const database = this.#database;
    return database.transaction(() =>
      replacements.map(({ name, before, text }) => {
        const [known] = database.all<NamedText>('SELECT name, text FROM api_key WHERE name = ?', name);
        if (known?.text !== before) return false;
        database.run('DELETE FROM api_key WHERE name = ?', name);
        if (text === undefined) database.run('DELETE FROM api_key_use WHERE name = ?', name);
        else database.run('INSERT INTO api_key (name, text) VALUES (?, ?)', name, text);
        return true;
      }),
    );
  }

  async noteUses(uses: readonly KeyUse[]): Promise<void> {
    const database = this.#database;
    database.transaction(() => {
      for (const { name, usedAt } of uses)
        database.run(
          `INSERT INTO api_key_use VALUES (?, ?)
           ON CONFLICT (name) DO UPDATE SET used_at = max(used_at, excluded.used_at)`,
          name,
          usedAt,
        );
    });
  }

  async lastUses(names: readonly string[]): Promise<readonly (number | undefined)[]> {
    return names.map(
      (name) =>
        this.#database.all<{ usedAt: number }>(
          'SELECT used_at AS usedAt FROM api_key_use WHERE name = ?',
          name,
        )[0]?.usedAt,
    );
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#opened?.close();
    this.#opened = undefined;
  }

  /** Where the order ends, whether or not the last one is still there. */
  #end(): number {
    return (
      this.#database.all<{ seq: number }>("SELECT seq FROM sqlite_sequence WHERE name = 'api_key'")[0]?.seq ??
      0
    );
  }

  get #database(): SqliteDatabase {
    if (this.#isClosed) throw new Error('the store is closed');
    return (this.#opened ??= new SqliteDatabase(this.#file, BUSY_TIMEOUT_MS, SCHEMA));
  }
}

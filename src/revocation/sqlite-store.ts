/**
 * Revocations in an SQLite file: the embedded store. It survives a restart, and several gateways on one host
 * may share it.
 */
import type { Clock } from '../clock.ts';
import { pageOf, parseCursor } from './list-cursor.ts';
import { pause } from './abortable-delay.ts';
import { BOARD_SCHEMA, SqliteBoard } from './sqlite-board.ts';
import { SqliteDatabase } from './sqlite-database.ts';
import { entryOf, SCHEMA, type Row } from './sqlite-schema.ts';
import { formatVersion, nextVersion, parseVersion, type RevocationMark, type Version } from './mark.ts';
import { mergedMark, renewedExpiry, restoredEntry, revise } from './merge-rules.ts';
import type {
  Batch,
  ListQuery,
  Page,
  Position,
  RevocationEntry,
  RevocationRequest,
  RevocationStore,
  Revoked,
} from './revocation-store.ts';

/** How often the file is looked at for changes of other processes. Looking costs microseconds. */
const POLL_MS = 5;
const HEARTBEAT_MS = 500;
const BATCH_ROWS = 1_000;
const BUSY_TIMEOUT_MS = 2_000;
/** Every gateway has followed the log to its end long before that. */
const ANNOUNCEMENT_KEPT_MS = 3_600_000;

export class SqliteStore implements RevocationStore {
  readonly kind = 'sqlite';
  readonly board: SqliteBoard;
  readonly #database: SqliteDatabase;
  readonly #clock: Clock;

  /** @throws Error where the file cannot be opened or is no database */
  constructor(file: string, clock: Clock) {
    this.#clock = clock;
    this.#database = new SqliteDatabase(file, BUSY_TIMEOUT_MS, SCHEMA + BOARD_SCHEMA);
    this.board = new SqliteBoard(this.#database, clock);
  }

  async nowMs(): Promise<number> {
    return this.#clock.nowMs();
  }

  async revoke(request: RevocationRequest): Promise<Revoked> {
    this.#database.assertInPlace();
    return this.#database.transaction(() => {
      this.#database.run('DELETE FROM revocation WHERE expires_at < ?', this.#nowSeconds());
      const current = this.#entry(request.id);
      const { entry, created, changed } = revise(current, request, this.#nowSeconds());
      return { entry: changed || !current ? this.#put(entry) : current, created, changed };
    });
  }

  async renew(id: string, lifeSeconds: number): Promise<RevocationMark | undefined> {
    return this.#database.transaction(() => {
      const current = this.#entry(id);
      const expiresAt = renewedExpiry(current, lifeSeconds, this.#nowSeconds());
      return current && expiresAt !== undefined ? this.#put({ ...current, expiresAt }) : undefined;
    });
  }

  async undo(id: string): Promise<RevocationMark | undefined> {
    this.#database.assertInPlace();
    return this.#database.transaction(() => {
      const current = this.#live(id);
      return current && this.#put({ ...current, revoked: false });
    });
  }

  async find(id: string): Promise<RevocationEntry | undefined> {
    return this.#live(id);
  }

  async list({ cursor, limit, subject }: ListQuery): Promise<Page> {
    const filter = subject === undefined ? '' : "AND kind = 'subject' AND value = ?";
    const after = parseCursor(cursor);
    const rows = this.#database.all<Row>(
      `SELECT * FROM revocation WHERE revoked = 1 AND expires_at >= ? AND (created_at, id) < (?, ?) ${filter}
       ORDER BY created_at DESC, id DESC LIMIT ?`,
      this.#nowSeconds(),
      after.createdAt,
      after.id,
      ...(subject === undefined ? [] : [subject]),
      limit + 1,
    );
    return pageOf(rows.map(entryOf), limit);
  }

  async announce(text: string): Promise<void> {
    const nowMs = Math.floor(this.#clock.nowMs());
    this.#database.transaction(() => {
      this.#database.run('DELETE FROM announcement WHERE at_ms < ?', nowMs - ANNOUNCEMENT_KEPT_MS);
      this.#database.run('INSERT INTO announcement (at_ms, text) VALUES (?, ?)', nowMs, text);
    });
  }

  async position(): Promise<Position> {
    return formatPosition(this.#lastVersion(), this.#lastAnnouncement());
  }

  async *snapshot(): AsyncGenerator<readonly RevocationMark[]> {
    let after = '';
    for (;;) {
      const rows = this.#database.all<Row>(
        'SELECT * FROM revocation WHERE id > ? ORDER BY id LIMIT ?',
        after,
        BATCH_ROWS,
      );
      if (rows.length === 0) return;
      const marks = rows.map(entryOf);
      yield marks;
      after = marks.at(-1)?.id ?? '';
    }
  }

  async *follow(position: Position, signal: AbortSignal): AsyncGenerator<Batch> {
    let last = parseVersion(position);
    let heard = Number(position.split('-')[2] ?? 0);
    let seenDataVersion: number | undefined;
    let toldAtMs = -Infinity;
    while (!signal.aborted) {
      const askedAtMs = this.#clock.monotonicMs();
      const dataVersion = this.#database.all<{ data_version: number }>('PRAGMA data_version')[0]
        ?.data_version;
      // data_version tells of other connections only; what this one wrote is asked for at every heartbeat.
      const due = askedAtMs - toldAtMs >= HEARTBEAT_MS;
      if (dataVersion !== seenDataVersion || due) {
        seenDataVersion = dataVersion;
        const marks = this.#database
          .all<Row>(
            `SELECT * FROM revocation WHERE (version_time_ms, version_counter) > (?, ?)
           ORDER BY version_time_ms, version_counter LIMIT ?`,
            last.timeMs,
            last.counter,
            BATCH_ROWS,
          )
          .map(entryOf);
        last = marks.at(-1)?.version ?? last;
        const news = this.#database.all<{ number: number; text: string }>(
          'SELECT number, text FROM announcement WHERE number > ? ORDER BY number LIMIT ?',
          heard,
          BATCH_ROWS,
        );
        heard = news.at(-1)?.number ?? heard;
        const announcements = news.map(({ text }) => text);
        toldAtMs = askedAtMs;
        yield {
          marks,
          announcements,
          askedAtMs,
          position: formatPosition(last, heard),
          complete: 'everything',
        };
        if (marks.length === BATCH_ROWS) seenDataVersion = undefined;
      } else {
        await pause(this.#clock, POLL_MS, signal);
      }
    }
  }

  async merge(marks: readonly RevocationMark[]): Promise<void> {
    this.#database.transaction(() => {
      for (const mark of marks) {
        const current = this.#entry(mark.id);
        const merged = current ? mergedMark(current, mark) : mark;
        if (mark.expiresAt < this.#nowSeconds() || merged === current) continue;
        this.#write(current ? { ...current, ...merged } : restoredEntry(mark));
      }
    });
  }

  async close(): Promise<void> {
    this.#database.close();
  }

  #nowSeconds(): number {
    return Math.floor(this.#clock.nowMs() / 1000);
  }

  #put(entry: Omit<RevocationEntry, 'version'>): RevocationEntry {
    return this.#write({ ...entry, version: nextVersion(this.#lastVersion(), this.#clock.nowMs()) });
  }

  #write(entry: RevocationEntry): RevocationEntry {
    const { id, revoked, target, issuedBefore, expiresAt, createdAt, createdBy, reason, version } = entry;
    this.#database.run(
      'INSERT OR REPLACE INTO revocation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
      id,
      revoked ? 1 : 0,
      target?.issuer ?? null,
      target?.kind ?? null,
      target?.value ?? null,
      issuedBefore,
      expiresAt,
      createdAt,
      createdBy,
      reason,
      version.timeMs,
      version.counter,
    );
    return entry;
  }

  #lastVersion(): { timeMs: number; counter: number } {
    const row = this.#database.all<Row>(
      'SELECT * FROM revocation ORDER BY version_time_ms DESC, version_counter DESC LIMIT 1',
    )[0];
    return { timeMs: row?.version_time_ms ?? 0, counter: row?.version_counter ?? 0 };
  }

  #lastAnnouncement(): number {
    return (
      this.#database.all<{ last: number | null }>('SELECT MAX(number) AS last FROM announcement')[0]?.last ??
      0
    );
  }

  #entry(id: string): RevocationEntry | undefined {
    const row = this.#database.all<Row>('SELECT * FROM revocation WHERE id = ?', id)[0];
    return row && entryOf(row);
  }

  #live(id: string): RevocationEntry | undefined {
    const entry = this.#entry(id);
    return entry?.revoked === true && entry.expiresAt >= this.#nowSeconds() ? entry : undefined;
  }
}

/** The log has two orders: marks by version, announcements by number. */
function formatPosition(version: Version, announcement: number): Position {
  return `${formatVersion(version)}-${announcement}`;
}

/** The board in the file of the SQLite store. */
import type { Clock } from '../clock.ts';
import { BOX_KEPT_MS, HEARTBEAT_KEPT_MS, type FleetBoard, type Heartbeat } from './fleet-board.ts';
import type { SqliteDatabase } from './sqlite-database.ts';

export const BOARD_SCHEMA = `
  CREATE TABLE IF NOT EXISTS gateway (
    id TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    text TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS box (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    text TEXT NOT NULL
  ) STRICT;
`;

export class SqliteBoard implements FleetBoard {
  readonly #database: SqliteDatabase;
  readonly #clock: Clock;

  constructor(database: SqliteDatabase, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  async beat(id: string, text: string): Promise<void> {
    const database = this.#database;
    database.transaction(() => {
      database.run('DELETE FROM gateway WHERE at_ms < ?', this.#nowMs() - HEARTBEAT_KEPT_MS);
      database.run('INSERT OR REPLACE INTO gateway VALUES (?, ?, ?)', id, this.#nowMs(), text);
    });
  }

  async leave(id: string): Promise<void> {
    this.#database.run('DELETE FROM gateway WHERE id = ?', id);
  }

  async heartbeats(): Promise<readonly Heartbeat[]> {
    const nowMs = this.#nowMs();
    return this.#database
      .all<{ id: string; at_ms: number; text: string }>(
        'SELECT id, at_ms, text FROM gateway WHERE at_ms >= ?',
        nowMs - HEARTBEAT_KEPT_MS,
      )
      .map(({ id, at_ms, text }) => ({ id, text, ageMs: Math.max(0, nowMs - at_ms) }));
  }

  async put(box: string, text: string): Promise<void> {
    const database = this.#database;
    database.transaction(() => {
      database.run('DELETE FROM box WHERE at_ms < ?', this.#nowMs() - BOX_KEPT_MS);
      database.run('INSERT INTO box (name, at_ms, text) VALUES (?, ?, ?)', box, this.#nowMs(), text);
    });
  }

  async read(box: string, from: number): Promise<readonly string[]> {
    return this.#database
      .all<{ text: string }>(
        'SELECT text FROM box WHERE name = ? AND at_ms >= ? ORDER BY number LIMIT -1 OFFSET ?',
        box,
        this.#nowMs() - BOX_KEPT_MS,
        from,
      )
      .map(({ text }) => text);
  }

  #nowMs(): number {
    return Math.floor(this.#clock.nowMs());
  }
}

/**
 * A connection to an SQLite file, with its prepared statements. Synchronous.
 *
 * The only file that imports node:sqlite: when a file is opened, so that a gateway without one never loads it.
 */
import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import type * as Sqlite from 'node:sqlite';
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';

const require = createRequire(import.meta.url);

// Result codes of SQLite (https://www.sqlite.org/rescode.html); the upper bits are details.
const [BUSY, LOCKED] = [5, 6];

/** Another process writes: the same may be done a moment later. */
export function isBusy(error: unknown): boolean {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return false;
  return [BUSY, LOCKED].includes(error.errcode & 0xff);
}

export class SqliteDatabase {
  readonly #database: DatabaseSync;
  readonly #file: string;
  /** Undefined for a database without a file. */
  readonly #inode: string | undefined;
  readonly #statements = new Map<string, StatementSync>();

  /**
   * @param busyMs how long a statement waits, and with it the process, while another process writes
   * @throws Error where the file cannot be opened or is no database
   */
  constructor(file: string, busyMs: number, schema: string) {
    const { DatabaseSync } = require('node:sqlite') as typeof Sqlite;
    this.#database = new DatabaseSync(file, { timeout: busyMs });
    this.#database.exec(schema);
    this.#file = file;
    this.#inode = inodeOf(file);
  }

  /**
   * SQLite goes on with a file that was removed or replaced, and all that it writes there is gone with the process.
   *
   * @throws Error where another file, or none, has its name
   */
  assertInPlace(): void {
    if (this.#inode !== undefined && inodeOf(this.#file) !== this.#inode)
      throw new Error('the file of the store was removed or replaced while in use; restart the gateway');
  }

  all<T>(sql: string, ...parameters: SQLInputValue[]): T[] {
    return this.#statement(sql).all(...parameters) as T[];
  }

  /** @returns how many rows it has changed */
  run(sql: string, ...parameters: SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...parameters).changes);
  }

  transaction<T>(work: () => T): T {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      // A full disk has ended the transaction already, and a second end would hide that from the log and the caller.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  close(): void {
    this.#database.close();
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

function inodeOf(file: string): string | undefined {
  const stats = statSync(file, { bigint: true, throwIfNoEntry: false });
  return stats && `${stats.dev} ${stats.ino}`;
}

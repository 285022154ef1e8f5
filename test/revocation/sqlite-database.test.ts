/** A connection to an SQLite file. */
import t from 'tap';
import { SqliteDatabase } from '../../src/revocation/sqlite-database.ts';
import { describeError } from '../../src/telemetry/logger.ts';

t.test(
  'a transaction that fails says why, also where SQLite has undone it by itself, and the next one works',
  async (t) => {
    const database = new SqliteDatabase(':memory:', 0, 'CREATE TABLE t (x); PRAGMA max_page_count = 10');
    t.teardown(() => database.close());
    const put = (bytes: number): number =>
      database.transaction(() => database.run('INSERT INTO t VALUES (zeroblob(?))', bytes));
    let told = '';
    try {
      put(1_000_000);
    } catch (error) {
      told = describeError(error);
      t.match(error, { errcode: 13 });
    }
    t.equal(told, 'ERR_SQLITE_ERROR: database or disk is full');
    t.throws(
      () => database.transaction(() => database.run('INSERT INTO nowhere VALUES (1)')),
      /no such table/,
    );
    t.equal(put(1), 1);
  },
);

/** Used proofs in an SQLite file: several processes, locks, and what is removed. Rule D14. */
import t, { type Test } from 'tap';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { systemClock } from '../../src/clock.ts';
import { ReplayStoreFull } from '../../src/replay/replay-store.ts';
import { SqliteReplayStore } from '../../src/replay/sqlite-replay-store.ts';
import { DPOP, RESPONSE_MS } from '../../src/replay/used-proofs.ts';
import { SqliteDatabase } from '../../src/revocation/sqlite-database.ts';
import { SqliteStore } from '../../src/revocation/sqlite-store.ts';
import { until } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';

function fileFor(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-replay-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  // The clock's timers keep no process alive.
  const alive = setInterval(() => undefined, 1_000);
  t.teardown(() => clearInterval(alive));
  return join(folder, 'list.sqlite');
}

function open(t: Test, file: string): { store: SqliteReplayStore; clock: ManualClock } {
  const clock = new ManualClock();
  const store = new SqliteReplayStore(file, clock);
  t.teardown(() => store.close());
  return { store, clock };
}

t.test('D14 of proofs that several processes see at once, each is accepted once', async (t) => {
  const file = fileFor(t);
  const script = new URL('../support/offer-proofs.ts', import.meta.url).pathname;
  const COUNT = 2_000;
  const outputs = await Promise.all(
    [1, 2, 3].map(() => promisify(execFile)(process.execPath, [script, file, String(COUNT)])),
  );
  const first = outputs.flatMap(({ stdout }) => stdout.split('\n').filter(Boolean).map(Number));
  t.strictSame(
    first.toSorted((a, b) => a - b),
    Array.from({ length: COUNT }, (_, index) => index),
  );
});

t.test(
  'D14 while another process writes it waits, without holding up this one; in vain: it rejects',
  async (t) => {
    const file = fileFor(t);
    const { store, clock } = open(t, file);
    t.equal(await store.firstUse(DPOP, 'a', 60_000), true);
    const other = new DatabaseSync(file);
    t.teardown(() => other.close());

    other.exec('BEGIN IMMEDIATE');
    const waiting = [store.firstUse(DPOP, 'a', 60_000), store.firstUse(DPOP, 'b', 60_000)];
    let turns = 0;
    await until(() => ++turns > 20);
    other.exec('COMMIT');
    t.strictSame(await Promise.all(waiting), [false, true]);

    other.exec('BEGIN IMMEDIATE');
    const inVain = [store.firstUse(DPOP, 'a', 60_000), store.firstUse(DPOP, 'c', 60_000)];
    for (const each of inVain) each.catch(() => undefined);
    await until(() => ++turns > 40);
    clock.advance(RESPONSE_MS);
    for (const each of inVain) await t.rejects(each, /locked/);
    const late = store.firstUse(DPOP, 'c', 60_000);
    other.exec('COMMIT');
    t.equal(await late, true);
  },
);

t.test(
  'D14 a file that is locked as it is opened, is no database or cannot be written: it rejects',
  async (t) => {
    const file = fileFor(t);
    const list = new SqliteStore(file, systemClock);
    t.teardown(() => list.close());
    const other = new DatabaseSync(file);
    t.teardown(() => other.close());
    other.exec('BEGIN IMMEDIATE');
    const { store } = open(t, file);
    const opening = store.firstUse(DPOP, 'a', 60_000);
    let turns = 0;
    await until(() => ++turns > 10);
    other.exec('COMMIT');
    t.equal(await opening, true);

    const text = `${file}.txt`;
    writeFileSync(text, 'this is no database, and long enough to show it'.repeat(100));
    await t.rejects(open(t, text).store.firstUse(DPOP, 'a', 60_000));
    await t.rejects(open(t, join(file, 'no-folder')).store.firstUse(DPOP, 'a', 60_000));

    const closed = open(t, file).store;
    await closed.firstUse(DPOP, 'b', 60_000);
    await closed.close();
    await t.rejects(closed.firstUse(DPOP, 'c', 60_000));
  },
);

t.test('D14 a full disk is told apart from an outage', async (t) => {
  const { store } = open(t, fileFor(t));
  t.intercept(SqliteDatabase.prototype, 'transaction', {
    value: () => {
      // As Node has it: the code of SQLite is in `errcode`. SQLITE_FULL is 13.
      throw Object.assign(new Error('database or disk is full'), { code: 'ERR_SQLITE_ERROR', errcode: 13 });
    },
  });
  await t.rejects(store.firstUse(DPOP, 'a', 60_000), ReplayStoreFull);
});

t.test('D14 rows whose time is over are removed a few at a time, and become fewer', async (t) => {
  const file = fileFor(t);
  const { store, clock } = open(t, file);
  const raw = new DatabaseSync(file);
  t.teardown(() => raw.close());
  const rows = (): number => Number(raw.prepare('SELECT COUNT(*) AS n FROM used_proof').get()?.['n']);
  await Promise.all(Array.from({ length: 1_000 }, (_, each) => store.firstUse(DPOP, `old ${each}`, 5_000)));
  t.equal(rows(), 1_000);
  clock.advance(6_000);
  t.equal(await store.firstUse(DPOP, 'new', 60_000), true);
  t.equal(rows(), 999, 'no call pays for all of them');
  await Promise.all(Array.from({ length: 1_000 }, (_, each) => store.firstUse(DPOP, `new ${each}`, 60_000)));
  t.equal(rows(), 1_001);
  const [plan] = raw
    .prepare('EXPLAIN QUERY PLAN SELECT * FROM used_proof WHERE ends_at_ms <= 1 ORDER BY ends_at_ms LIMIT 2')
    .all();
  t.match(plan?.['detail'], /used_proof_end/, 'they are found without looking at the others');
});

t.test('D14 a full table refuses, whichever process has filled it, and forgets none early', async (t) => {
  const file = fileFor(t);
  const { store, clock } = open(t, file);
  const other = new SqliteReplayStore(file, clock, 100);
  t.teardown(() => other.close());
  const offer = (to: SqliteReplayStore, name: string, lifeMs: number): Promise<(boolean | 'full')[]> =>
    Promise.all(
      Array.from({ length: 60 }, (_, each) =>
        to.firstUse(DPOP, `${name} ${each}`, lifeMs).catch((error: unknown) => {
          if (error instanceof ReplayStoreFull) return 'full' as const;
          throw error;
        }),
      ),
    );
  t.strictSame(new Set(await offer(store, 'a', 5_000)), new Set([true]));
  t.equal((await offer(other, 'b', 60_000)).filter((each) => each === true).length, 40);
  t.strictSame(new Set(await offer(other, 'a', 60_000)), new Set([false]), 'what it knows it still tells');
  t.strictSame(new Set(await offer(other, 'c', 60_000)), new Set(['full']));
  other.resize(105);
  t.equal((await offer(other, 'c', 60_000)).filter((each) => each === true).length, 5);
  clock.advance(6_000);
  t.strictSame(new Set(await offer(other, 'd', 60_000)), new Set([true]), 'those of `a` have made room');
});

t.test('D14 a proof that was accepted is remembered by the gateway that starts next', async (t) => {
  const file = fileFor(t);
  const before = open(t, file).store;
  t.equal(await before.firstUse(DPOP, 'a', 60_000), true);
  await before.close();
  t.equal(await open(t, file).store.firstUse(DPOP, 'a', 60_000), false);
});

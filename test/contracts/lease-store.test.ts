/** What every store of leases promises, run over all of them, Redis for real. Rules L1, L2. */
import t, { type Test } from 'tap';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LeaseAsk, LeaseReply, LeaseStore } from '../../src/limits/lease-store.ts';
import { MemoryLeaseStore } from '../../src/limits/memory-lease-store.ts';
import { RedisLeaseStore } from '../../src/limits/redis-lease-store.ts';
import { SqliteLeaseStore } from '../../src/limits/sqlite-lease-store.ts';
import { SqliteDatabase } from '../../src/revocation/sqlite-database.ts';
import { AskedLeaseStore } from '../../src/workers/asked-lease-store.ts';
import type { PrimaryCalls } from '../../src/workers/calls.ts';
import { Channel } from '../../src/workers/channel.ts';
import { SharedLeases } from '../../src/workers/shared-leases.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { pipes } from '../support/pipes.ts';
import { startRedis } from '../support/redis.ts';

/** One in 10 s: the time that the tests take adds no request. */
const RATE = { emissionMs: 10_000, burst: 20 };
const FULL_MS = 200_000;

const newKey = (): string => randomBytes(16).toString('base64url');

function ask(key: string, changes: Partial<LeaseAsk> = {}): LeaseAsk {
  return {
    kind: 'callers',
    key,
    rate: RATE,
    passed: 0,
    wanted: 0,
    aheadMs: 0,
    maxAheadMs: 2 * FULL_MS,
    ...changes,
  };
}

interface Opened {
  readonly store: LeaseStore;
  /** The same buckets, as another gateway or worker has them. */
  readonly second?: LeaseStore;
  /** Lets time pass for a key, where the clock does not do it. */
  readonly pass?: (ms: number, key: string) => Promise<void>;
  /** How many buckets there are. */
  readonly count: () => Promise<number>;
}

function contract(name: string, open: (clock: ManualClock, t: Test) => Promise<Opened>): void {
  t.test(name, async (t) => {
    const clock = new ManualClock();
    const { store, second = store, pass = async (ms) => clock.advance(ms), count } = await open(clock, t);
    // The clock's timers keep no process alive.
    const alive = setInterval(() => undefined, 1_000);
    t.teardown(async () => {
      clearInterval(alive);
      await Promise.all([store.close(), second.close()]);
    });
    const one = async (from: LeaseStore, asked: LeaseAsk): Promise<LeaseReply> => {
      const [reply] = await from.ask([asked]);
      if (!reply) throw new Error('no reply');
      return reply;
    };
    /** Nothing was used in the time of a test, or a little. */
    const near = (t: Test, aheadMs: number, expected: number): void =>
      void t.ok(Math.abs(aheadMs - expected) < 5_000, `${aheadMs} is near ${expected}`);

    t.test(
      'L2 of requests that wait as many are granted as the bucket holds, wherever they come',
      async (t) => {
        const key = newKey();
        t.equal((await one(store, ask(key, { wanted: 15 }))).granted, 15);
        t.equal((await one(second, ask(key, { wanted: 15 }))).granted, 5);
        const last = await one(store, ask(key, { wanted: 15 }));
        t.equal(last.granted, 0);
        near(t, last.aheadMs, FULL_MS);
        t.equal((await one(second, ask(newKey(), { wanted: 1 }))).granted, 1, 'another key has its own');
      },
    );

    t.test(
      'L2 of 50 calls at once, each for one request, as many are granted as the bucket holds',
      async (t) => {
        const key = newKey();
        const calls = Array.from({ length: 50 }, (_, at) =>
          one(at % 2 ? store : second, ask(key, { wanted: 1 })),
        );
        t.equal((await Promise.all(calls)).filter(({ granted }) => granted === 1).length, 20);
      },
    );

    t.test('L2 requests that have passed are counted whatever the bucket holds', async (t) => {
      const key = newKey();
      near(t, (await one(store, ask(key, { passed: 3 }))).aheadMs, 30_000);
      near(t, (await one(second, ask(key, { passed: 22 }))).aheadMs, 250_000);
      const { granted, aheadMs } = await one(store, ask(key, { wanted: 1 }));
      t.equal(granted, 0);
      near(t, aheadMs, 250_000);
    });

    t.test('L2 what passed is counted before what waits, in one ask', async (t) => {
      const { granted, aheadMs } = await one(store, ask(newKey(), { passed: 5, wanted: 40 }));
      t.equal(granted, 15);
      near(t, aheadMs, FULL_MS);
    });

    t.test(
      'L2 asks of one call have their replies in order, and count in order where the key is the same',
      async (t) => {
        const [key, other] = [newKey(), newKey()];
        const asks = [
          ask(key, { wanted: 18 }),
          ask(other, { wanted: 1 }),
          ask(key, { wanted: 18 }),
          ask(newKey()),
        ];
        t.strictSame(
          (await store.ask(asks)).map(({ granted }) => granted),
          [18, 1, 2, 0],
        );
        t.strictSame(await store.ask([]), []);
      },
    );

    t.test('L2 time gives requests back, one by one', async (t) => {
      const key = newKey();
      await one(store, ask(key, { wanted: 20 }));
      await pass(11_000, key);
      t.equal((await one(second, ask(key, { wanted: 5 }))).granted, 1);
      await pass(500_000, key);
      t.equal((await one(second, ask(key, { wanted: 50 }))).granted, 20, 'never more than the burst');
    });

    t.test('L2 what is given back may be used again, and never makes more than a full bucket', async (t) => {
      const key = newKey();
      await one(store, ask(key, { wanted: 20 }));
      t.equal((await one(second, ask(key, { passed: -3, wanted: 10 }))).granted, 3);
      t.equal((await one(store, ask(key, { passed: -50, wanted: 50 }))).granted, 20);
    });

    t.test('L4 the larger counts, of what a gateway knows and what the store knows', async (t) => {
      const key = newKey();
      const { granted, aheadMs } = await one(store, ask(key, { wanted: 20, aheadMs: 150_000 }));
      t.equal(granted, 5, 'an empty store grants no fresh burst');
      near(t, aheadMs, FULL_MS);
      near(t, (await one(second, ask(key, { aheadMs: 50_000 }))).aheadMs, FULL_MS);
    });

    t.test('L2 a clock that was set back refuses for no longer than a bucket can be ahead', async (t) => {
      const key = newKey();
      await one(store, ask(key, { passed: 100 }));
      near(t, (await one(second, ask(key, { maxAheadMs: 300_000 }))).aheadMs, 300_000);
    });

    t.test('L2 a look changes nothing', async (t) => {
      const key = newKey();
      const before = await count();
      t.strictSame(await one(store, ask(key)), { granted: 0, aheadMs: 0 });
      t.equal(await count(), before);
      await one(store, ask(key, { wanted: 4 }));
      near(t, (await one(second, ask(key))).aheadMs, 40_000);
      near(t, (await one(second, ask(key))).aheadMs, 40_000);
    });

    t.test('L2 rates that are fractions, small and large are counted to the request', async (t) => {
      const rates = [
        { emissionMs: 86_400_000 / 7, burst: 3 },
        { emissionMs: 86_400_000 / 900, burst: 900 },
        { emissionMs: 31 * 86_400_000, burst: 1 },
        { emissionMs: 2_678_400_000 / 1_000_000_000, burst: 1_000_000_000 },
      ];
      for (const rate of rates) {
        const key = newKey();
        const [half, rest] = [Math.ceil(rate.burst / 2), rate.burst];
        const limits = { rate, maxAheadMs: 3 * rate.burst * rate.emissionMs };
        t.equal((await one(store, ask(key, { ...limits, wanted: half }))).granted, half);
        const { granted } = await one(second, ask(key, { ...limits, wanted: rest }));
        // The fastest gives some requests back during the test.
        const back = granted - (rate.burst - half);
        t.ok(back >= 0 && back <= 5_000 / rate.emissionMs, `${granted} of ${rate.burst}`);
      }
    });

    t.test('L1 full buckets take no room', async (t) => {
      const keys = Array.from({ length: 50 }, newKey);
      const before = await count();
      const short = { rate: { emissionMs: 40_000, burst: 5 }, wanted: 1, maxAheadMs: 400_000 };
      await store.ask(keys.map((key) => ask(key, short)));
      for (const key of keys) await pass(60_000, key);
      await store.ask(Array.from({ length: 50 }, () => ask(newKey(), short)));
      t.ok((await count()) - before <= 51, 'those that came later are there');
    });
  });
}

contract('memory', async (clock) => {
  const store = new MemoryLeaseStore(clock, () => 100_000);
  return { store, count: async () => store.size };
});

contract('sqlite', async (clock, t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-leases-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'list.sqlite');
  const open = (): SqliteLeaseStore => new SqliteLeaseStore(file, clock);
  const count = async (): Promise<number> => {
    const database = new SqliteDatabase(file, 100, '');
    const [row] = database.all<{ count: number }>('SELECT count(*) AS count FROM rate_limit_bucket');
    database.close();
    return row?.count ?? 0;
  };
  return { store: open(), second: open(), count };
});

contract('redis', async (clock, t) => {
  const redis = await startRedis(t, { persistent: false });
  const open = (): RedisLeaseStore => new RedisLeaseStore({ url: redis.url, keyPrefix: 'sallyport' }, clock);
  const nameOf = (key: string): string => `sallyport:limit:{${key.slice(0, 1)}}:${key}`;
  // Redis has its own clock: what a bucket says, and its life, are moved instead.
  const pass = async (ms: number, key: string): Promise<void> => {
    const stored = Number(/\r\n([\d.]+)/.exec(await redis.command('GET', nameOf(key)))?.[1]);
    const left = Number(/^:(-?\d+)/.exec(await redis.command('PTTL', nameOf(key)))?.[1]);
    if (left <= 0) return;
    await redis.command('SET', nameOf(key), String(stored - ms), 'PX', String(Math.max(1, left - ms)));
  };
  // DBSIZE has keys whose life is over, too.
  const count = async (): Promise<number> => Number(/^\*(\d+)/.exec(await redis.command('KEYS', '*'))?.[1]);
  return { store: open(), second: open(), pass, count };
});

contract('two workers of one primary', async (clock) => {
  const gateway = new MemoryLeaseStore(clock, () => 100_000);
  const shared = new SharedLeases(undefined, gateway, clock, 2);
  const worker = (): AskedLeaseStore => {
    const [ours, theirs] = pipes();
    new Channel<unknown>(ours, clock, shared.handlers);
    return new AskedLeaseStore(new Channel<PrimaryCalls>(theirs, clock, {}), 'fleet', () => undefined);
  };
  return { store: worker(), second: worker(), count: async () => gateway.size };
});

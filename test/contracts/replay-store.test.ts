/** What every memory of used proofs promises, run over all of them, Redis for real. Rule D14. */
import t, { type Test } from 'tap';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryReplayStore } from '../../src/replay/memory-replay-store.ts';
import { RedisReplayStore } from '../../src/replay/redis-replay-store.ts';
import type { ReplayStore } from '../../src/replay/replay-store.ts';
import { SqliteReplayStore } from '../../src/replay/sqlite-replay-store.ts';
import { DPOP, proofId } from '../../src/replay/used-proofs.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { SharedReplay } from '../../src/workers/shared-replay.ts';
import { AskedReplayStore } from '../../src/workers/asked-replay-store.ts';
import { Channel } from '../../src/workers/channel.ts';
import type { PrimaryCalls } from '../../src/workers/calls.ts';
import { pipes } from '../support/pipes.ts';
import { startRedis } from '../support/redis.ts';

const LIFE_MS = 65_000;
let made = 0;
const newId = (): string => proofId('k'.repeat(43), `jti ${made++}`);
const accepted = (uses: readonly boolean[]): number => uses.filter(Boolean).length;

interface Opened {
  readonly store: ReplayStore;
  /** The same memory, as another gateway or worker has it. */
  readonly second?: ReplayStore;
  /** Lets time pass for an id, where the clock does not do it. */
  readonly pass?: (ms: number, id: string) => Promise<void>;
}

function contract(name: string, open: (clock: ManualClock, t: Test) => Promise<Opened>): void {
  t.test(name, async (t) => {
    const clock = new ManualClock();
    const { store, second = store, pass = async (ms) => clock.advance(ms) } = await open(clock, t);
    // The clock's timers keep no process alive.
    const alive = setInterval(() => undefined, 1_000);
    t.teardown(async () => {
      clearInterval(alive);
      await Promise.all([store.close(), second.close()]);
    });

    t.test('D14 a proof is used once, wherever it comes a second time', async (t) => {
      const id = newId();
      t.equal(await store.firstUse(DPOP, id, LIFE_MS), true);
      t.equal(await store.firstUse(DPOP, id, LIFE_MS), false);
      t.equal(await second.firstUse(DPOP, id, LIFE_MS), false);
      t.equal(await second.firstUse(DPOP, newId(), LIFE_MS), true);
    });

    t.test('D14 of proofs that come everywhere at once, each is accepted once', async (t) => {
      const ids = Array.from({ length: 500 }, newId);
      const offered = [...ids, ...ids.toReversed(), ...ids].map((id, index) =>
        (index % 2 === 0 ? store : second).firstUse(DPOP, id, LIFE_MS),
      );
      t.equal(accepted(await Promise.all(offered)), ids.length);
    });

    t.test('to ask whether an id was used does not use it', async (t) => {
      const id = newId();
      t.equal(await store.isUsed(DPOP, id), false);
      t.equal(await store.firstUse(DPOP, id, LIFE_MS), true);
      t.equal(await store.isUsed(DPOP, id), true);
      t.equal(await second.isUsed(DPOP, id), true);
      t.equal(await second.isUsed('another', id), false);
      await pass(LIFE_MS + 2_000, id);
      t.equal(await store.isUsed(DPOP, id), false);
    });

    t.test('D14 what is used in one namespace is not used in another', async (t) => {
      const id = newId();
      t.equal(await store.firstUse(DPOP, id, LIFE_MS), true);
      t.equal(await store.firstUse('other', id, LIFE_MS), true);
      t.equal(await second.firstUse('other', id, LIFE_MS), false);
    });

    t.test('D14 an id of any text is itself and no other', async (t) => {
      const odd = ['', ' ', 'a b', "'; DROP TABLE used_proof; --", '{x}', '{}', '*', '\r\nSET a 1\r\n'];
      const more = ['a', 'A', 'a\u0000', 'a\u0000b', 'é', 'e\u0301', '日本', '🍪', '0', 'x'.repeat(10_000)];
      for (const id of [...odd, ...more]) {
        t.equal(await store.firstUse(DPOP, id, LIFE_MS), true, JSON.stringify(id.slice(0, 40)));
        t.equal(await second.firstUse(DPOP, id, LIFE_MS), false);
      }
    });

    t.test('D14 a proof at the end of its time, or behind it, is remembered all the same', async (t) => {
      for (const ttlMs of [0, -1, -1e12, 0.25, Number.MIN_VALUE]) {
        const id = newId();
        t.equal(await store.firstUse(DPOP, id, ttlMs), true, `${ttlMs}`);
        t.equal(await second.firstUse(DPOP, id, ttlMs), false);
      }
      for (const ttlMs of [1e300, Infinity, Number.MAX_SAFE_INTEGER]) {
        const id = newId();
        t.equal(await store.firstUse(DPOP, id, ttlMs), true, `${ttlMs}`);
        t.equal(await second.firstUse(DPOP, id, ttlMs), false);
      }
      await t.rejects(store.firstUse(DPOP, newId(), NaN), RangeError);
    });

    t.test('D14 when its time is over, and not before, an id is forgotten', async (t) => {
      const [id, other] = [newId(), newId()];
      await store.firstUse(DPOP, id, 10_000);
      await store.firstUse(DPOP, other, LIFE_MS);
      await pass(9_000, id);
      t.equal(await second.firstUse(DPOP, id, LIFE_MS), false);
      await pass(2_000, id);
      t.equal(await second.firstUse(DPOP, id, LIFE_MS), true);
      t.equal(await store.firstUse(DPOP, id, LIFE_MS), false, 'it is remembered again');
      t.equal(await store.firstUse(DPOP, other, LIFE_MS), false);
    });

    t.test('D14 5,000 calls at once are 5,000 outcomes', async (t) => {
      const ids = Array.from({ length: 5_000 }, newId);
      t.equal(accepted(await Promise.all(ids.map((id) => store.firstUse(DPOP, id, LIFE_MS)))), 5_000);
      t.equal(accepted(await Promise.all(ids.map((id) => second.firstUse(DPOP, id, LIFE_MS)))), 0);
    });

    t.test('D14 a wall clock that steps back lets no proof pass again', async (t) => {
      const id = newId();
      await store.firstUse(DPOP, id, LIFE_MS);
      clock.stepWall(-3_600_000);
      t.teardown(() => clock.stepWall(3_600_000));
      t.equal(await store.firstUse(DPOP, id, LIFE_MS), false);
      t.equal(await second.firstUse(DPOP, id, LIFE_MS), false);
      t.equal(await second.firstUse(DPOP, newId(), LIFE_MS), true);
    });
  });
}

contract('memory', async (clock) => ({ store: new MemoryReplayStore(clock) }));

contract('sqlite', async (clock, t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-sqlite-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const open = (): SqliteReplayStore => new SqliteReplayStore(join(folder, 'list.sqlite'), clock);
  return { store: open(), second: open() };
});

contract('redis', async (clock, t) => {
  const redis = await startRedis(t, { persistent: false });
  const open = (): RedisReplayStore =>
    new RedisReplayStore({ url: redis.url, keyPrefix: 'sallyport' }, clock);
  // Redis has its own clock: what is left of the life of the key is shortened.
  const pass = async (ms: number, id: string): Promise<void> => {
    const key = `sallyport:used:${DPOP}:${id}`;
    const left = Number(/^:(-?\d+)/.exec(await redis.command('PTTL', key))?.[1]);
    await redis.command('PEXPIRE', key, String(left - ms));
  };
  return { store: open(), second: open(), pass };
});

contract('two workers of one primary', async (clock) => {
  const shared = new SharedReplay(new MemoryReplayStore(clock));
  const worker = (): AskedReplayStore => {
    const [ours, theirs] = pipes();
    new Channel<unknown>(ours, clock, shared.handlers);
    return new AskedReplayStore(new Channel<PrimaryCalls>(theirs, clock, {}));
  };
  return { store: worker(), second: worker() };
});

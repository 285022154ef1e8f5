/** The memory of used proofs in a process: its bound. Rule D14. */
import t from 'tap';
import { MemoryReplayStore } from '../../src/replay/memory-replay-store.ts';
import { ReplayStoreFull } from '../../src/replay/replay-store.ts';
import { DPOP, proofId } from '../../src/replay/used-proofs.ts';
import { steppedClock } from '../support/stepped-clock.ts';

const idOf = (number: number): string => proofId('k'.repeat(43), String(number));

t.test('D14 a full memory refuses, and never forgets a proof that could pass again', async (t) => {
  const clock = steppedClock();
  const store = new MemoryReplayStore(clock, 1_000);
  for (let each = 0; each < 1_000; each++)
    t.equal(await store.firstUse(DPOP, idOf(each), 10_000 + 10 * each), true);
  for (let each = 1_000; each < 1_100; each++)
    await t.rejects(store.firstUse(DPOP, idOf(each), 60_000), ReplayStoreFull);
  for (let each = 0; each < 1_000; each++)
    t.equal(await store.firstUse(DPOP, idOf(each), 60_000), false, 'what it knows it still tells');
  t.equal(store.size, 1_000);
  store.resize(1_001);
  t.equal(await store.firstUse(DPOP, idOf(1_050), 60_000), true, 'a reload may give it more room');
  await t.rejects(store.firstUse(DPOP, idOf(1_051), 60_000), ReplayStoreFull);
  store.resize(1_000);

  clock.advance(12_000);
  let taken = 0;
  for (let each = 2_000; each < 3_000; each++)
    taken += await store.firstUse(DPOP, idOf(each), 60_000).then(Number, () => 0);
  t.ok(taken >= 100 && taken <= 201, `${taken} have the place of those whose time is over`);
  t.equal(await store.firstUse(DPOP, idOf(999), 60_000), false);
  t.ok(store.size <= 1_000);
});

t.test(
  'D14 what is over is removed a little with each call, and its table becomes small again',
  async (t) => {
    const clock = steppedClock();
    const store = new MemoryReplayStore(clock);
    for (let each = 0; each < 3_000; each++) await store.firstUse(DPOP, idOf(each), 5_000);
    clock.advance(7_000);
    // The last of them are used again before they were removed: these live on.
    for (let each = 0; each < 10; each++) t.equal(await store.firstUse(DPOP, idOf(each), 900_000), true);
    for (let each = 10_000; each < 13_000; each++) await store.firstUse(DPOP, idOf(each), 5_000);
    t.equal(store.size, 3_010);
    for (let each = 0; each < 10; each++) t.equal(await store.firstUse(DPOP, idOf(each), 900_000), false);
    clock.advance(7_000);
    for (let each = 0; each < 2_000; each++) await store.firstUse(DPOP, idOf(0), 5_000);
    t.equal(store.size, 10);
    await store.close();
    t.equal(store.size, 0);
  },
);

t.test('D14 a wall clock that is set forward, and back again, forgets nothing', async (t) => {
  const clock = steppedClock();
  const store = new MemoryReplayStore(clock);
  await store.firstUse(DPOP, idOf(1), 60_000);
  clock.stepWall(3_600_000);
  for (let each = 2; each < 10; each++) await store.firstUse(DPOP, idOf(each), 60_000);
  clock.stepWall(-3_600_000);
  t.equal(await store.firstUse(DPOP, idOf(1), 60_000), false);
});

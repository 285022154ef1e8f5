/** One gateway of a fleet that counts together, in simulated time. Rules L1, L2, L4. */
import t from 'tap';
import { KeyBudget } from '../../src/limits/bucket-table.ts';
import type { LeaseDesk } from '../../src/limits/lease-desk.ts';
import { LeasedLimiter } from '../../src/limits/leased-limiter.ts';
import type { Verdict } from '../../src/limits/limiter.ts';
import { SimulatedFleet, type FleetOptions } from '../support/simulated-fleet.ts';

/** 100 a second, at most 20 at once: a lease of 5. */
const LIMIT = { count: 100, rate: { emissionMs: 10, burst: 20 } };
/** 10 a minute, at most 10 at once: a lease of 1. */
const SLOW = { count: 10, rate: { emissionMs: 6_000, burst: 10 } };

function fleetOf(changes: Partial<FleetOptions> = {}): SimulatedFleet {
  return new SimulatedFleet({ ...LIMIT, gateways: 1, latencyMs: () => 1, ...changes });
}

function sendMany(fleet: SimulatedFleet, count: number, gateway = 0): void {
  for (let index = 0; index < count; index++) fleet.send(gateway);
}

t.test('L2 a burst that a fresh bucket holds passes whole at one gateway', async (t) => {
  for (const limit of [LIMIT, SLOW]) {
    const fleet = fleetOf(limit);
    sendMany(fleet, limit.rate.burst);
    await fleet.time.runUntil(20);
    t.equal(fleet.admitted.length, limit.rate.burst);
    t.strictSame(fleet.refusedAfterMs, []);
    t.ok(
      fleet.admitted.every(({ waitedMs }) => waitedMs <= 4),
      'some wait for the store, and not longer',
    );
  }
});

t.test('L2 one more than the bucket holds is refused', async (t) => {
  const fleet = fleetOf(SLOW);
  sendMany(fleet, 25);
  await fleet.time.runUntil(50);
  t.equal(fleet.admitted.length, 10);
  t.equal(fleet.refusedAfterMs.length, 15);
});

t.test('L2 a steady flow below the limit never waits', async (t) => {
  const fleet = fleetOf({ gateways: 2, latencyMs: () => 4 });
  for (let atMs = 0; atMs < 10_000; atMs += 25)
    for (const gateway of [0, 1]) fleet.time.at(atMs, () => fleet.send(gateway));
  await fleet.time.runUntil(11_000);
  t.equal(fleet.admitted.length, 800);
  t.equal(Math.max(...fleet.admitted.map(({ waitedMs }) => waitedMs)), 0);
});

t.test(
  'L2 where the store has said that nothing is left, requests are refused at once, and it is not asked',
  async (t) => {
    const fleet = fleetOf(SLOW);
    sendMany(fleet, 12);
    await fleet.time.runUntil(50);
    const { calls } = fleet;
    const refused = fleet.refusedAfterMs.length;
    sendMany(fleet, 1_000);
    await fleet.time.runUntil(1_000);
    t.equal(fleet.calls, calls);
    t.strictSame(
      fleet.refusedAfterMs.slice(refused),
      Array.from({ length: 1_000 }, () => 0),
    );
    await fleet.time.runUntil(6_100);
    fleet.send(0);
    t.equal(fleet.admitted.length, 11, 'the next passes when the time has given one back');
  },
);

t.test('L2 what one gateway has let pass, another refuses', async (t) => {
  const fleet = fleetOf({ ...SLOW, gateways: 2 });
  sendMany(fleet, 10, 0);
  await fleet.time.runUntil(50);
  sendMany(fleet, 5, 1);
  await fleet.time.runUntil(100);
  t.equal(fleet.admitted.filter(({ gateway }) => gateway === 1).length, 1, 'the lease');
});

t.test('L2 requests of one turn are one call, and half a lease goes out at once', async (t) => {
  const fleet = fleetOf();
  for (let key = 0; key < 100; key++) fleet.send(0, `key ${key}`);
  await fleet.time.runUntil(24);
  t.equal(fleet.calls, 0, 'a request that has passed is in no hurry');
  await fleet.time.runUntil(40);
  t.strictSame([fleet.calls, fleet.asks], [1, 100]);
  sendMany(fleet, 3);
  await fleet.time.runUntil(41);
  t.equal(fleet.calls, 2);
});

t.test('L1 the store is asked about a bounded number of keys at once, however many come', async (t) => {
  const fleet = fleetOf({ latencyMs: () => 1_000 });
  const [desk] = fleet.desks;
  const limiter = new LeasedLimiter({
    limit: LIMIT,
    kind: 'callers',
    budget: new KeyBudget(50_000),
    desk: desk as LeaseDesk,
    monotonicMs: () => fleet.now(0),
  });
  const verdicts = Array.from({ length: 20_000 }, (_, key) => limiter.take(`key ${key}`, fleet.now(0)));
  t.ok(
    verdicts.every((verdict) => (verdict as Verdict).allowed),
    'each is the first of its key',
  );
  await fleet.time.runUntil(400);
  t.equal(fleet.calls, 4);
  t.ok(fleet.asks <= 4 * 256);
  t.ok((desk?.size ?? Infinity) <= 10_000);
});

t.test('L1 keys that find no room share one bucket', async (t) => {
  const fleet = fleetOf();
  for (let key = 0; key < 1_500; key++) fleet.send(0, `key ${key}`);
  await fleet.time.runUntil(5);
  t.equal(fleet.admitted.length, 1_000 + LIMIT.rate.burst);
  t.equal(fleet.limiters[0]?.overflowed, 500);
});

t.test('L4 a request waits for a slow store for 100 ms, and then its gateway decides', async (t) => {
  const fleet = fleetOf({ latencyMs: () => 200, known: () => 5 });
  sendMany(fleet, 20);
  await fleet.time.runUntil(90);
  t.equal(fleet.admitted.length, 5, 'the lease');
  await fleet.time.runUntil(110);
  t.equal(fleet.admitted.length + fleet.refusedAfterMs.length, 20);
  t.ok(fleet.refusedAfterMs.every((waitedMs) => waitedMs === 100));
  t.equal(fleet.desks[0]?.isAvailable, true, 'it is slow, and not lost');
});

t.test('L4 without the store each of N gateways gives one Nth of the rate and of the burst', async (t) => {
  const fleet = fleetOf({ gateways: 2, known: () => 4 });
  fleet.state = 'refuses';
  for (let atMs = 0; atMs < 10_000; atMs += 5) fleet.time.at(atMs, () => fleet.send(0));
  await fleet.time.runUntil(10_000);
  // 25 a second, and 5 at once, and what had passed before the loss was known.
  const { length } = fleet.admitted;
  t.ok(length >= 250 && length <= 250 + 5 + 5, `${length}`);
  t.equal(Math.max(0, ...fleet.refusedAfterMs), 0, 'none waits');
});

t.test('L4 what was used before the store was lost counts after it', async (t) => {
  const fleet = fleetOf({ ...SLOW, known: () => 2 });
  sendMany(fleet, 10);
  await fleet.time.runUntil(100);
  fleet.state = 'refuses';
  fleet.send(0, 'another');
  await fleet.time.runUntil(200);
  t.equal(fleet.desks[0]?.isAvailable, false);
  sendMany(fleet, 10);
  t.equal(fleet.admitted.length, 11, 'none of them');
});

t.test('L4 a store that comes back empty grants no fresh burst of what its gateways know', async (t) => {
  const slow = { count: 60, rate: { emissionMs: 1_000, burst: 60 } };
  const fleet = fleetOf({ ...slow, gateways: 2, latencyMs: () => 1 });
  sendMany(fleet, 60, 0);
  await fleet.time.runUntil(50);
  t.equal(fleet.admitted.length, 60);
  fleet.wipe();
  await fleet.time.runUntil(1_100);
  // The gateway that knows the key tells with its next request, and the other hears it from the store.
  fleet.send(0);
  await fleet.time.runUntil(1_200);
  sendMany(fleet, 60, 1);
  await fleet.time.runUntil(1_300);
  t.ok(fleet.admitted.length <= 61 + 3, `${fleet.admitted.length - 61}: its lease`);
});

t.test('L4 what passed by the share is told when the store is back, without a further request', async (t) => {
  const slow = { count: 60, rate: { emissionMs: 1_000, burst: 60 } };
  const fleet = fleetOf({ ...slow, gateways: 2 });
  fleet.state = 'refuses';
  sendMany(fleet, 40, 0);
  await fleet.time.runUntil(100);
  sendMany(fleet, 40, 0);
  const before = fleet.admitted.length;
  t.ok(before >= 28 && before <= 30 + 3, `${before}: half of the burst, and what had passed before`);
  fleet.state = 'responds';
  await fleet.time.runUntil(1_500);
  t.equal(fleet.desks[0]?.isAvailable, true);
  sendMany(fleet, 60, 1);
  await fleet.time.runUntil(1_600);
  t.ok(fleet.admitted.length - before <= 3 + 2, `${fleet.admitted.length - before}`);
});

t.test('L4 that limits are counted by each gateway alone, and together again, is told once', async (t) => {
  const fleet = fleetOf();
  const desk = fleet.desks[0] as LeaseDesk;
  const told: unknown[] = [];
  desk.onLost = (error) => told.push((error as Error).message);
  desk.onBack = (lostMs) => told.push(Math.round(lostMs / 1_000));
  const further = new Set<string>();
  desk.onFailing = (error) => further.add((error as Error).message);
  fleet.state = 'refuses';
  for (let atMs = 0; atMs < 12_000; atMs += 5) fleet.time.at(atMs, () => fleet.send(0));
  fleet.time.at(2_000, () => (fleet.state = 'responds'));
  await fleet.time.runUntil(3_000);
  t.equal(desk.isAvailable, true, 'they count together as soon as it responds');
  t.strictSame(told, ['refused']);
  t.strictSame([...further], ['refused']);
  await fleet.time.runUntil(12_000);
  t.strictSame(told, ['refused', 7], 'and people are told when it has failed nothing for 5 s');
  t.equal(desk.lostAtMs, undefined);
});

t.test('L4 a store that swallows what it is asked is lost within half a second', async (t) => {
  const fleet = fleetOf();
  fleet.state = 'swallows';
  for (let atMs = 0; atMs < 3_000; atMs += 5) fleet.time.at(atMs, () => fleet.send(0));
  await fleet.time.runUntil(600);
  t.equal(fleet.desks[0]?.isAvailable, false);
  const waited = Math.max(...fleet.admitted.map(({ waitedMs }) => waitedMs), ...fleet.refusedAfterMs);
  t.equal(waited, 100);
  fleet.state = 'responds';
  await fleet.time.runUntil(3_000);
  t.equal(fleet.desks[0]?.isAvailable, true);
});

t.test('L4 a call that was lost before the store came back does not make it lost again', async (t) => {
  const fleet = fleetOf();
  fleet.state = 'swallows';
  fleet.send(0, 'a');
  fleet.time.at(450, () => fleet.send(0, 'b'));
  fleet.time.at(700, () => (fleet.state = 'responds'));
  await fleet.time.runUntil(1_300);
  t.equal(fleet.desks[0]?.isAvailable, true);
  for (let atMs = 1_300; atMs < 1_700; atMs += 10)
    fleet.time.at(atMs, () => t.equal(fleet.desks[0]?.isAvailable, true));
  await fleet.time.runUntil(1_700);
});

t.test('L2 what another limit has refused is uncounted, also where the store has counted it', async (t) => {
  const fleet = fleetOf(SLOW);
  const [limiter] = fleet.limiters;
  for (const waitMs of [0, 50]) {
    for (let each = 0; each < 30; each++) {
      fleet.send(0);
      await fleet.time.runUntil(fleet.time.nowMs + waitMs);
      limiter?.giveBack('a', fleet.now(0));
    }
    await fleet.time.runUntil(fleet.time.nowMs + 50);
  }
  t.equal(fleet.admitted.length, 60);
  sendMany(fleet, 20);
  await fleet.time.runUntil(fleet.time.nowMs + 50);
  t.ok(fleet.admitted.length >= 70 && fleet.admitted.length <= 71, `${fleet.admitted.length}`);
});

t.test('L2 a look says what is left in the fleet, and counts nothing', async (t) => {
  const fleet = fleetOf({ ...SLOW, gateways: 2 });
  sendMany(fleet, 4, 0);
  await fleet.time.runUntil(50);
  const looks = [0, 1].map((gateway) => fleet.limiters[gateway]?.look('a', fleet.now(gateway)));
  await fleet.time.runUntil(60);
  for (const look of looks) t.match(await look, { allowed: true, remaining: 6, retryAfterMs: 0 });
  fleet.state = 'refuses';
  const unsure = fleet.limiters[0]?.look('a', fleet.now(0));
  await fleet.time.runUntil(70);
  t.match(await unsure, { allowed: true, remaining: 3 }, 'of its share, without the store');
  t.equal(fleet.admitted.length, 4);
});

t.test('L2 what is closed keeps none waiting', async (t) => {
  const fleet = fleetOf({ latencyMs: () => 50 });
  sendMany(fleet, 20);
  void fleet.desks[0]?.close();
  await fleet.time.runUntil(0.1);
  t.equal(fleet.admitted.length + fleet.refusedAfterMs.length, 20);
});

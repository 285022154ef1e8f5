/** How many requests a fleet lets pass that counts together, in simulated time. Rules L2, L4. */
import t, { type Test } from 'tap';
import { leaseOf } from '../../src/limits/lease.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { SimulatedFleet } from '../support/simulated-fleet.ts';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 8);
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1e9);

/** A rate of so many in so many milliseconds, with what gateways and tests need to know of it. */
function limitOf(count: number, windowMs: number, burst = count) {
  return { count, rate: { emissionMs: windowMs / count, burst }, lease: leaseOf(count, burst) };
}

/** Sends so many a second to each gateway, at random moments. */
function offer(
  fleet: SimulatedFleet,
  random: SeededRandom,
  perSecond: readonly number[],
  seconds: number,
): void {
  for (const [gateway, rate] of perSecond.entries())
    for (let index = 0; index < rate * seconds; index++)
      fleet.time.at(random.below(seconds * 1_000_000) / 1_000, () => fleet.send(gateway));
}

interface Play {
  readonly limit: ReturnType<typeof limitOf>;
  readonly gateways: number;
  readonly seconds: number;
  readonly latencyMs: number;
  readonly random: SeededRandom;
  readonly fleet: SimulatedFleet;
}

function playOf(seed: number, maxLatencyMs = 40): Play {
  const random = new SeededRandom(seed);
  const gateways = 1 + random.below(6);
  const [count, windowMs] = random.of([
    [100, 1_000],
    [100, 1_000],
    [10, 1_000],
    [3, 1_000],
    [600, 60_000],
    [1_000, 10_000],
  ] as const);
  const limit = limitOf(count, windowMs, random.of([1, 5, Math.ceil(count / 2), count, 2 * count]));
  const latencyMs = random.of([0.2, 2, maxLatencyMs]);
  const fleet = new SimulatedFleet({
    ...limit,
    gateways,
    latencyMs: () => (latencyMs * (500 + random.below(500))) / 1_000,
  });
  return { limit, gateways, seconds: 10, latencyMs, random, fleet };
}

/** What a fleet may admit above the rate: docs/reference.md. */
const boundOf = ({ limit, gateways, latencyMs }: Play): number =>
  limit.rate.burst + gateways * limit.lease + (2 * latencyMs) / limit.rate.emissionMs;

function check(t: Test, play: Play, most: number, what: string): void {
  const { fleet } = play;
  if (fleet.mostAbove > most + 1e-6) t.fail(`${what}: ${fleet.mostAbove} above the rate, of ${most}`);
}

t.test('L2 in every window N gateways admit at most rate × time + burst + N × lease', async (t) => {
  for (let seed = SEED; seed < SEED + RUNS; seed++) {
    const play = playOf(seed);
    const { random, gateways, seconds, limit, fleet } = play;
    const rate = 1_000 / limit.rate.emissionMs;
    // From a part of the rate to several times it, and the gateways not alike.
    const each = Array.from({ length: gateways }, () => (rate * random.of([0, 0.5, 1, 3])) / gateways);
    offer(
      fleet,
      random,
      each.map((perSecond) => Math.ceil(Math.min(perSecond, 400))),
      seconds,
    );
    for (let bursts = 0; bursts < 5; bursts++) {
      const gateway = random.below(gateways);
      fleet.time.at(random.below(seconds * 1_000), () => {
        for (let index = 0; index < Math.min(2 * limit.rate.burst, 200); index++) fleet.send(gateway);
      });
    }
    await fleet.time.runUntil(seconds * 1_000 + 1_000);
    check(t, play, boundOf(play), `seed ${seed}`);
    t.ok(
      fleet.desks.every(({ size }) => size === 0),
      'all is told',
    );
  }
});

t.test('L2 under overload a fleet admits nine tenths of what one gateway would, or more', async (t) => {
  for (let seed = SEED; seed < SEED + RUNS; seed++) {
    const play = playOf(seed, 10);
    // The burst must span some round trips: what the store says is a round trip old.
    if (play.limit.rate.burst * play.limit.rate.emissionMs < 20 * play.latencyMs) continue;
    const { random, gateways, limit, fleet } = play;
    const rate = 1_000 / limit.rate.emissionMs;
    // Of a few dozen requests, the moments at which they happen to come decide about more than a tenth.
    const seconds = Math.max(play.seconds, 300 / rate);
    const each = Array.from({ length: gateways }, () => Math.ceil((3 * rate) / gateways + 5));
    offer(fleet, random, each, seconds);
    await fleet.time.runUntil(seconds * 1_000 + 500);
    check(t, play, boundOf(play), `seed ${seed}`);
    const { length } = fleet.admitted;
    if (length < 0.9 * fleet.admittedByOne) t.fail(`seed ${seed}: ${length} of ${fleet.admittedByOne}`);
  }
  t.pass(`seeds from ${SEED}`);
});

t.test('L4 each outage adds at most two bursts, and the rate of two seconds', async (t) => {
  for (let seed = SEED; seed < SEED + RUNS; seed++) {
    const play = playOf(seed);
    const { random, gateways, limit, fleet } = play;
    const rate = 1_000 / limit.rate.emissionMs;
    const seconds = 20;
    const outages = 1 + random.below(2);
    const each = Array.from({ length: gateways }, () =>
      Math.ceil(Math.min(400, (rate * random.of([0.5, 3])) / gateways)),
    );
    offer(fleet, random, each, seconds);
    for (let outage = 0; outage < outages; outage++) {
      const fromMs = 1_000 + outage * 10_000 + random.below(1_000);
      fleet.time.at(fromMs, () => (fleet.state = random.of(['refuses', 'swallows'])));
      fleet.time.at(fromMs + 200 + random.below(6_000), () => {
        fleet.state = 'responds';
        if (random.below(2) === 0) fleet.wipe();
      });
    }
    await fleet.time.runUntil(seconds * 1_000 + 1_000);
    const share = Math.max(limit.rate.burst, gateways);
    check(t, play, boundOf(play) + outages * (2 * share + 2 * rate), `seed ${seed}`);
  }
  t.pass(`seeds from ${SEED}`);
});

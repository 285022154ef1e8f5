/** The generic cell rate algorithm, against a token bucket in exact arithmetic. */
import t from 'tap';
import { charge, FULL, isFull, remaining, retryAfterMs, take, type Rate } from '../../src/limits/gcra.ts';
import { SeededRandom } from '../support/seeded-random.ts';

/** A bucket of tokens, which time fills. One token is `windowMs` parts: so all numbers are whole. */
class TokenBucket {
  readonly #count: bigint;
  readonly #windowMs: bigint;
  readonly #capacity: bigint;
  #parts: bigint;
  #atMs: bigint;

  constructor(count: number, windowMs: number, burst: number, nowMs: number) {
    this.#count = BigInt(count);
    this.#windowMs = BigInt(windowMs);
    this.#capacity = BigInt(burst) * this.#windowMs;
    this.#parts = this.#capacity;
    this.#atMs = BigInt(nowMs);
  }

  take(nowMs: number, tokens: number): boolean {
    const needed = BigInt(tokens) * this.#windowMs;
    if (this.#at(nowMs) < needed) return false;
    this.#parts -= needed;
    return true;
  }

  giveBack(nowMs: number): void {
    this.#fill(this.#at(nowMs) + this.#windowMs);
  }

  left(nowMs: number): number {
    return Number(this.#at(nowMs) / this.#windowMs);
  }

  isFull(nowMs: number): boolean {
    return this.#at(nowMs) === this.#capacity;
  }

  #at(nowMs: number): bigint {
    this.#fill(this.#parts + (BigInt(nowMs) - this.#atMs) * this.#count);
    this.#atMs = BigInt(nowMs);
    return this.#parts;
  }

  #fill(parts: bigint): void {
    this.#parts = parts < this.#capacity ? parts : this.#capacity;
  }
}

const between = (random: SeededRandom, least: number, most: number): number =>
  least + random.below(most - least + 1);

const RUNS = 300;
const STEPS = 60;
const SEED = Number(process.env['SEED'] ?? 1);

t.test('in every history it lets pass what a token bucket would', async (t) => {
  for (let run = 0; run < RUNS; run++) {
    const random = new SeededRandom(SEED + run);
    const count = between(random, 1, 400);
    const windowMs = between(random, 1, 100) * random.of([10, 1_000, 60_000]);
    const burst = between(random, 1, random.of([1, 5, 1_000]));
    const rate: Rate = { emissionMs: windowMs / count, burst };
    // The clock of a process begins near 0; that of a store is the time since 1970.
    let nowMs = random.of([0, 1_000_000, 1_790_000_000_000]);
    const bucket = new TokenBucket(count, windowMs, burst, nowMs);
    let tatMs = FULL;
    const history: string[] = [];
    for (let step = 0; step < STEPS; step++) {
      nowMs += random.of([0, 0, 1, 2, Math.ceil(rate.emissionMs), between(random, 0, windowMs)]);
      const tokens = random.of([1, 1, 1, 2, burst]);
      const next = take(rate, tatMs, nowMs, tokens);
      const passes = bucket.take(nowMs, tokens);
      tatMs = next ?? tatMs;
      const isGivenBack = passes && between(random, 0, 9) === 0;
      if (isGivenBack) {
        tatMs = charge(rate, tatMs, nowMs, -1);
        bucket.giveBack(nowMs);
      }
      history.push(
        `${nowMs} ${tokens} ${next !== undefined} ${passes} ${remaining(rate, tatMs, nowMs)} ${bucket.left(nowMs)} ${isFull(tatMs - 1e-3, nowMs)} ${bucket.isFull(nowMs)}`,
      );
      const isSame =
        (next !== undefined) === passes &&
        remaining(rate, tatMs, nowMs) === bucket.left(nowMs) &&
        isFull(tatMs - 1e-3, nowMs) === bucket.isFull(nowMs) &&
        waitIsRight(rate, tatMs, nowMs);
      if (isSame) continue;
      t.fail(`seed ${SEED + run}: ${count} in ${windowMs} ms, burst ${burst}`, { history });
      return;
    }
  }
  t.pass(`${RUNS * STEPS} steps`);
});

/** After the wait one request passes, and not before. */
function waitIsRight(rate: Rate, tatMs: number, nowMs: number): boolean {
  const waitMs = retryAfterMs(rate, tatMs, nowMs);
  const passesThen = take(rate, tatMs, nowMs + waitMs) !== undefined;
  return passesThen && (waitMs <= 0.01 || take(rate, tatMs, nowMs + waitMs - 0.01) === undefined);
}

t.test('in any time at most the burst and what the rate gives in that time pass', async (t) => {
  const rate = { emissionMs: 100, burst: 5 };
  let tatMs = FULL;
  const passedAtMs: number[] = [];
  for (let nowMs = 0; nowMs < 5_000; nowMs += 7) {
    const next = take(rate, tatMs, nowMs);
    if (next === undefined) continue;
    tatMs = next;
    passedAtMs.push(nowMs);
  }
  for (const [index, fromMs] of passedAtMs.entries())
    for (const [other, toMs] of passedAtMs.slice(index).entries())
      if (other + 1 > rate.burst + (toMs - fromMs) / rate.emissionMs) t.fail(`${fromMs} to ${toMs}`);
  t.equal(passedAtMs.length, 54);
});

const table: [name: string, rate: Rate, atMs: number[], passes: boolean[]][] = [
  [
    'one a second',
    { emissionMs: 1_000, burst: 1 },
    [0, 999, 1_000, 1_500, 2_000],
    [true, false, true, false, true],
  ],
  [
    'what was refused costs nothing',
    { emissionMs: 1_000, burst: 1 },
    [0, 1, 2, 3, 1_000],
    [true, false, false, false, true],
  ],
  [
    'a burst, then one at a time',
    { emissionMs: 10, burst: 3 },
    [0, 0, 0, 0, 10, 10, 20],
    [true, true, true, false, true, false, true],
  ],
  [
    'a long silence gives one burst, not two',
    { emissionMs: 10, burst: 2 },
    [0, 0, 1e9, 1e9, 1e9],
    [true, true, true, true, false],
  ],
  [
    'thirds of a second add up',
    { emissionMs: 1_000 / 3, burst: 3 },
    [0, 0, 0, 1_000, 1_000, 1_000, 1_000],
    [true, true, true, true, true, true, false],
  ],
];
t.test('what passes', async (t) => {
  for (const [name, rate, atMs, passes] of table) {
    let tatMs = FULL;
    const passed = atMs.map((nowMs) => {
      const next = take(rate, tatMs, nowMs);
      tatMs = next ?? tatMs;
      return next !== undefined;
    });
    t.strictSame(passed, passes, name);
  }
});

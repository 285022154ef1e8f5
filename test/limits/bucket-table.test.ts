/** The buckets that limits remember, and what happens where there is no room. Rule L1. */
import t from 'tap';
import { KeyBudget } from '../../src/limits/bucket-table.ts';
import { LocalLimiter } from '../../src/limits/local-limiter.ts';
import { limitKey } from '../../src/limits/rate-limit.ts';

const SECOND = { emissionMs: 1_000, burst: 2 };
const passes = (limiter: LocalLimiter, nowMs: number, ...keys: string[]): boolean[] =>
  keys.map((key) => limiter.take(key, nowMs).allowed);

t.test(
  'L1 while there is no room, all new keys share one bucket, and those that were there keep theirs',
  async (t) => {
    const budget = new KeyBudget(2);
    const limiter = new LocalLimiter(SECOND, budget);
    t.strictSame(passes(limiter, 0, 'a', 'b', 'a'), [true, true, true]);
    t.strictSame(
      passes(limiter, 0, 'c', 'd', 'e', 'c'),
      [true, true, false, false],
      'a burst for all of them',
    );
    t.strictSame(passes(limiter, 0, 'b', 'b', 'a'), [true, false, false], 'their own');
    t.equal(budget.used, 2);
    t.equal(limiter.overflowed, 4);
  },
);

t.test('L1 only a bucket that is full again is forgotten', async (t) => {
  const budget = new KeyBudget(2);
  const limiter = new LocalLimiter(SECOND, budget);
  passes(limiter, 0, 'used', 'used', 'once');
  t.strictSame(passes(limiter, 900, 'new'), [true], 'none is full: together with others');
  t.equal(limiter.overflowed, 1);
  t.strictSame(
    passes(limiter, 1_010, 'new', 'new', 'new'),
    [true, true, false],
    'in the place of the one that is',
  );
  t.equal(limiter.overflowed, 1);
  t.strictSame(passes(limiter, 1_010, 'used', 'used'), [true, false], 'the other one is as it was');
  t.equal(budget.used, 2);
});

t.test('a bucket that is used again and again is not forgotten, however long ago it was made', async (t) => {
  const budget = new KeyBudget(2);
  const limiter = new LocalLimiter(SECOND, budget);
  let passed = 0;
  for (let nowMs = 0; nowMs <= 60_000; nowMs += 250) {
    passed += limiter.take('busy', nowMs).allowed ? 1 : 0;
    limiter.take(`new ${nowMs}`, nowMs);
  }
  t.equal(passed, 2 + 60);
  t.equal(budget.used, 2);
});

t.test('a limit with nothing to forget gets the room of another one', async (t) => {
  const budget = new KeyBudget(2);
  const [idle, other] = [new LocalLimiter(SECOND, budget), new LocalLimiter(SECOND, budget)];
  passes(idle, 0, 'a', 'b');
  t.strictSame(passes(other, 5_000, 'c', 'd', 'e'), [true, true, true]);
  t.equal(other.overflowed, 1, 'the third');
  t.equal(budget.used, 2);
  other.close();
  t.equal(budget.used, 0, 'a limit that is over leaves its room');
});

t.test(
  'L1 a million random subjects leave as many buckets as are allowed, and each costs the same',
  async (t) => {
    const entries = 10_000;
    const budget = new KeyBudget(entries);
    const limiter = new LocalLimiter({ emissionMs: 1_000, burst: 10 }, budget);
    let most = 0;
    for (let subject = 0; subject < 1_000_000; subject++) {
      // Faster than buckets fill up, and then slower.
      limiter.take(`s${subject}`, subject < 500_000 ? subject / 100 : 5_000 + (subject - 500_000));
      most = Math.max(most, budget.used);
    }
    t.equal(most, entries);
    t.ok(limiter.overflowed > 400_000, 'most of the flood shares one bucket');
    t.ok(
      budget.used < 3_000,
      `those that are full are forgotten as new ones come, and ${budget.used} are left`,
    );
  },
);

t.test('a request that is given back was never counted', async (t) => {
  const limiter = new LocalLimiter(SECOND, new KeyBudget(10));
  passes(limiter, 0, 'a', 'a');
  limiter.giveBack('a', 0);
  t.strictSame(passes(limiter, 0, 'a', 'a'), [true, false]);
  limiter.giveBack('new', 0);
  t.strictSame(passes(limiter, 0, 'new', 'new', 'new'), [true, true, false], 'nothing more than the burst');
});

t.test('a look counts nothing', async (t) => {
  const limiter = new LocalLimiter(SECOND, new KeyBudget(10));
  for (let look = 0; look < 5; look++)
    t.strictSame(limiter.look('a', 0), { allowed: true, remaining: 2, retryAfterMs: 0, fullAfterMs: 0 });
  passes(limiter, 0, 'a', 'a');
  t.strictSame(limiter.look('a', 500), {
    allowed: false,
    remaining: 0,
    retryAfterMs: 500,
    fullAfterMs: 1_500,
  });
});

t.test('L1 a key has one length, and no two callers the same one', async (t) => {
  const callers: Parameters<typeof limitKey>[] = [
    ['limit', 'https://a.example', 'subject', 'x'],
    ['limit', 'https://a.example', 'client', 'x'],
    ['limit', 'https://b.example', 'subject', 'x'],
    ['other', 'https://a.example', 'subject', 'x'],
    ['limit', 'https://a.example', 'subject', null],
    ['limit', 'https://a.example', 'subject', 'null'],
    ['limit', 'https://a.example', 'subject', ''],
    ['limit', null, 'ip', 'x'],
    ['limit', 'null', 'ip', 'x'],
    ['limit', 'https://a.example', 'subject', 'x","y'],
    ['limit', 'https://a.example","subject', 'subject', 'x'],
    ['limit', 'https://a.example', 'subject', 'x'.repeat(100_000)],
    ['limit', 'https://a.example', 'subject', '\ud800'],
    ['limit', 'https://a.example', 'subject', '\udfff'],
  ];
  const keys = callers.map((caller) => limitKey(...caller));
  t.equal(new Set(keys).size, callers.length);
  for (const key of keys) t.match(key, /^[\w-]{22}$/);
});

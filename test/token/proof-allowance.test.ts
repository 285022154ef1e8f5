/** How many proofs of one key may pass. Rule D14. */
import t from 'tap';
import { ProofAllowance } from '../../src/token/proof-allowance.ts';
import { steppedClock } from '../support/stepped-clock.ts';

t.test('D14 a key has no more proofs than it may within any window, however they are spread', async (t) => {
  const clock = steppedClock();
  const [perKey, windowMs] = [10, 8_000];
  const allowance = new ProofAllowance({ perKey, windowMs }, clock);
  const passedAt: number[] = [];
  for (let step = 0; step < 2_000; step++) {
    // Bursts and pauses of many lengths.
    for (let each = 0; each <= step % 4; each++)
      if (allowance.claim('k') !== undefined) passedAt.push(clock.monotonicMs());
    clock.advance((step * 37) % 900);
  }
  const most = passedAt.map((from) => passedAt.filter((at) => at >= from && at < from + windowMs).length);
  t.equal(Math.max(...most), perKey);
});

t.test('D14 a key that has used up its proofs has them again after a window and an eighth', async (t) => {
  const clock = steppedClock();
  const allowance = new ProofAllowance({ perKey: 3, windowMs: 8_000 }, clock);
  const claimMany = (): number =>
    Array.from({ length: 5 }, () => allowance.claim('k')).filter(isClaim).length;
  t.equal(claimMany(), 3);
  t.not(allowance.claim('other'), undefined, 'other keys have their own');
  clock.advance(7_999);
  t.equal(claimMany(), 0);
  clock.advance(1_001);
  t.equal(claimMany(), 3);
  clock.advance(1_000_000);
  t.equal(claimMany(), 3, 'no more after a long silence');
});

t.test('D14 a proof that was not accepted does not count, so that replays use up nothing', async (t) => {
  const clock = steppedClock();
  const allowance = new ProofAllowance({ perKey: 2, windowMs: 8_000 }, clock);
  const claimed = (): number => {
    const claim = allowance.claim('k');
    if (claim === undefined) throw new Error('the key has none left');
    return claim;
  };
  claimed();
  for (let replay = 0; replay < 100; replay++) {
    const claim = claimed();
    if (replay % 10 === 0) clock.advance(1);
    allowance.release('k', claim);
  }
  const late = claimed();
  t.equal(allowance.claim('k'), undefined, 'what was accepted counts');
  clock.advance(20_000);
  const [again] = [claimed(), claimed()];
  allowance.release('k', late);
  t.equal(allowance.claim('k'), undefined, 'what is too old to count is not given back');
  allowance.release('k', again);
  t.not(allowance.claim('k'), undefined);
  allowance.release('unknown', again);
});

t.test('it remembers so many keys, and forgets the one that was silent for longest', async (t) => {
  const allowance = new ProofAllowance({ perKey: 1, windowMs: 8_000, keys: 100 }, steppedClock());
  allowance.claim('victim');
  for (let key = 0; key < 1_000; key++) {
    allowance.claim(`k${key}`);
    // Also a refused one keeps its place.
    t.equal(allowance.claim('victim'), undefined);
  }
  t.equal(allowance.size, 100);
  t.not(allowance.claim('k0'), undefined, 'forgotten');
});

t.test('without a limit nothing is counted', async (t) => {
  const allowance = new ProofAllowance({ perKey: 0, windowMs: 8_000 }, steppedClock());
  for (let each = 0; each < 100; each++) t.not(allowance.claim('k'), undefined);
  t.equal(allowance.size, 0);
});

function isClaim(claim: number | undefined): boolean {
  return claim !== undefined;
}

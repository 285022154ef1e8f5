/** What makes two proofs the same one. Rule D14. */
import t from 'tap';
import { restoredError, ReplayStoreFull } from '../../src/replay/replay-store.ts';
import { keptMs, MIN_KEPT_MS, proofId } from '../../src/replay/used-proofs.ts';

const thumbprints = ['a', 'b'].map((each) => each.repeat(43)) as [string, string];

t.test('D14 an id is a digest of the key and the jti, and clients do not share ids', async (t) => {
  const [one, other] = thumbprints;
  t.match(proofId(one, 'x'), /^[A-Za-z0-9_-]{43}$/);
  t.equal(proofId(one, 'x'), proofId(one, 'x'));
  const ids = [one, other].flatMap((key) =>
    ['', 'x', 'X', '.', `${other}.x`, 'x'.repeat(256)].map((jti) => proofId(key, jti)),
  );
  t.equal(new Set(ids).size, ids.length);
});

t.test(
  'D14 a proof is remembered for a whole number of milliseconds, and never for less than its time',
  async (t) => {
    const cases: [ttlMs: number, kept: number][] = [
      [65_000, 65_000],
      [1_000.2, 1_001],
      [0, MIN_KEPT_MS],
      [-5, MIN_KEPT_MS],
      [-Infinity, MIN_KEPT_MS],
    ];
    for (const [ttlMs, kept] of cases) t.equal(keptMs(ttlMs), kept, String(ttlMs));
    t.ok(Number.isSafeInteger(keptMs(Infinity)));
    t.throws(() => keptMs(NaN), RangeError);
  },
);

t.test('an error keeps its meaning over the way from the primary', async (t) => {
  const full = new ReplayStoreFull();
  t.ok(restoredError(full.message, full.code) instanceof ReplayStoreFull);
  const other = restoredError('connect ECONNREFUSED', 'ECONNREFUSED');
  t.notOk(other instanceof ReplayStoreFull);
  t.match(other, { message: 'connect ECONNREFUSED', code: 'ECONNREFUSED' });
});

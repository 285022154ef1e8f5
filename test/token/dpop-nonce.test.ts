/** Nonces without memory. Rule D10. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { ProofNonces } from '../../src/token/dpop-nonce.ts';

const ROTATE_MS = 300_000;
const NOW_MS = 6_000_000 * ROTATE_MS + 1_000;
const secret = randomBytes(32);
const nonces = (of = secret, rotateMs = ROTATE_MS): ProofNonces => new ProofNonces({ secret: of, rotateMs });

t.test('D10 a nonce is one text of NQCHAR for as long as its slot lasts', async (t) => {
  const subject = nonces();
  const nonce = subject.current(NOW_MS);
  t.match(nonce, /^[\x21\x23-\x5b\x5d-\x7e]{20,64}$/);
  t.equal(subject.current(NOW_MS - 1_000), nonce, 'the first moment of the slot');
  t.equal(subject.current(NOW_MS + ROTATE_MS - 1_001), nonce, 'its last moment');
  t.not(subject.current(NOW_MS + ROTATE_MS - 1_000), nonce, 'the next slot');
  t.not(subject.current(NOW_MS - 1_001), nonce, 'the slot before');
  t.equal(subject.current(NOW_MS), nonce, 'when a clock steps back');
});

t.test(
  'D10 every gateway with the secret knows the nonces of the others, and of no other fleet',
  async (t) => {
    const nonce = nonces().current(NOW_MS);
    t.equal(nonces(Buffer.from(secret)).ageOf(nonce, NOW_MS), 'current');
    t.equal(nonces(randomBytes(32)).ageOf(nonce, NOW_MS), undefined);
    const longer = nonces(secret, 2 * ROTATE_MS);
    for (const nowMs of [NOW_MS, 2 * NOW_MS])
      t.equal(longer.ageOf(nonce, nowMs), undefined, 'slots of another length, of the same number too');
  },
);

t.test('D10 a nonce of this slot, of the one before and of the next is good', async (t) => {
  const [subject, other] = [nonces(), nonces()];
  const ageOfSlot = (slot: number): string | undefined =>
    subject.ageOf(other.current(NOW_MS + slot * ROTATE_MS), NOW_MS);
  t.equal(ageOfSlot(0), 'current');
  t.equal(ageOfSlot(-1), 'previous');
  t.equal(ageOfSlot(1), 'current', 'of a gateway whose clock is ahead');
  for (const slot of [-3, -2, 2, 3]) t.equal(ageOfSlot(slot), undefined, `slot ${slot}`);
  const nonce = subject.current(NOW_MS);
  t.equal(subject.ageOf(nonce, NOW_MS + ROTATE_MS), 'previous', 'when time goes on');
  t.equal(subject.ageOf(nonce, NOW_MS + 2 * ROTATE_MS), undefined);
});

t.test('D10 a nonce has one spelling', async (t) => {
  const subject = nonces();
  const nonce = subject.current(NOW_MS);
  const sameByte = String.fromCharCode(nonce.charCodeAt(0) + 0x100);
  for (const other of [
    '',
    nonce.slice(1),
    `${nonce}=`,
    `${nonce}${nonce}`,
    ` ${nonce}`,
    `${sameByte}${nonce.slice(1)}`,
    `${nonce}\n`,
    'A'.repeat(43),
    'A'.repeat(1_000_000),
  ])
    t.equal(subject.ageOf(other, NOW_MS), undefined);
  for (let index = 0; index < nonce.length; index++) {
    const changed = nonce[index] === 'A' ? 'B' : 'A';
    t.equal(subject.ageOf(nonce.slice(0, index) + changed + nonce.slice(index + 1), NOW_MS), undefined);
  }
});

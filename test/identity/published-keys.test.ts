/** How long the public key of an assertion stays published after a reload took it out. */
import t from 'tap';
import { PublishedKeys } from '../../src/identity/published-keys.ts';

const jwk = (kid: string, x = kid): Record<string, unknown> => ({ kid, kty: 'OKP', crv: 'Ed25519', x });
const kidsAt = (keys: PublishedKeys, nowMs: number): unknown[] => keys.at(nowMs).keys.map(({ kid }) => kid);
const MINUTE = 60_000;

t.test('a key that was taken out stays for the lifetime of an assertion', async (t) => {
  const before = new PublishedKeys([jwk('a')], MINUTE);
  const after = new PublishedKeys([jwk('b')], 1_000);
  after.succeed(before, 1_000);
  t.strictSame(kidsAt(after, 1_000), ['b', 'a']);
  t.strictSame(kidsAt(after, MINUTE + 999), ['b', 'a'], 'by the lifetime that it was signed with');
  t.strictSame(kidsAt(after, MINUTE + 1_000), ['b']);
});

t.test('a request in flight that still signs with the key before keeps it', async (t) => {
  const before = new PublishedKeys([jwk('a')], MINUTE);
  const after = new PublishedKeys([jwk('b')], MINUTE);
  after.succeed(before, 0);
  before.signed(5 * MINUTE);
  t.strictSame(kidsAt(after, 5 * MINUTE - 1), ['b', 'a']);
  t.strictSame(kidsAt(after, 5 * MINUTE), ['b']);
});

t.test('several reloads forget nothing: who signed first, and with which lifetime', async (t) => {
  const first = new PublishedKeys([jwk('a')], 10 * MINUTE);
  const second = new PublishedKeys([jwk('b'), jwk('a')], 1_000);
  const third = new PublishedKeys([jwk('c'), jwk('b')], 1_000);
  const fourth = new PublishedKeys([jwk('c')], 1_000);
  second.succeed(first, 0);
  first.signed(12 * MINUTE);
  third.succeed(second, 0);
  fourth.succeed(third, 0);
  t.strictSame(kidsAt(fourth, 0), ['c', 'a', 'b']);
  t.strictSame(kidsAt(fourth, 12 * MINUTE - 1), ['c', 'a']);
  t.strictSame(kidsAt(fourth, 12 * MINUTE), ['c']);
  const fifth = new PublishedKeys([jwk('c')], 1_000);
  fifth.succeed(fourth, 12 * MINUTE);
  t.strictSame(kidsAt(fifth, 0), ['c'], 'what has expired is not kept');
});

t.test('a key that comes back is published once; a kid that names another key is the new key', async (t) => {
  const before = new PublishedKeys([jwk('a')], MINUTE);
  const between = new PublishedKeys([jwk('b')], MINUTE);
  const back = new PublishedKeys([jwk('a'), jwk('b', 'another')], MINUTE);
  between.succeed(before, 0);
  back.succeed(between, 0);
  t.strictSame(back.at(0).keys, [jwk('a'), jwk('b', 'another')]);
});

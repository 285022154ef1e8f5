/** A full cache takes what comes again, and not what comes once. */
import t from 'tap';
import { hash } from 'node:crypto';
import { FirstSight } from '../../src/token/first-sight.ts';
import { TokenCaches, type CachedJwt, type CachedRefusal } from '../../src/token/token-caches.ts';

const digestOf = (index: number): string => hash('sha256', `token ${index}`, 'base64url');

t.test('what was not seen is new, and then it is not', async (t) => {
  const sight = new FirstSight();
  const digests = Array.from({ length: 2_000 }, (_, index) => digestOf(index));
  t.equal(digests.filter((digest) => sight.again(digest)).length, 0);
  // A few have been pushed out by others with the same slot.
  t.ok(digests.filter((digest) => sight.again(digest)).length > 1_900);
});

t.test('however many come, old ones are forgotten and nothing grows', async (t) => {
  const sight = new FirstSight();
  sight.again(digestOf(0));
  for (let index = 1; index < 1_000_000; index++) sight.again(`${index}`.padEnd(16, 'x') + index);
  t.notOk(sight.again(digestOf(0)));
});

const BYTES = 2_000_000;

function cachesOf(entries: number): TokenCaches {
  const bounds = { entries, bytes: BYTES };
  return new TokenCaches({ tokens: bounds, negatives: bounds, introspection: bounds });
}

/** What each cache keeps of an entry is not looked at. */
const KEEPERS: ReadonlyArray<
  [name: 'tokens' | 'negatives', keep: (caches: TokenCaches, digest: string) => void]
> = [
  ['tokens', (caches, digest) => caches.keepToken(digest, digest, { sizeBytes: 100 } as CachedJwt)],
  ['negatives', (caches, digest) => caches.keepRefusal(digest, digest, {} as CachedRefusal)],
];

for (const [name, keep] of KEEPERS) {
  t.test(
    `a full cache keeps what comes again, and what comes once pushes out nothing: ${name}`,
    async (t) => {
      const caches = cachesOf(1_000);
      for (let index = 0; index < 3_000; index++) keep(caches, digestOf(index));
      t.equal(caches[name].size, 1_000);
      t.ok(caches[name].has(digestOf(0)), 'the first is still there');
      t.notOk(caches[name].has(digestOf(2_999)));
      keep(caches, digestOf(2_999));
      t.ok(caches[name].has(digestOf(2_999)), 'on its second sight it is kept');
      t.equal(caches[name].size, 1_000);
    },
  );

  t.test(`a small cache keeps each token at once, and forgets the oldest: ${name}`, async (t) => {
    const caches = cachesOf(3);
    for (let index = 0; index < 4; index++) keep(caches, digestOf(index));
    t.strictSame(
      [0, 1, 2, 3].map((index) => caches[name].has(digestOf(index))),
      [false, true, true, true],
    );
  });
}

t.test('a cache that is full by bytes takes a token on its second sight', async (t) => {
  const caches = cachesOf(100_000);
  const keep = (digest: string): void =>
    caches.keepToken(digest, digest, { sizeBytes: BYTES / 1_600 } as CachedJwt);
  for (let index = 0; index < 1_800; index++) keep(digestOf(index));
  t.notOk(caches.tokens.has(digestOf(1_799)));
  keep(digestOf(1_799));
  t.ok(caches.tokens.has(digestOf(1_799)));
  t.ok(caches.tokens.calculatedSize <= BYTES);
});

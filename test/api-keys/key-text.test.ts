/** The text of API keys. The keys of the table were computed with another program, from the description alone. */
import t from 'tap';
import { createHash } from 'node:crypto';
import { presentedDigest } from '../../src/token/token-digest.ts';
import {
  hasKeyPrefix,
  holdsKey,
  isKeyText,
  KEY_CHARACTERS,
  keySha256,
  makeKey,
  presentedForm,
} from '../../src/api-keys/key-text.ts';

const KNOWN: readonly (readonly [secret: Buffer, key: string, sha256: string])[] = [
  [
    Buffer.alloc(32),
    'sp_live_00000000000000000000000000000000000000000003pjaw0',
    '410150165430a8078c2623baa3d6220408596ca537d815be59e32bc68e43fcab',
  ],
  [
    Buffer.from(Array.from({ length: 32 }, (_, index) => index)),
    'sp_live_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf4cbLIS',
    '0e06008fd97857e5afbf4ddbbdd2a6bf39a39d3bdeb45b039333ec8fcaf75064',
  ],
  [
    Buffer.alloc(32, 0xff),
    'sp_live_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp12FZyA0',
    '3a8da6f73edeadf53af2d0fc47e09a9dd3df8c94d7152b79f02253a81f129cb1',
  ],
];

t.test('X1 a key has 256 random bits, a prefix and a checksum, as the description has them', async (t) => {
  for (const [secret, key, sha256] of KNOWN) {
    t.equal(makeKey(secret), key);
    t.ok(isKeyText(key));
    t.equal(keySha256(key), sha256);
    t.equal(presentedForm(sha256), presentedDigest(key));
  }
  t.throws(() => makeKey(Buffer.alloc(31)));
});

t.test('X1 keys differ, and each has the form of a key', async (t) => {
  const keys = Array.from({ length: 1_000 }, () => makeKey());
  t.equal(new Set(keys).size, keys.length);
  t.ok(keys.every((key) => isKeyText(key) && key.length === KEY_CHARACTERS && hasKeyPrefix(key)));
  t.equal(
    keySha256(keys[0] ?? ''),
    createHash('sha256')
      .update(keys[0] ?? '')
      .digest('hex'),
  );
});

t.test('X1 a key with one other character is no key', async (t) => {
  const key = makeKey();
  for (let at = 0; at < key.length; at++) {
    const other = key[at] === 'a' ? 'b' : 'a';
    t.notOk(isKeyText(key.slice(0, at) + other + key.slice(at + 1)), `at ${at}`);
  }
  for (const text of ['', 'sp_live_', key.slice(0, -1), `${key}0`, ` ${key}`, `${key}\n`, key.toUpperCase()])
    t.notOk(isKeyText(text), JSON.stringify(text));
});

t.test('a key is found within other text, whatever its checksum', async (t) => {
  const key = makeKey();
  for (const text of [
    key,
    `?a=${key}&b`,
    `Bearer ${key}`,
    key.slice(0, -1) + '0',
    `x${key}x`,
    `sp_live_${key}`,
  ])
    t.ok(holdsKey(text), text);
  for (const text of ['', 'sp_live_', key.slice(1), key.slice(0, -1), 'sp_live_ 0'])
    t.notOk(holdsKey(text), text);
});

/** Which JWKs may verify anything. Rules J6, J7. */
import { generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { isHmac, SIGNATURE_ALGORITHMS } from '../../src/token/algorithms.ts';
import { importKeySet, skippedText, type SkippedKey } from '../../src/token/verification-key.ts';

const ALL = SIGNATURE_ALGORITHMS.filter((algorithm) => !isHmac(algorithm));
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const rsaJwk = rsa.publicKey.export({ format: 'jwk' });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' });
const ed = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });

const algorithmsOf = (jwk: object): string[] =>
  importKeySet({ keys: [jwk] }, ALL).keys.flatMap(({ algorithms }) => [...algorithms]);

t.test('J6 a key serves the algorithms that its kty, crv and alg agree on', async (t) => {
  t.strictSame(algorithmsOf(rsaJwk), ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']);
  t.strictSame(algorithmsOf({ ...rsaJwk, alg: 'PS384', use: 'sig', key_ops: ['verify'] }), ['PS384']);
  t.strictSame(algorithmsOf(ec), ['ES256']);
  t.strictSame(algorithmsOf(ed), ['EdDSA', 'Ed25519']);
  t.strictSame(algorithmsOf({ ...ed, alg: 'Ed25519' }), ['EdDSA', 'Ed25519'], 'two names of one algorithm');
});

const contradictions: Record<string, object> = {
  'alg of another kty': { ...rsaJwk, alg: 'ES256' },
  'alg of another curve': { ...ec, alg: 'ES384' },
  'an alg for encryption': { ...rsaJwk, alg: 'RSA-OAEP' },
  'alg: none': { ...rsaJwk, alg: 'none' },
  'alg that is no text': { ...rsaJwk, alg: ['RS256'] },
  'HS256 with an RSA key': { ...rsaJwk, alg: 'HS256' },
  'use: enc': { ...rsaJwk, use: 'enc' },
  'use: SIG': { ...rsaJwk, use: 'SIG' },
  'key_ops without verify': { ...rsaJwk, key_ops: ['encrypt'] },
  'key_ops that is no list': { ...rsaJwk, key_ops: 'verify' },
  'key_ops with the same twice': { ...rsaJwk, key_ops: ['verify', 'verify'] },
  'key_ops of another kind beside verify': { ...rsaJwk, key_ops: ['verify', 'wrapKey'] },
  'kty of another key': { ...rsaJwk, kty: 'EC' },
  'crv of another curve': { ...ec, crv: 'P-384' },
  'a point that is not on the curve': { ...ec, y: ec.x },
  'an unknown curve': { ...ec, crv: 'secp256k1' },
  'X25519, which signs nothing': { ...ed, crv: 'X25519' },
  'no kty': { ...rsaJwk, kty: undefined },
  'kid that is no text': { ...rsaJwk, kid: 7 },
  'J7 a private key': rsa.privateKey.export({ format: 'jwk' }),
  'J7 a secret': { kty: 'oct', k: 'x'.repeat(64), alg: 'HS256' },
  'J7 RSA of 1024 bits': generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({
    format: 'jwk',
  }),
  'J7 an even exponent': { ...rsaJwk, e: 'AQAA' },
  'J7 exponent 1': { ...rsaJwk, e: 'AQ' },
};
for (const [name, jwk] of Object.entries(contradictions)) {
  t.test(`J6 left out of a key set: ${name}`, async (t) => {
    const { keys, skipped } = importKeySet({ keys: [jwk, ec] }, ALL);
    t.equal(keys.length, 1, 'the key beside it serves');
    t.equal(skipped.length, 1);
    t.match(skippedText(skipped[0] as SkippedKey), /^keys\[0\].* is left out: /);
  });
}

t.test('J7 the same kid twice: both keys are candidates', async (t) => {
  const { keys } = importKeySet(
    {
      keys: [
        { ...rsaJwk, kid: 'k' },
        { ...ec, kid: 'k' },
      ],
    },
    ALL,
  );
  t.equal(keys.length, 2);
});

t.test('J6 J7 null and an empty list mean that a member is absent', async (t) => {
  const absent = {
    oth: [],
    x5c: [],
    key_ops: [],
    d: null,
    p: null,
    k: null,
    use: null,
    alg: null,
    kid: null,
  };
  for (const jwk of [rsaJwk, ec, ed]) {
    const { keys, skipped } = importKeySet({ keys: [{ ...jwk, ...absent }] }, ALL);
    t.strictSame(skipped, []);
    t.strictSame([...(keys[0]?.algorithms ?? [])], algorithmsOf(jwk));
    t.equal(keys[0]?.keyId, undefined);
  }
  const reallyPrivate = { ...rsaJwk, oth: [{ r: 'AQAB', d: 'AQAB', t: 'AQAB' }] };
  t.strictSame(algorithmsOf(reallyPrivate), [], 'what is there counts');
  t.strictSame(algorithmsOf({ ...rsaJwk, n: null }), [], 'what is needed is missing');
});

t.test('a key set tells which keys cannot be used, and the same ones by the same digest', async (t) => {
  const bad = { ...rsaJwk, use: 'enc', kid: 'for-encryption' };
  const [first, again, changed] = [bad, bad, { ...bad, kid: 'other' }].map(
    (jwk) => importKeySet({ keys: [ec, jwk] }, ALL).skipped[0],
  );
  t.match(first, { index: 1, keyId: 'for-encryption', reason: 'its use is not sig' });
  t.equal(first?.digest, again?.digest);
  t.not(first?.digest, changed?.digest);
});

t.test('J6 an empty private member is absent, and any other makes it a private key', async (t) => {
  const jwk = ec;
  for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) {
    t.equal(importKeySet({ keys: [{ ...jwk, [member]: '' }] }, ALL).keys.length, 1, member);
    for (const value of ['AQ', ' ', 0, false, {}])
      t.equal(importKeySet({ keys: [{ ...jwk, [member]: value }] }, ALL).keys.length, 0, member);
  }
  const [accepted] = importKeySet({ keys: [{ ...jwk, d: '' }] }, ALL).accepted;
  t.notOk(Object.hasOwn(accepted ?? {}, 'd'));
});

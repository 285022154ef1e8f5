/** Receipts and checkpoints: each has its own `typ`, and passes as nothing else. Rules J1, J5, J7. */
import { generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { JwtAssertionSigner } from '../../src/identity/assertion-jwt.ts';
import { proofKeys, ProofSigner, readProof, verifyProof } from '../../src/identity/proof-jws.ts';
import { publicJwkOfPem, signingKeyOfPem } from '../../src/identity/signing-key.ts';
import { isAccessJwt, TOKEN_TYPES } from '../../src/token/token-kind.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { createKey, mint } from '../support/tokens.ts';
import { verifiedToken } from '../support/verified-token.ts';

const RECEIPT = 'revocation-receipt+jwt';
const CHECKPOINT = 'audit-checkpoint+jwt';

const pemOf = (algorithm: 'EdDSA' | 'ES256'): string =>
  createKey(algorithm).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
const publicPemOf = (algorithm: 'EdDSA' | 'ES256'): string =>
  createKey(algorithm).publicKey.export({ type: 'spki', format: 'pem' }) as string;

for (const algorithm of ['EdDSA', 'ES256'] as const) {
  t.test(
    `a proof signed with ${algorithm} verifies with the published keys, and only as what it is`,
    async (t) => {
      const signer = new ProofSigner(signingKeyOfPem(pemOf(algorithm)));
      const keys = proofKeys(signer.publicKeys);
      t.equal(keys.length, 1);
      const receipt = signer.sign(RECEIPT, { entry: 'e1' });
      const checkpoint = signer.sign(CHECKPOINT, { seq: 7 });
      t.match(verifyProof(receipt, RECEIPT, keys), { claims: { entry: 'e1' }, keyId: signer.keyId });
      t.match(verifyProof(checkpoint, CHECKPOINT, keys), { claims: { seq: 7 } });
      t.strictSame(verifyProof(receipt, CHECKPOINT, keys), { fault: 'other_type' });
      t.strictSame(verifyProof(checkpoint, RECEIPT, keys), { fault: 'other_type' });
      t.strictSame(readProof(checkpoint, RECEIPT), { fault: 'other_type' });
    },
  );
}

t.test('J1: no proof may be an access token of any kind, whatever it claims', async (t) => {
  const claims = { iss: 'https://login.example.com', sub: 'alice', exp: 9_999_999_999 };
  for (const typ of [RECEIPT, CHECKPOINT])
    for (const tokenType of TOKEN_TYPES)
      t.notOk(isAccessJwt({ typ, alg: 'EdDSA' }, claims, tokenType), `${typ} ${tokenType}`);
});

t.test('J1: an assertion and an access token are no proofs, even by the same key', async (t) => {
  const key = createKey('EdDSA', 'k');
  const jwk = { ...key.privateKey.export({ format: 'jwk' }), kid: 'k' };
  const policy = { header: 'X-A', issuer: 'g', lifetimeSeconds: 60, claims: [], signsMetadata: false };
  const assertions = new JwtAssertionSigner(policy, jwk, new ManualClock());
  const keys = proofKeys(assertions.publicKeys);
  const [, assertion = ''] = assertions.sign(verifiedToken({}), 'https://api.example.com').headers;
  for (const typ of [RECEIPT, CHECKPOINT] as const) {
    t.strictSame(verifyProof(assertion, typ, keys), { fault: 'other_type' });
    t.strictSame(verifyProof(mint(key), typ, keys), { fault: 'other_type' });
    t.strictSame(verifyProof(mint(key, { a: 1 }, { typ: undefined }), typ, keys), { fault: 'other_type' });
    t.match(verifyProof(mint(key, { a: 1 }, { typ }), typ, keys), { claims: { a: 1 } }, 'the test can pass');
  }
});

t.test('a changed proof, another key and another spelling are found', async (t) => {
  const signer = new ProofSigner(signingKeyOfPem(pemOf('EdDSA')));
  const keys = proofKeys(signer.publicKeys);
  const proof = signer.sign(CHECKPOINT, { seq: 7 });
  const [header = '', , signature = ''] = proof.split('.');
  const payload = Buffer.from('{"seq":8}').toString('base64url');
  t.match(verifyProof(`${header}.${payload}.${signature}`, CHECKPOINT, keys), { fault: 'bad_signature' });
  const other = new ProofSigner(signingKeyOfPem(pemOf('EdDSA')));
  t.strictSame(verifyProof(other.sign(CHECKPOINT, {}), CHECKPOINT, keys), {
    fault: 'unknown_key',
    keyId: other.keyId,
  });
  const sameName = new ProofSigner(signingKeyOfPem(pemOf('EdDSA'), signer.keyId));
  t.match(verifyProof(sameName.sign(CHECKPOINT, {}), CHECKPOINT, keys), { fault: 'bad_signature' });
  for (const text of ['', 'a', 'a.b.c', `${proof}=`, `${proof}.x`, proof.slice(0, -1)])
    t.match(verifyProof(text, CHECKPOINT, keys), { fault: 'malformed' }, text);
  const none = mint(createKey('EdDSA', signer.keyId), { seq: 7 }, { typ: CHECKPOINT, alg: 'none' });
  t.match(verifyProof(none, CHECKPOINT, keys), { fault: 'bad_signature' });
});

t.test('a key that has signed before stays published; keys with one kid are refused', async (t) => {
  const old = createKey('ES256');
  const pem = old.publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const before = new ProofSigner(
    signingKeyOfPem(old.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string),
  );
  const now = new ProofSigner(signingKeyOfPem(pemOf('EdDSA')), [publicJwkOfPem(pem)]);
  t.match(verifyProof(before.sign(RECEIPT, { a: 1 }), RECEIPT, proofKeys(now.publicKeys)), {
    claims: { a: 1 },
  });
  t.notMatch(JSON.stringify(now.publicKeys), /"d"/, 'no private member');
  t.throws(
    () => new ProofSigner(signingKeyOfPem(pemOf('EdDSA'), 'a'), [publicJwkOfPem(pem, 'a')]),
    TypeError,
  );
});

t.test('only an Ed25519 or P-256 key in PEM signs, and only a public one is a previous key', async (t) => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const x25519 = generateKeyPairSync('x25519');
  for (const { privateKey, publicKey } of [rsa, p384, x25519]) {
    const secret = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    t.throws(() => signingKeyOfPem(secret), /neither Ed25519 nor P-256/);
    const open = publicKey.export({ type: 'spki', format: 'pem' }) as string;
    t.throws(() => publicJwkOfPem(open), /neither Ed25519 nor P-256/);
  }
  for (const text of ['', 'no key', publicPemOf('EdDSA'), JSON.stringify(createKey('EdDSA').jwk)])
    t.throws(() => signingKeyOfPem(text), /no private key in PEM/);
  t.throws(() => publicJwkOfPem(pemOf('EdDSA')), /a private key/);
  t.throws(() => publicJwkOfPem('no key'), /no public key in PEM/);
  const sec1 = createKey('ES256').privateKey.export({ type: 'sec1', format: 'pem' }) as string;
  t.equal(signingKeyOfPem(sec1).algorithm, 'ES256');
});

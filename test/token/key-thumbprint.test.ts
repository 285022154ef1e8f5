/** Thumbprints of keys. Rule D12. */
import { calculateJwkThumbprint } from 'jose';
import t from 'tap';
import { keyThumbprint } from '../../src/token/key-thumbprint.ts';
import { proofKey } from '../support/proofs.ts';

for (const algorithm of ['ES256', 'ES512', 'EdDSA', 'RS256'] as const) {
  t.test(`D12 the thumbprint of a key for ${algorithm} is that of RFC 7638`, async (t) => {
    const { jwk } = proofKey(algorithm);
    t.equal(keyThumbprint(jwk), await calculateJwkThumbprint(jwk));
    const reversed = Object.fromEntries(Object.entries(jwk).reverse());
    t.equal(keyThumbprint({ kid: 'k', use: 'sig', ...reversed }), keyThumbprint(jwk), 'of what is required');
    for (const name of Object.keys(jwk)) {
      t.equal(keyThumbprint({ ...jwk, [name]: 1 }), undefined, `${name} is no text`);
      t.equal(keyThumbprint({ ...jwk, [name]: undefined }), undefined, `no ${name}`);
      t.not(keyThumbprint({ ...jwk, [name]: `${jwk[name]}A` }), keyThumbprint(jwk), `another ${name}`);
    }
  });
}

t.test('D12 a shared secret and an unknown type of key have no thumbprint', async (t) => {
  for (const kty of ['oct', 'AKP', 'toString', ['EC'], undefined])
    t.equal(keyThumbprint({ kty, k: 'AQ', crv: 'P-256', x: 'AQ', y: 'AQ', e: 'AQAB', n: 'AQ' }), undefined);
});

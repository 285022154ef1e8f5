/** The DER of ECDSA signatures: what OpenSSL is given must be the very numbers of the token. */
import t from 'tap';
import { createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { derOfSignature } from '../../src/token/ecdsa-der.ts';

/** The same by arithmetic: a second way to write it. */
function derByNumbers(signature: Buffer): string {
  const half = signature.length / 2;
  const integer = (bytes: Buffer): string => {
    const digits = BigInt(`0x${bytes.toString('hex')}`).toString(16);
    const even = digits.padStart(2 * Math.ceil(digits.length / 2), '0');
    return tagged('02', Number.parseInt(even.slice(0, 2), 16) >= 0x80 ? `00${even}` : even);
  };
  return tagged('30', integer(signature.subarray(0, half)) + integer(signature.subarray(half)));
}

function tagged(tag: string, hex: string): string {
  const bytes = hex.length / 2;
  const length = bytes.toString(16).padStart(2, '0');
  return tag + (bytes >= 0x80 ? `81${length}` : length) + hex;
}

t.test('J16 r and s are written as the shortest integers, whatever their first bytes are', async (t) => {
  const beginnings = ['00', '01', '7f', '80', 'ff', '0000', '0001', '007f', '0080', '00ff', '000080'];
  for (const half of [32, 48, 66])
    for (const one of beginnings)
      for (const other of beginnings) {
        const part = (hex: string): Buffer =>
          Buffer.concat([Buffer.from(hex, 'hex'), randomBytes(half)]).subarray(0, half);
        const signature = Buffer.concat([part(one), part(other)]);
        t.equal(derOfSignature(signature).toString('hex'), derByNumbers(signature));
      }
  for (const half of [32, 48, 66])
    for (const filler of [0, 0xff]) {
      const signature = Buffer.alloc(2 * half, filler);
      t.equal(derOfSignature(signature).toString('hex'), derByNumbers(signature), `${half} of ${filler}`);
    }
});

t.test(
  'J16 what Node signs in the form of a JWS passes as DER, and with one bit changed it does not',
  async (t) => {
    for (const [namedCurve, hash] of [
      ['P-256', 'sha256'],
      ['P-384', 'sha384'],
      ['P-521', 'sha512'],
    ] as const) {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
      // One in 256 has an r, and one an s, that begins with a zero.
      for (let round = 0; round < 40; round++) {
        const content = randomBytes(20);
        const signature = sign(hash, content, { key: privateKey, dsaEncoding: 'ieee-p1363' });
        t.ok(verify(hash, content, publicKey, derOfSignature(signature)), namedCurve);
        const at = (round * 7) % signature.length;
        signature[at] = (signature[at] ?? 0) ^ 1;
        t.notOk(verify(hash, content, publicKey, derOfSignature(signature)), `${namedCurve}, changed`);
      }
    }
  },
);

t.test('J16 r or s of zero is no signature', async (t) => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = createPublicKey(publicKey.export({ format: 'pem', type: 'spki' }));
  const one = Buffer.alloc(64);
  one[31] = 1;
  const other = Buffer.alloc(64);
  other[63] = 1;
  for (const signature of [Buffer.alloc(64), one, other])
    t.notOk(verify('sha256', Buffer.from('x'), key, derOfSignature(signature)));
});

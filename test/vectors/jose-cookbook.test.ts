/** RFC 7520's examples: what is a compact JWS verifies, everything else goes nowhere. */
import t from 'tap';
import { GatewayError } from '../../src/errors.ts';
import { isHmac, SIGNATURE_ALGORITHMS } from '../../src/token/algorithms.ts';
import { verifySignature } from '../../src/token/jws-signature.ts';
import { readJws } from '../../src/token/lexical-gate.ts';
import { importKeySet, secretKey, type VerificationKey } from '../../src/token/verification-key.ts';
import { readVectors, vectorFiles, vectorsMissing } from '../support/vectors.ts';

interface Example {
  readonly title: string;
  readonly input: { readonly alg: string; readonly key: Record<string, string> };
  readonly output: { readonly compact?: string };
}

function keyOf({ input: { key, alg } }: Example): VerificationKey | undefined {
  const { d: _d, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...publicJwk } = key;
  const algorithms = SIGNATURE_ALGORITHMS.filter((name) => name === alg);
  return publicJwk['kty'] === 'oct'
    ? secretKey(Buffer.from(publicJwk['k'] ?? '', 'base64url'), algorithms.filter(isHmac))
    : importKeySet({ keys: [publicJwk] }, algorithms).keys[0];
}

t.test('JWS 4.1 to 4.4 verify, and no longer do when a byte changes', { skip: vectorsMissing }, async (t) => {
  for (const file of vectorFiles('jose-cookbook/jws').filter((name) => /4_[1-4]\./.test(name))) {
    const example = readVectors<Example>(file);
    const { compact = '' } = example.output;
    const key = keyOf(example);
    const jws = readJws(compact);
    const algorithm = SIGNATURE_ALGORITHMS.find((name) => name === jws?.algorithm);
    if (!key || !jws || !algorithm) {
      t.fail(`${example.title}: it cannot be read`);
      continue;
    }
    t.ok(verifySignature(jws, key.key, algorithm), example.title);
    const changed = jws.content.replace(/\.(.)/, (_, first: string) => `.${first === 'A' ? 'B' : 'A'}`);
    t.notOk(verifySignature({ ...jws, content: changed }, key.key, algorithm), `${example.title}, changed`);
  }
});

/** Whatever of an example could be sent as a token. */
function spellings(output: object): string[] {
  return Object.values(output).map((value) => (typeof value === 'string' ? value : JSON.stringify(value)));
}

t.test(
  'J9 J10 JWE, JSON serialization, detached content and b64: false are no tokens',
  { skip: vectorsMissing },
  async (t) => {
    const files = [
      ...vectorFiles('jose-cookbook/jwe'),
      ...vectorFiles('jose-cookbook/rfc7797'),
      ...vectorFiles('jose-cookbook/jws').filter((name) => /4_[5-8]\./.test(name)),
      'jose-cookbook/6.nesting_signatures_and_encryption.json',
    ];
    for (const file of files) {
      const text = JSON.stringify(readVectors<unknown>(file));
      for (const token of spellings(readVectors<{ output?: object }>(file).output ?? { text })) {
        let verdict = 'a JWS';
        try {
          // Five segments, JSON or nothing between the dots: opaque, or refused as malformed.
          verdict = readJws(token) === undefined ? 'none' : verdict;
        } catch (error) {
          if (!(error instanceof GatewayError)) throw error;
          verdict = 'refused';
        }
        // A detached content leaves an empty payload, which no claims are.
        t.ok(verdict !== 'a JWS' || /^[\w-]+\.\.[\w-]+$/.test(token), `${file}: ${verdict}`);
      }
    }
  },
);

/** Project Wycheproof's JWS and JWK cases, at the layer that verifies tokens: gate, key import, signature. */
import t from 'tap';
import { GatewayError } from '../../src/errors.ts';
import { isHmac, KEY_REQUIREMENTS, SIGNATURE_ALGORITHMS } from '../../src/token/algorithms.ts';
import { verifySignature } from '../../src/token/jws-signature.ts';
import { candidatesIn } from '../../src/token/key-set.ts';
import { readJws } from '../../src/token/lexical-gate.ts';
import { importKeySet, secretKey, type VerificationKey } from '../../src/token/verification-key.ts';
import { readVectors, vectorsMissing } from '../support/vectors.ts';

type Jwk = Record<string, unknown>;

interface Wycheproof {
  readonly testGroups: readonly {
    readonly comment: string;
    readonly private: Jwk;
    readonly public?: Jwk;
    readonly tests: readonly {
      readonly tcId: number;
      readonly comment: string;
      readonly jws: string | object;
      readonly result: 'valid' | 'invalid';
    }[];
  }[];
}

const ASYMMETRIC = SIGNATURE_ALGORITHMS.filter((algorithm) => !isHmac(algorithm));

/** As the gateway holds them: public keys from a key set; a secret with the algorithms that it was configured for. */
function keysOf(material: Jwk): readonly VerificationKey[] {
  const members = Array.isArray(material['keys']) ? (material['keys'] as Jwk[]) : [material];
  if (members.some(({ kty }) => kty !== 'oct')) return importKeySet({ keys: members }, ASYMMETRIC).keys;
  return members.flatMap(({ k, alg, use, key_ops: operations }) => {
    const algorithm = SIGNATURE_ALGORITHMS.find((name) => name === alg);
    const secret = Buffer.from(String(k), 'base64url');
    const usable =
      algorithm !== undefined &&
      isHmac(algorithm) &&
      use !== 'enc' &&
      (operations === undefined || (operations as unknown[]).includes('verify')) &&
      // The configuration refuses shorter ones (RFC 7518 section 3.2).
      secret.length >= (KEY_REQUIREMENTS[algorithm].minSecretBytes ?? Infinity);
    return usable ? [secretKey(secret, [algorithm])] : [];
  });
}

function accepts(jws: string | object, material: Jwk): boolean {
  if (typeof jws !== 'string') return false;
  try {
    const read = readJws(jws);
    const algorithm = SIGNATURE_ALGORITHMS.find((name) => name === read?.algorithm);
    if (!read || algorithm === undefined) return false;
    const keys = keysOf(material);
    const keyId = isHmac(algorithm) ? undefined : read.keyId;
    return candidatesIn(keys, keyId, algorithm).some((key) => verifySignature(read, key.key, algorithm));
  } catch (error) {
    if (error instanceof GatewayError) return false;
    throw error;
  }
}

/** Labels that contradict RFC 7515 or another case of the same file. */
const WRONG_LABELS: ReadonlySet<number> = new Set([346, 347, 350, 351, 367, 370, 372, 373]);

t.test('J0 J5 J6 J16 Wycheproof: JSON Web Signature', { skip: vectorsMissing }, async (t) => {
  let agreed = 0;
  const disagreed: string[] = [];
  for (const group of readVectors<Wycheproof>('wycheproof/json_web_signature_test.json').testGroups) {
    for (const { tcId, comment, jws, result } of group.tests) {
      if (WRONG_LABELS.has(tcId)) continue;
      if (accepts(jws, group.public ?? group.private) === (result === 'valid')) agreed++;
      else disagreed.push(`${tcId} ${group.comment}: ${comment} should be ${result}`);
    }
  }
  t.strictSame(disagreed, []);
  t.equal(agreed, 393);
});

/** Two secrets with one kid: a gateway never holds more than one secret for an issuer. */
const SEVERAL_SECRETS = 4;

t.test('J5 J6 J7 Wycheproof: JSON Web Key', { skip: vectorsMissing }, async (t) => {
  const disagreed: string[] = [];
  for (const group of readVectors<Wycheproof>('wycheproof/json_web_key_test.json').testGroups) {
    for (const { tcId, comment, jws, result } of group.tests) {
      if (tcId === SEVERAL_SECRETS) continue;
      if (accepts(jws, group.public ?? group.private) !== (result === 'valid'))
        disagreed.push(`${tcId} ${group.comment}: ${comment} should be ${result}`);
    }
  }
  t.strictSame(disagreed, []);
});

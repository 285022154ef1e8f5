/**
 * For a dry run without the issuer's keys: the same JWT signed with a key that lives for this moment only, and that
 * key. Every check but the signature's is then the real one, and nothing in the verifier knows of dry runs.
 */
import { constants, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import {
  isSupported,
  KEY_REQUIREMENTS,
  mlDsaKeyPair,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
} from '../token/algorithms.ts';
import { readJws } from '../token/lexical-gate.ts';

export interface StandInToken {
  readonly token: string;
  /** The set that verifies it. */
  readonly jwks: { readonly keys: readonly object[] };
}

/** Undefined where the token is no JWT, or not one that public keys could have signed. */
export function unsignedTwin(token: string): StandInToken | undefined {
  const jws = wellFormed(token);
  const algorithm = SIGNATURE_ALGORITHMS.find((candidate) => candidate === jws?.algorithm);
  const keys = algorithm && keyPairFor(algorithm);
  if (!jws || !algorithm || !keys) return undefined;
  const signature = signWith(keys.privateKey, algorithm, Buffer.from(jws.content)).toString('base64url');
  const kid = jws.keyId === undefined ? {} : { kid: jws.keyId };
  return {
    token: `${jws.content}.${signature}`,
    jwks: { keys: [{ ...keys.publicKey.export({ format: 'jwk' }), ...kid, alg: algorithm, use: 'sig' }] },
  };
}

function wellFormed(token: string): ReturnType<typeof readJws> {
  try {
    return readJws(token);
  } catch {
    return undefined;
  }
}

function keyPairFor(
  algorithm: SignatureAlgorithm,
): { publicKey: KeyObject; privateKey: KeyObject } | undefined {
  const { kty, crv = '' } = KEY_REQUIREMENTS[algorithm];
  switch (kty) {
    case 'RSA':
      return generateKeyPairSync('rsa', { modulusLength: 2048 });
    case 'EC':
      return generateKeyPairSync('ec', { namedCurve: crv });
    case 'OKP':
      return generateKeyPairSync('ed25519');
    case 'AKP':
      return isSupported(algorithm) ? mlDsaKeyPair(algorithm) : undefined;
    case 'oct':
      return undefined;
  }
}

function signWith(key: KeyObject, algorithm: SignatureAlgorithm, content: Buffer): Buffer {
  const hash = /^[RPE]S/.test(algorithm) ? `sha${algorithm.slice(2)}` : null;
  if (!algorithm.startsWith('PS')) return sign(hash, content, { key, dsaEncoding: 'ieee-p1363' });
  return sign(hash, content, {
    key,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
  });
}

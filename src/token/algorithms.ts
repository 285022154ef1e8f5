/**
 * The signature algorithms that may be configured (RFC 7518 section 3.1, RFC 8037, RFC 9864, RFC 9964) and what
 * a key must be to serve each. `none` is not among them and cannot be. Pure.
 */
import { generateKeyPairSync } from 'node:crypto';

export const SIGNATURE_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
  'HS256',
  'HS384',
  'HS512',
  'ML-DSA-44',
  'ML-DSA-65',
  'ML-DSA-87',
] as const;
export type SignatureAlgorithm = (typeof SIGNATURE_ALGORITHMS)[number];

/**
 * Those that a proof of possession may be signed with: a client's own key pair, of a kind that is common (RFC 9449 section
 * 4.2). ML-DSA is not among them: its key and signature make a DPoP header of 6 to 11 KB, which many servers refuse.
 */
export const PROOF_ALGORITHMS = [
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
  'EdDSA',
  'Ed25519',
] as const satisfies readonly SignatureAlgorithm[];
export type ProofAlgorithm = (typeof PROOF_ALGORITHMS)[number];
export const DEFAULT_PROOF_ALGORITHMS: readonly ProofAlgorithm[] = [
  'ES256',
  'PS256',
  'RS256',
  'EdDSA',
  'Ed25519',
];

/** What a JWK must say to be used with an algorithm. */
export interface KeyRequirement {
  readonly kty: 'RSA' | 'EC' | 'OKP' | 'AKP' | 'oct';
  readonly crv?: string;
  /** AKP: one kty for keys of many algorithms, so that the key must name its own (RFC 9964 section 3). */
  readonly alg?: string;
  /** HS*: the secret must be at least as long as the hash (RFC 7518 section 3.2). */
  readonly minSecretBytes?: number;
}

const RSA = { kty: 'RSA' } as const;
const ED25519 = { kty: 'OKP', crv: 'Ed25519' } as const;

export const KEY_REQUIREMENTS: Readonly<Record<SignatureAlgorithm, KeyRequirement>> = {
  RS256: RSA,
  RS384: RSA,
  RS512: RSA,
  PS256: RSA,
  PS384: RSA,
  PS512: RSA,
  ES256: { kty: 'EC', crv: 'P-256' },
  ES384: { kty: 'EC', crv: 'P-384' },
  ES512: { kty: 'EC', crv: 'P-521' },
  EdDSA: ED25519,
  Ed25519: ED25519,
  HS256: { kty: 'oct', minSecretBytes: 32 },
  HS384: { kty: 'oct', minSecretBytes: 48 },
  HS512: { kty: 'oct', minSecretBytes: 64 },
  'ML-DSA-44': { kty: 'AKP', alg: 'ML-DSA-44' },
  'ML-DSA-65': { kty: 'AKP', alg: 'ML-DSA-65' },
  'ML-DSA-87': { kty: 'AKP', alg: 'ML-DSA-87' },
};

export const DEFAULT_ALGORITHMS: readonly SignatureAlgorithm[] = ['RS256', 'PS256', 'ES256', 'EdDSA'];
export const DEFAULT_HMAC_ALGORITHMS: readonly SignatureAlgorithm[] = ['HS256'];

export function isHmac(algorithm: SignatureAlgorithm): boolean {
  return KEY_REQUIREMENTS[algorithm].kty === 'oct';
}

/** Can this Node compute it? ML-DSA needs OpenSSL 3.5, which a Node may be built without. */
export function isSupported(algorithm: SignatureAlgorithm): boolean {
  if (KEY_REQUIREMENTS[algorithm].kty !== 'AKP') return true;
  try {
    mlDsaKeyPair(algorithm);
    return true;
  } catch {
    return false;
  }
}

/** @throws TypeError where this Node has no such keys */
export function mlDsaKeyPair(algorithm: SignatureAlgorithm): ReturnType<typeof generateKeyPairSync> {
  return generateKeyPairSync(algorithm.toLowerCase() as 'ml-dsa-44');
}

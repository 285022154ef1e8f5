/** DPoP proofs (RFC 9449) of test clients. It shares no code with what checks them. */
import { constants, generateKeyPairSync, hash, randomUUID, sign, type KeyObject } from 'node:crypto';
import { encode, nowSeconds } from './tokens.ts';

const CURVES = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' } as const;
export type ProofAlgorithm =
  keyof typeof CURVES | 'RS256' | 'RS384' | 'RS512' | 'PS256' | 'PS384' | 'PS512' | 'EdDSA' | 'Ed25519';

/** What a proof is for. */
export interface ProofOptions {
  readonly method?: string;
  readonly url: string;
  /** The access token that `ath` is made of; without it the proof has none. */
  readonly token?: string;
  readonly nonce?: string;
  /** `iat`, in seconds; now, if it is left out. */
  readonly iat?: unknown;
  /** Changes claims, undefined removes one. A text is the payload as it stands. */
  readonly claims?: Readonly<Record<string, unknown>> | string;
  /** Changes members of the header, undefined removes one. A text is the header as it stands. */
  readonly header?: Readonly<Record<string, unknown>> | string;
}

/** The key of a client: what its tokens are bound to, and what makes its proofs. */
export interface ProofKey {
  readonly algorithm: ProofAlgorithm;
  /** RFC 7638: `cnf.jkt` of tokens that are bound to this key. */
  readonly thumbprint: string;
  /** The public JWK, with its required members only. */
  readonly jwk: Readonly<Record<string, string>>;
  readonly privateKey: KeyObject;
  /** A new proof, with a `jti` of its own. */
  proof(options: ProofOptions): string;
}

/** @param rsaBits of RSA keys */
export function proofKey(algorithm: ProofAlgorithm = 'ES256', rsaBits = 2048): ProofKey {
  const { publicKey, privateKey } =
    algorithm in CURVES
      ? generateKeyPairSync('ec', { namedCurve: CURVES[algorithm as keyof typeof CURVES] })
      : algorithm.startsWith('Ed')
        ? generateKeyPairSync('ed25519')
        : generateKeyPairSync('rsa', { modulusLength: rsaBits });
  const exported = publicKey.export({ format: 'jwk' }) as Record<string, string>;
  // The required members of RFC 7638 section 3.2 and RFC 8037 section 2, which are all there are.
  const jwk = Object.fromEntries(Object.entries(exported).sort(([a], [b]) => (a < b ? -1 : 1)));
  const thumbprint = hash('sha256', JSON.stringify(jwk), 'base64url');
  const proof = (options: ProofOptions): string => {
    const { header = {}, claims = {} } = options;
    const wholeHeader =
      typeof header === 'string' ? header : { typ: 'dpop+jwt', alg: algorithm, jwk, ...header };
    const wholeClaims = typeof claims === 'string' ? claims : { ...claimsOf(options), ...claims };
    const content = `${encode(wholeHeader)}.${encode(wholeClaims)}`;
    return `${content}.${signProof(content, algorithm, privateKey)}`;
  };
  return { algorithm, thumbprint, jwk, privateKey, proof };
}

/** `ath`: what ties a proof to a token. */
export function tokenHash(token: string): string {
  return hash('sha256', token, 'base64url');
}

function claimsOf({ method = 'GET', url, token, nonce, iat = nowSeconds() }: ProofOptions): object {
  return {
    jti: randomUUID(),
    htm: method,
    htu: url,
    iat,
    ...(token !== undefined && { ath: tokenHash(token) }),
    ...(nonce !== undefined && { nonce }),
  };
}

/** The last segment of a proof. */
export function signProof(content: string, algorithm: ProofAlgorithm, privateKey: KeyObject): string {
  const data = Buffer.from(content);
  if (algorithm.startsWith('Ed')) return sign(null, data, privateKey).toString('base64url');
  const bits = Number(algorithm.slice(2));
  const key = algorithm.startsWith('PS')
    ? { key: privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: bits / 8 }
    : { key: privateKey, dsaEncoding: 'ieee-p1363' as const };
  return sign(`sha${bits}`, data, key).toString('base64url');
}

/**
 * The keys that the gateway signs with, Ed25519 or P-256, and the signature itself (RFC 7515 section 5.1, RFC 8037, RFC 7518
 * section 3.4). Who signs what, and by which `typ` a reader tells it from all else, is in the files that use it. Pure.
 */
import { createPrivateKey, createPublicKey, sign, type KeyObject } from 'node:crypto';
import type { JsonObject } from '../token/claims.ts';
import { keyThumbprint } from '../token/key-thumbprint.ts';
import { toJson } from '../token/strict-json.ts';

export type SigningAlgorithm = 'EdDSA' | 'ES256';

/** With its `kid`, and without private members. */
export type PublicJwk = Readonly<Record<string, unknown>>;

/** A JWK Set (RFC 7517 section 5). */
export interface PublicJwks {
  readonly keys: readonly PublicJwk[];
}

export interface SigningKey {
  readonly key: KeyObject;
  readonly algorithm: SigningAlgorithm;
  readonly publicJwk: PublicJwk;
}

const NEITHER = 'a key is neither Ed25519 nor P-256';

/** @throws TypeError where it is neither Ed25519 nor P-256, or not private */
export function signingKeyOfJwk(jwk: unknown): SigningKey {
  const { kty, crv, kid } = (jwk ?? {}) as Record<string, unknown>;
  if (algorithmOf(kty, crv) === undefined) throw new TypeError(NEITHER);
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: jwk as Record<string, unknown>, format: 'jwk' });
  } catch {
    throw new TypeError('a key is no private JWK');
  }
  return signingKey(key, typeof kid === 'string' ? kid : undefined);
}

/**
 * @param keyId default: the thumbprint of the key (RFC 7638)
 * @throws TypeError where it is no private key in PEM, or neither Ed25519 nor P-256
 */
export function signingKeyOfPem(pem: string, keyId?: string): SigningKey {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw new TypeError('it holds no private key in PEM without a passphrase');
  }
  return signingKey(key, keyId);
}

/**
 * A key that signs no longer, for those who verify what it has signed.
 *
 * @throws TypeError where it is no public key in PEM, or neither Ed25519 nor P-256
 */
export function publicJwkOfPem(pem: string, keyId?: string): PublicJwk {
  // Node would take the public part of a private key; a key that is no longer used is better off the machine.
  if (/PRIVATE KEY-----/.test(pem)) throw new TypeError('it holds a private key');
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch {
    throw new TypeError('it holds no public key in PEM');
  }
  return publicJwkOf(key, keyId).publicJwk;
}

function signingKey(key: KeyObject, keyId: string | undefined): SigningKey {
  return { key, ...publicJwkOf(createPublicKey(key), keyId) };
}

function publicJwkOf(key: KeyObject, keyId: string | undefined): Omit<SigningKey, 'key'> {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  // Not every key can be exported.
  const fits = type === 'ed25519' || (type === 'ec' && details?.namedCurve === 'prime256v1');
  if (!fits) throw new TypeError(NEITHER);
  const jwk = key.export({ format: 'jwk' });
  const algorithm = algorithmOf(jwk.kty, jwk.crv) ?? 'EdDSA';
  return { algorithm, publicJwk: { ...jwk, alg: algorithm, use: 'sig', kid: keyId ?? keyThumbprint(jwk) } };
}

function algorithmOf(kty: unknown, crv: unknown): SigningAlgorithm | undefined {
  if (kty === 'OKP' && crv === 'Ed25519') return 'EdDSA';
  return kty === 'EC' && crv === 'P-256' ? 'ES256' : undefined;
}

/** The first part of what a key signs with this `typ`. */
export function jwsHeader(typ: string, { algorithm, publicJwk }: SigningKey): string {
  return encode({ typ, alg: algorithm, kid: String(publicJwk['kid']) });
}

/**
 * A JWS in its compact form.
 *
 * @param header from jwsHeader
 */
export function signJws(header: string, claims: JsonObject, { key, algorithm }: SigningKey): string {
  const content = `${header}.${encode(claims)}`;
  const signature = sign(algorithm === 'EdDSA' ? null : 'sha256', Buffer.from(content), {
    key,
    dsaEncoding: 'ieee-p1363',
  });
  return `${content}.${signature.toString('base64url')}`;
}

function encode(value: JsonObject): string {
  return Buffer.from(toJson(value), 'utf8').toString('base64url');
}

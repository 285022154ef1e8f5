/**
 * What the gateway signs about its own deeds, for those who check them later: receipts of revocations, and checkpoints of the
 * audit log (RFC 7515). Each has a `typ` of its own, so that none of them passes as the other, as an assertion or as an access
 * token. They do not expire: a key that signs no longer stays published. Pure.
 */
import type { JsonObject } from '../token/claims.ts';
import { keyThumbprint } from '../token/key-thumbprint.ts';
import { readJwt, type JwtText } from '../token/lexical-gate.ts';
import { verifySignature } from '../token/jws-signature.ts';
import { importKey, type VerificationKey } from '../token/verification-key.ts';
import { jwsHeader, signJws, type PublicJwk, type PublicJwks, type SigningKey } from './signing-key.ts';

export type ProofType = 'revocation-receipt+jwt' | 'audit-checkpoint+jwt';

export class ProofSigner {
  /** The JWK Set (RFC 7517 section 5) that proofs are verified with; the first key signs. */
  readonly publicKeys: PublicJwks;
  readonly #key: SigningKey;

  /**
   * @param previous keys that have signed, and sign no longer
   * @throws TypeError where two keys have one `kid`
   */
  constructor(key: SigningKey, previous: readonly PublicJwk[] = []) {
    const keys = [key.publicJwk, ...previous];
    if (new Set(keys.map(({ kid }) => kid)).size < keys.length)
      throw new TypeError('two keys have the same kid');
    this.publicKeys = { keys };
    this.#key = key;
  }

  /** The `kid` of what it signs. */
  get keyId(): string {
    return String(this.#key.publicJwk['kid']);
  }

  /** Does it sign with the same key, under the same `kid`? */
  isSameAs(other: ProofSigner | undefined): boolean {
    return other !== undefined && isSameKey(this.#key.publicJwk, other.#key.publicJwk);
  }

  /** Can what another one has signed be verified with the keys of this one? */
  publishesKeyOf(other: ProofSigner): boolean {
    return this.publicKeys.keys.some((key) => isSameKey(key, other.#key.publicJwk));
  }

  /** A JWS in its compact form. */
  sign(typ: ProofType, claims: JsonObject): string {
    return signJws(jwsHeader(typ, this.#key), claims, this.#key);
  }
}

function isSameKey(a: PublicJwk, b: PublicJwk): boolean {
  return a['kid'] === b['kid'] && keyThumbprint(a) === keyThumbprint(b);
}

/** Why a text is no proof of the type that was asked for. */
export type ProofFault = 'malformed' | 'other_type' | 'unknown_key' | 'bad_signature';

export type ReadProof =
  | { readonly claims: JsonObject; readonly keyId: string | undefined }
  | { readonly fault: ProofFault; readonly keyId?: string | undefined };

/** Reads a proof without verifying its signature: all that it says may be made up. */
export function readProof(jws: string, typ: ProofType): ReadProof {
  const read = textOf(jws, typ);
  return typeof read === 'string' ? { fault: read } : { claims: read.claims, keyId: read.keyId };
}

/**
 * Verifies a proof. What it says is the word of the holder of the key.
 *
 * @param keys from proofKeys
 */
export function verifyProof(jws: string, typ: ProofType, keys: readonly VerificationKey[]): ReadProof {
  const read = textOf(jws, typ);
  if (typeof read === 'string') return { fault: read };
  const { keyId, algorithm, claims } = read;
  const named = keys.filter((key) => keyId !== undefined && key.keyId === keyId);
  if (named.length === 0) return { fault: 'unknown_key', keyId };
  const isSigned = named.some((key) => {
    const known = [...key.algorithms].find((each) => each === algorithm);
    return known !== undefined && verifySignature(read, key.key, known);
  });
  return isSigned ? { claims, keyId } : { fault: 'bad_signature', keyId };
}

function textOf(jws: string, typ: ProofType): JwtText | ProofFault {
  let read: JwtText | undefined;
  try {
    read = readJwt(jws);
  } catch {
    return 'malformed';
  }
  if (read === undefined) return 'malformed';
  return read.header['typ'] === typ ? read : 'other_type';
}

/** The keys of a JWK Set that proofs may be verified with; others are left out. */
export function proofKeys(set: unknown): VerificationKey[] {
  const { keys } = (set ?? {}) as { keys?: unknown };
  if (!Array.isArray(keys)) return [];
  return keys.flatMap((jwk: unknown) => {
    const key =
      typeof jwk === 'object' && jwk !== null ? importKey(jwk as PublicJwk, ['EdDSA', 'ES256']) : '';
    return typeof key === 'string' ? [] : [key];
  });
}

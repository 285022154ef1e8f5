/**
 * The signature of a JWS (RFC 7515 section 5.2, RFC 7518 section 3, RFC 8037, RFC 9964), checked by Node's crypto without a
 * turn of the event loop. docs/decisions/signatures.md tells why not by jose. Pure. Rules J5, J16.
 */
import { constants, createHmac, timingSafeEqual, verify, type KeyObject } from 'node:crypto';
import type { SignatureAlgorithm } from './algorithms.ts';
import { derOfSignature } from './ecdsa-der.ts';

/** How an algorithm is computed. `bytes` is the only length that its signatures have. */
type Recipe =
  | { readonly kind: 'hmac'; readonly hash: string }
  | { readonly kind: 'rsa' | 'rsa-pss'; readonly hash: string }
  | { readonly kind: 'ecdsa'; readonly hash: string; readonly bytes: number }
  | { readonly kind: 'eddsa' | 'ml-dsa'; readonly bytes: number };

const ED25519: Recipe = { kind: 'eddsa', bytes: 64 };

const RECIPES: Readonly<Record<SignatureAlgorithm, Recipe>> = {
  HS256: { kind: 'hmac', hash: 'sha256' },
  HS384: { kind: 'hmac', hash: 'sha384' },
  HS512: { kind: 'hmac', hash: 'sha512' },
  RS256: { kind: 'rsa', hash: 'sha256' },
  RS384: { kind: 'rsa', hash: 'sha384' },
  RS512: { kind: 'rsa', hash: 'sha512' },
  PS256: { kind: 'rsa-pss', hash: 'sha256' },
  PS384: { kind: 'rsa-pss', hash: 'sha384' },
  PS512: { kind: 'rsa-pss', hash: 'sha512' },
  ES256: { kind: 'ecdsa', hash: 'sha256', bytes: 64 },
  ES384: { kind: 'ecdsa', hash: 'sha384', bytes: 96 },
  ES512: { kind: 'ecdsa', hash: 'sha512', bytes: 132 },
  EdDSA: ED25519,
  Ed25519: ED25519,
  // FIPS 204 table 2; pure, with an empty context string (RFC 9964 section 4).
  'ML-DSA-44': { kind: 'ml-dsa', bytes: 2420 },
  'ML-DSA-65': { kind: 'ml-dsa', bytes: 3309 },
  'ML-DSA-87': { kind: 'ml-dsa', bytes: 4627 },
};

/**
 * Has this key signed this with this algorithm?
 *
 * @param signed has passed the lexical gate
 * @param key of the type that the algorithm needs (verification-key.ts)
 */
export function verifySignature(
  signed: { readonly content: string; readonly signature: Buffer },
  key: KeyObject,
  algorithm: SignatureAlgorithm,
): boolean {
  const content = Buffer.from(signed.content, 'latin1');
  const { signature } = signed;
  const recipe = RECIPES[algorithm];
  switch (recipe.kind) {
    case 'hmac': {
      const expected = createHmac(recipe.hash, key).update(content).digest();
      return signature.length === expected.length && timingSafeEqual(signature, expected);
    }
    case 'rsa':
      // PKCS #1 v1.5 is the default. Said in an options object it costs half as much again as the signature itself.
      return verify(recipe.hash, content, key, signature);
    case 'rsa-pss':
      // RFC 7518 section 3.5: the salt is as long as the hash, and no other length will do.
      return verify(
        recipe.hash,
        content,
        {
          key,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
        },
        signature,
      );
    case 'ecdsa':
      return (
        signature.length === recipe.bytes &&
        // As DER and with nothing but the key: Node takes a third as long again to turn r and s into DER itself.
        verify(recipe.hash, content, key, derOfSignature(signature))
      );
    case 'eddsa':
    case 'ml-dsa':
      return signature.length === recipe.bytes && verify(null, content, key, signature);
  }
}

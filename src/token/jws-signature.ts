/**
 * The signature of a JWS (RFC 7515 section 5.2), checked by jose.
 */
import { compactVerify, errors } from 'jose';
import type { SignatureAlgorithm } from './algorithms.ts';
import type { VerificationKey } from './verification-key.ts';

/** Has this key signed this token with this algorithm? The token has passed the lexical gate. */
export async function signatureHolds(
  token: string,
  key: VerificationKey,
  algorithm: SignatureAlgorithm,
): Promise<boolean> {
  try {
    await compactVerify(token, key.key, { algorithms: [algorithm] });
    return true;
  } catch (error) {
    if (error instanceof errors.JOSEError) return false;
    throw error;
  }
}

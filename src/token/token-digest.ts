/**
 * Digests that stand for tokens, so that no cache and no list holds a token itself; an open connection holds the credentials that
 * came last (http/credentials.ts). Pure.
 */
import { hash } from 'node:crypto';

/** SHA-256 of the token as presented: the cache key. Another spelling of the token just misses. */
export function presentedDigest(token: string): string {
  return hash('sha256', token, 'base64url');
}

/**
 * SHA-256 of `header.payload`, base64url: identifies a JWT without `jti`. Never of the whole JWT, since several
 * signatures verify for one payload (rule J0).
 */
export function signedContentDigest(content: string): string {
  return hash('sha256', content, 'base64url');
}

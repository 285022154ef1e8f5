/**
 * The hash that stands in the log for a subject or a token id: HMAC-SHA-256 with the fleet's key, its first 96 bits in
 * base64url. One person has the same hash on every gateway that has the key, and the hash does not tell who it is.
 */
import { createHmac } from 'node:crypto';

const HASH_CHARACTERS = 16;

export function logHash(key: string, text: string): string {
  return createHmac('sha256', key).update(text).digest('base64url').slice(0, HASH_CHARACTERS);
}

/**
 * A canary: an entry that ends nothing but itself, made about once a minute so that every gateway can show how soon it refuses
 * what is revoked. No token and no issuer stand behind it: a random digest under a name that is reserved for it, which no
 * configuration and no command may use, and which no token of a route can have. Pure. Rule V7.
 */
import { randomBytes } from 'node:crypto';
import { RevocableToken, targetId, type RevocationTarget } from './revocation-target.ts';

/** In the place of an issuer. A token whose `iss` is this text is not reached either: its digest is another. */
export const CANARY_ISSUER = 'sallyport:canary';
/** An entry lives so long: longer than it is looked for, and short enough that the list holds one or two of them. */
export const CANARY_LIFE_SECONDS = 60;
/** Who has made the entry. */
export const CANARY_MAKER = 'canary';

const DIGEST = /^[A-Za-z0-9_-]{43}$/;

/** As long as the digest of a token, and of nothing. */
export function newCanary(): string {
  return randomBytes(32).toString('base64url');
}

/** Can this be one? What comes out of the store may be of another version. */
export function isCanaryDigest(text: string): boolean {
  return DIGEST.test(text);
}

export function canaryTarget(digest: string): RevocationTarget {
  return { issuer: CANARY_ISSUER, kind: 'token', value: digest };
}

/** The id of its entry. */
export function canaryId(digest: string): string {
  return targetId(canaryTarget(digest));
}

/** What the list is asked about. */
export function canaryToken(digest: string): RevocableToken {
  return new RevocableToken({
    ...{ issuer: CANARY_ISSUER, tokenId: undefined, digest: () => digest },
    ...{ subjects: [], sessions: [], clients: [], claims: [] },
    // No route ever accepts it: its entry is not put off because it refuses something.
    endsAt: 0,
  });
}

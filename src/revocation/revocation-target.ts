/**
 * What a revocation is aimed at, and the ids that stand for it. Pure. CONTRACT.md section 6, DESIGN.md
 * section 3.
 */
import { hash } from 'node:crypto';

/** What can be revoked. `token` and `token_id` name one token; the others a cutoff for all that match. */
export type TargetKind = 'token' | 'token_id' | 'subject' | 'session' | 'client' | 'claim';

/**
 * One target. `value` is a token digest (`token`), a `jti` (`token_id`), a `sub`, a `sid`, a `client_id`, or
 * for `claim` a JSON array of the claim's path and its text.
 */
export interface RevocationTarget {
  readonly issuer: string;
  readonly kind: TargetKind;
  readonly value: string;
}

/** Is one token meant, whenever it was issued? */
export function isExact(kind: TargetKind): boolean {
  return kind === 'token' || kind === 'token_id';
}

/** 128 bits of a digest: enough that nobody finds a second target with the same id, short enough to type. */
const ID_BYTES = 16;

/** The id of the one entry that a target has: the same on every gateway. 22 characters, base64url. */
export function targetId({ issuer, kind, value }: RevocationTarget): string {
  return hash('sha256', JSON.stringify([issuer, kind, value]), 'buffer').toString('base64url', 0, ID_BYTES);
}

/** The ids under which a token may have been revoked, worked out once when it is verified. */
export interface RevocationKeys {
  /** Entries that name this token. */
  readonly exact: readonly string[];
  /** Entries that end every matching token issued up to their cutoff. */
  readonly cutoffs: readonly string[];
}

/** What of a token can be revoked. */
export interface RevocableToken {
  readonly issuer: string;
  /** `jti`, where it has one. */
  readonly tokenId: string | undefined;
  /** SHA-256 of `header.payload` of a JWT, or of an opaque token. */
  readonly digest: string;
  readonly subject: string | undefined;
  readonly session: string | undefined;
  readonly clientId: string | undefined;
  /** The configured claims (`revocation.claims`) that the token has: path and text. */
  readonly claims: readonly (readonly [path: string, text: string])[];
}

export function revocationKeys(token: RevocableToken): RevocationKeys {
  const { issuer } = token;
  const idOf = (kind: TargetKind, value: string | undefined): string[] =>
    value === undefined ? [] : [targetId({ issuer, kind, value })];
  return {
    exact: [...idOf('token', token.digest), ...idOf('token_id', token.tokenId)],
    cutoffs: [
      ...idOf('subject', token.subject),
      ...idOf('session', token.session),
      ...idOf('client', token.clientId),
      ...token.claims.flatMap(([path, text]) => idOf('claim', claimTargetValue(path, text))),
    ],
  };
}

export function claimTargetValue(path: string, text: string): string {
  return JSON.stringify([path, text]);
}

/** The entry that revokes this one token: by its `jti`, or by its digest where it has none. */
export function targetOfToken({ issuer, tokenId, digest }: RevocableToken): RevocationTarget {
  return tokenId === undefined
    ? { issuer, kind: 'token', value: digest }
    : { issuer, kind: 'token_id', value: tokenId };
}

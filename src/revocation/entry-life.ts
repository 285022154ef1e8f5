/**
 * How long an entry lives: as long as any token that it can match, whichever issuer's. One `iss` may be that of several
 * configured issuers, and an issuer of opaque tokens without an `iss` of its own may give them any. Pure. Rule V11.
 */
import type { TargetKind } from './revocation-target.ts';

/**
 * How long an entry lives that may match an API key: a key may have no expiry, and must not pass again because the entry that ended it
 * has lapsed. As long as any gateway will run, and far below what stores can hold.
 */
export const FOR_GOOD_SECONDS = 50 * 365 * 86_400;

/** What of an issuer bounds the life of an entry. */
export interface RevocableIssuer {
  readonly name: string;
  /** Undefined where its tokens may have any `iss`, or none. */
  readonly issuer: string | undefined;
  /** Which `iss` belong to it, where it is that of many tenants: `issuer` then names them all. */
  readonly template?: { tenantOf(iss: string): string | undefined } | undefined;
  /** Undefined: its tokens may live for ever. */
  readonly maxLifetimeSeconds: number | undefined;
  readonly clockSkewSeconds: number;
  /** May its tokens name actors of other issuers (`act`)? Absent: they name none. */
  readonly namesActors?: boolean;
  /** What none of its tokens names: entries of these kinds would end nothing. */
  readonly unnamed: ReadonlySet<TargetKind>;
}

/** The issuers whose tokens an entry with this `iss` can match. */
export function issuersBehind(issuers: readonly RevocableIssuer[], iss: string): readonly RevocableIssuer[] {
  return issuers.filter(
    ({ issuer, template }) => issuer === undefined || issuer === iss || template?.tenantOf(iss) !== undefined,
  );
}

/** The issuers whose tokens an entry of this kind can match: an actor may be named in a token of another issuer, too. */
export function issuersMatched(
  kind: TargetKind,
  behind: readonly RevocableIssuer[],
  issuers: readonly RevocableIssuer[],
): readonly RevocableIssuer[] {
  if (kind !== 'subject' && kind !== 'client') return behind;
  return issuers.filter((issuer) => issuer.namesActors === true || behind.includes(issuer));
}

/** The widest tolerance among them, in seconds. */
export function skewOf(issuers: readonly RevocableIssuer[]): number {
  return Math.max(0, ...issuers.map(({ clockSkewSeconds }) => clockSkewSeconds));
}

/**
 * Seconds from its cutoff, or from now, that an entry for a target must live.
 *
 * @param behind the issuers whose tokens it can match
 * @param keepSeconds `revocation.keep`: where no bound is known, and at least that for what a refresh can bring back
 */
export function lifeOf(kind: TargetKind, behind: readonly RevocableIssuer[], keepSeconds: number): number {
  const lives = behind.map(({ maxLifetimeSeconds, clockSkewSeconds }) =>
    maxLifetimeSeconds === undefined ? keepSeconds : maxLifetimeSeconds + 2 * clockSkewSeconds,
  );
  const least = kind === 'token_id' && behind.length > 0 ? 0 : keepSeconds;
  return Math.ceil(Math.max(least, ...lives));
}

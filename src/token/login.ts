/**
 * How recently and how strongly the holder of a token has logged in (RFC 9470; OpenID Connect Core section 2, `acr` and
 * `auth_time`). Pure. Rules P3, P4.
 */
import { numberOf, type JsonObject, type JsonValue } from './claims.ts';

/** How recent and how strong a login must be. */
export interface StepUpRule {
  /** Empty: any. */
  readonly acr: readonly string[];
  /** Undefined: any. */
  readonly maxAuthAgeSeconds: number | undefined;
}

/** What is said of the login behind a token. */
export interface LoginFacts {
  readonly claims: JsonObject;
  /** What else is said of the same token. It can only take away: see AuthenticToken. */
  readonly otherClaims: JsonObject | undefined;
  readonly futureIatSeconds: number;
}

/** What a login lacks, and the value that says so; undefined where there is none. */
export interface LoginFault {
  readonly claim: 'acr' | 'auth_time';
  readonly value: JsonValue | undefined;
}

/**
 * The first thing that the login lacks. Both readings of a token must keep the rule, as far as the other one has the claim: an
 * introspection response may leave out what the JWT says, but where the two differ, the login is what the worse one says.
 */
export function loginFault(
  { claims, otherClaims, futureIatSeconds }: LoginFacts,
  { acr, maxAuthAgeSeconds }: StepUpRule,
  nowSeconds: number,
): LoginFault | undefined {
  const badValue = (
    claim: LoginFault['claim'],
    isGood: (value: JsonValue | undefined) => boolean,
  ): LoginFault | undefined => {
    const value = claims[claim];
    if (!isGood(value)) return { claim, value };
    const other = otherClaims?.[claim] ?? undefined;
    return other === undefined || isGood(other) ? undefined : { claim, value: other };
  };
  const isStrong = (value: JsonValue | undefined): boolean =>
    typeof value === 'string' && acr.includes(value);
  const isRecent = (value: JsonValue | undefined): boolean => {
    const seconds = loginTime(value, nowSeconds + futureIatSeconds);
    return seconds !== undefined && nowSeconds - seconds <= (maxAuthAgeSeconds ?? Infinity);
  };
  return (
    (acr.length === 0 ? undefined : badValue('acr', isStrong)) ??
    (maxAuthAgeSeconds === undefined ? undefined : badValue('auth_time', isRecent))
  );
}

/**
 * When the holder logged in. What is no number since 1970, or lies in the future, says nothing.
 *
 * @param latestSeconds as far ahead as a clock may be
 */
export function loginTime(value: JsonValue | undefined, latestSeconds: number): number | undefined {
  const seconds = numberOf(value);
  return seconds !== undefined && seconds > 0 && seconds <= latestSeconds ? seconds : undefined;
}

/**
 * How recently and how strongly the holder of a token has logged in (RFC 9470; OpenID Connect Core section 2, `acr` and
 * `auth_time`). Pure. Rules P3, P4.
 */
import {
  claimAt,
  claimPathText,
  numberOf,
  type ClaimPath,
  type JsonObject,
  type JsonValue,
} from './claims.ts';

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
  /** Where its issuer writes when the holder logged in. */
  readonly loginTimeClaims: readonly ClaimPath[];
  readonly futureIatSeconds: number;
}

/** What a login lacks, and the value that says so; undefined where there is none. */
export interface LoginFault {
  readonly lacks: 'strength' | 'recency';
  /** The path of the claim, as the configuration writes it. */
  readonly claim: string;
  readonly value: JsonValue | undefined;
}

/**
 * The first thing that the login lacks. Both readings of a token must keep the rule, as far as the other one has the claim: an
 * introspection response may leave out what the JWT says, but where the two differ, the login is what the worse one says. So it
 * is with several claims that have the time.
 */
export function loginFault(
  login: LoginFacts,
  { acr, maxAuthAgeSeconds }: StepUpRule,
  nowSeconds: number,
): LoginFault | undefined {
  const { loginTimeClaims, futureIatSeconds } = login;
  const isStrong = (value: JsonValue): boolean => typeof value === 'string' && acr.includes(value);
  const isRecent = (value: JsonValue): boolean => {
    const seconds = loginTime(value, nowSeconds + futureIatSeconds);
    return seconds !== undefined && nowSeconds - seconds <= (maxAuthAgeSeconds ?? Infinity);
  };
  const weak = acr.length === 0 ? undefined : badClaim(login, ACR, isStrong);
  if (weak) return { lacks: 'strength', ...weak };
  const old = maxAuthAgeSeconds === undefined ? undefined : badClaim(login, loginTimeClaims, isRecent);
  return old && { lacks: 'recency', ...old };
}

const ACR: readonly ClaimPath[] = [['acr']];

/** The first of these claims with a bad value; the first of them all without a value, if the token has none of them. */
function badClaim(
  { claims, otherClaims }: LoginFacts,
  paths: readonly ClaimPath[],
  isGood: (value: JsonValue) => boolean,
): Omit<LoginFault, 'lacks'> | undefined {
  let isThere = false;
  for (const reading of [claims, otherClaims])
    for (const path of reading ? paths : []) {
      const value = claimAt(reading ?? claims, path) ?? undefined;
      if (value === undefined) continue;
      if (!isGood(value)) return { claim: claimPathText(path), value };
      isThere ||= reading === claims;
    }
  return isThere ? undefined : { claim: claimPathText(paths[0] ?? []), value: undefined };
}

/** When the holder logged in, by each of these claims that says it. */
export function loginTimes(claims: JsonObject, paths: readonly ClaimPath[]): number[] {
  return paths.flatMap((path) => loginTime(claimAt(claims, path), Infinity) ?? []);
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

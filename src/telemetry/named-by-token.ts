/**
 * What a refused token names that is not known here: for the line of a request that was refused because of it, and read
 * from the token only then. Nothing else of a refused token is logged, and what is, is bounded by the log. Rule A5.
 */
import type { AuthReason } from '../errors.ts';
import type { RequestHead } from '../http/request-head.ts';
import type { Route } from '../policy.ts';
import { extractToken } from '../stages/extract-token.ts';
import type { OpenRoute } from '../stages/limit-address.ts';
import { stringClaim } from '../token/claims.ts';
import { readJwt } from '../token/lexical-gate.ts';

export interface UnknownName {
  readonly member: 'kid' | 'iss';
  /** Not verified: the client may have made it up. */
  readonly value: string;
}

/**
 * @param head of a request whose token was read before, so that it is not longer than allowed
 * @returns undefined where the reason is another, or the token names none
 */
export function namedByToken(head: RequestHead, route: Route, reason: AuthReason): UnknownName | undefined {
  if (reason !== 'unknown_key' && reason !== 'unknown_issuer') return undefined;
  try {
    const { token } = extractToken(head, route as OpenRoute, Infinity);
    const jwt = token === undefined ? undefined : readJwt(token);
    if (!jwt) return undefined;
    const member = reason === 'unknown_key' ? 'kid' : 'iss';
    const value = member === 'kid' ? jwt.keyId : stringClaim(jwt.claims, 'iss');
    return value === undefined ? undefined : { member, value };
  } catch {
    // It was refused for another reason as well: the line has the one that counts.
    return undefined;
  }
}

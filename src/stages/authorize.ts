/**
 * Fifth stage: may this caller use this route, and which identity headers describe it? Pure. RFC 6750 section 3.1, RFC 9068
 * section 4. Rules B4, C9.
 */
import { CLAIM_RULE_FAILED, IDENTITY_TOO_LARGE, insufficientScope, MISSING_TOKEN } from '../errors.ts';
import type { Route } from '../policy.ts';
import { claimAt, claimMatches } from '../token/claims.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';
import type { UnrevokedToken } from './check-revocation.ts';

/** A request that may pass, and the identity headers that go with it. Only such a request is forwarded. */
class AuthorizedRequest {
  declare protected readonly made: 'by authorize';
  readonly route: Route;
  readonly token: AuthenticToken | undefined;
  /** Names and values in turn. */
  readonly identity: readonly string[];

  constructor(route: Route, token: AuthenticToken | undefined, identity: readonly string[]) {
    this.route = route;
    this.token = token;
    this.identity = identity;
  }
}
export type { AuthorizedRequest };

const NO_IDENTITY: readonly string[] = [];

/**
 * @throws GatewayError 403 `insufficient_scope`, `claim_rule` or `identity_too_large`; 401 where an anonymous
 *         caller meets a rule, since a caller without claims satisfies none
 */
export function authorize(route: Route, { token }: UnrevokedToken): AuthorizedRequest {
  const { scopes, claims } = route;
  if (!token) {
    if (route.mode !== 'none' && (scopes.text !== '' || claims.length > 0)) throw MISSING_TOKEN;
    return new AuthorizedRequest(route, undefined, NO_IDENTITY);
  }
  const scopesOk =
    scopes.all.every((scope) => token.scopes.has(scope)) &&
    (scopes.any.length === 0 || scopes.any.some((scope) => token.scopes.has(scope)));
  if (!scopesOk) throw insufficientScope(scopes.text);
  const claimsOk = claims.every(({ path, allowed }) => claimMatches(claimAt(token.claims, path), allowed));
  if (!claimsOk) throw CLAIM_RULE_FAILED;
  const identity = route.identity.headersOf(token);
  if (!identity) throw IDENTITY_TOO_LARGE;
  return new AuthorizedRequest(route, token, identity);
}

/**
 * For a report-only route, where one of the stages has refused: the request passes. It carries the identity of its
 * token if that is valid and only lacks a permission; otherwise none.
 *
 * @param unrevoked undefined where the refusal came before the token was known to be valid
 */
export function passReported(route: Route, unrevoked: UnrevokedToken | undefined): AuthorizedRequest {
  const token = unrevoked?.token;
  const identity = token && route.identity.headersOf(token);
  return new AuthorizedRequest(route, identity && token, identity ?? NO_IDENTITY);
}

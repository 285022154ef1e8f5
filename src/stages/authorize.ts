/**
 * Seventh stage: may this caller use this route, and which identity headers describe it? Pure. RFC 6750 section 3.1, RFC 9068
 * section 4, RFC 9470. Rules B4, C9, P3, P4.
 */
import {
  CLAIM_RULE_FAILED,
  IDENTITY_TOO_LARGE,
  insufficientScope,
  loginTooWeak,
  MISSING_TOKEN,
} from '../auth-errors.ts';
import { type GatewayError } from '../errors.ts';
import type { Alternative, Route, ScopeRule } from '../policy.ts';
import { satisfies, type ClaimRule } from '../token/claim-rules.ts';
import { loginFault, type StepUpRule } from '../token/login.ts';
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
 * @param path of the request as it came, without the query: claim rules may compare a segment of it
 * @throws GatewayError 403 `insufficient_scope`, `claim_rule` or `identity_too_large`; 401 where an anonymous
 *         caller meets a rule, since a caller without claims satisfies none, and for a login that is too old or too weak
 */
export function authorize(
  route: Route,
  { token }: UnrevokedToken,
  path: string,
  nowSeconds: number,
): AuthorizedRequest {
  const { scopes, claims, anyOf, stepUp } = route;
  if (!token) {
    const hasRules = scopes.text !== '' || claims.length > 0 || anyOf.length > 0 || stepUp !== undefined;
    if (route.mode !== 'none' && hasRules) throw MISSING_TOKEN;
    return new AuthorizedRequest(route, undefined, NO_IDENTITY);
  }
  if (stepUp) checkLogin(token, stepUp, nowSeconds);
  if (!hasScopes(token, scopes)) throw insufficientScope(scopes.text);
  if (!hasClaims(token, claims, path)) throw CLAIM_RULE_FAILED;
  if (anyOf.length > 0 && !anyOf.some((way) => isPermitted(token, way, path)))
    throw noAlternative(token, route, path);
  const identity = route.identity.headersOf(token);
  if (!identity) throw IDENTITY_TOO_LARGE;
  return new AuthorizedRequest(route, token, identity);
}

/**
 * How its holder has logged in, on every request: a token grows no younger in a cache (RFC 9470 section 3). The challenge says
 * all that is needed, so that one new login is enough. Rules P3, P4.
 */
function checkLogin(token: AuthenticToken, rule: StepUpRule, nowSeconds: number): void {
  const fault = loginFault(token, rule, nowSeconds);
  if (fault === undefined) return;
  const { acr, maxAuthAgeSeconds } = rule;
  throw loginTooWeak(
    {
      ...(acr.length > 0 && { acrValues: acr.join(' ') }),
      ...(maxAuthAgeSeconds !== undefined && { maxAge: String(maxAuthAgeSeconds) }),
    },
    fault.lacks === 'strength' ? 'its acr is none of those of the route' : LOGIN_TOO_OLD,
  );
}

const LOGIN_TOO_OLD = 'its auth_time is older than the route allows, missing, or no date of the past';

function hasScopes({ scopes }: AuthenticToken, { all, any }: ScopeRule): boolean {
  for (const scope of all) if (!scopes.has(scope)) return false;
  return any.length === 0 || any.some((scope) => scopes.has(scope));
}

function hasClaims({ claims }: AuthenticToken, rules: readonly ClaimRule[], path: string): boolean {
  for (const rule of rules) if (!satisfies(rule, claims, path)) return false;
  return true;
}

function isPermitted(token: AuthenticToken, { scopes, claims }: Alternative, path: string): boolean {
  return hasScopes(token, scopes) && hasClaims(token, claims, path);
}

/**
 * Why no alternative holds. A client can ask for more scopes, but not for other claims: only where scopes alone would help
 * does it learn which, those of the first such alternative and the route's own.
 */
function noAlternative(token: AuthenticToken, { scopes, anyOf }: Route, path: string): GatewayError {
  const curable = anyOf.find(({ claims }) => hasClaims(token, claims, path));
  if (!curable) return CLAIM_RULE_FAILED;
  return insufficientScope([scopes.text, curable.scopes.text].filter((text) => text !== '').join(' '));
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

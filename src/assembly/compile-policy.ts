/** Compiles a configuration into the policy by which requests are decided. Pure. */
import { identityNames, routeIdentityMap, type MergedIdentityMap } from '../config/identity-map.ts';
import { acceptedIssuers } from '../config/accepted-by-name.ts';
import { resourceUrlOf } from '../config/protected-resources.ts';
import type { Configuration, RouteConfiguration } from '../config/schema.ts';
import { takesCertificates } from '../config/takes-certificates.ts';
import type { ChallengeRules } from '../http/challenge.ts';
import { TrustedPeers } from '../http/client-address.ts';
import { corsPolicy } from '../http/cors.ts';
import { HeaderTable } from '../http/header-names.ts';
import { metadataUrlOf } from '../http/metadata-url.ts';
import { templateOf } from '../http/path-template.ts';
import { IdentityContract, type IdentityHeader } from '../identity/identity-headers.ts';
import { parseIdentityText } from '../identity/identity-value.ts';
import type { Policy, Route, RouteMatch, ScopeRule } from '../policy.ts';
import { compileClaimRules } from '../token/claim-rules.ts';
import type { StepUpRule } from '../token/login.ts';
import { CompiledLimits, compileFailureLimit } from './compile-limits.ts';
import { compileUpstream } from './compile-upstream.ts';

export function compilePolicy(configuration: Configuration): Policy {
  const { identity, limits } = configuration;
  const names = identityNames(configuration);
  const spelling = new Map(names.map((name) => [name.toLowerCase(), name]));
  const contract = (route?: RouteConfiguration): IdentityContract =>
    new IdentityContract(
      compileHeaders(routeIdentityMap(configuration, route), spelling),
      identity.max_bytes,
    );
  const shared = contract();
  const rateLimits = new CompiledLimits(configuration);
  // Last: no map may have its name (the configuration has checked that).
  if (identity.assertion) names.push(identity.assertion.header);
  const keyHeaders = keyHeadersOf(configuration, Object.keys(configuration.issuers));
  return {
    name: configuration.name,
    realm: configuration.realm,
    routes: configuration.routes.map((route) =>
      compileRoute(
        route,
        configuration,
        Object.keys(route.identity.headers).length === 0 ? shared : contract(route),
        rateLimits,
      ),
    ),
    identityNames: names,
    keyHeaders,
    headerTable: new HeaderTable(names, keyHeaders),
    trustedPeers: new TrustedPeers(configuration.trusted_proxies),
    headLimits: {
      uriBytes: limits.uri_bytes,
      headerBytes: limits.header_bytes,
      headerCount: limits.header_count,
      bodyBytes: limits.body_bytes,
    },
    tokenBytes: limits.token_bytes,
    inFlight: limits.in_flight,
    maxViewAgeMs: configuration.revocation.max_view_age,
    limits: rateLimits.all,
    failureLimit: limits.failed_authentications && compileFailureLimit(limits.failed_authentications),
  };
}

function compileRoute(
  route: RouteConfiguration,
  configuration: Configuration,
  contract: IdentityContract,
  rateLimits: CompiledLimits,
): Route {
  const { auth, identity } = route;
  const match = compileMatch(route.match);
  const { template } = match.path;
  return {
    name: route.name,
    match,
    upstream: compileUpstream(route, template),
    mode: auth.mode,
    ...compileIssuers(route, configuration),
    ...compilePossession(route, configuration),
    challenge: compileChallenge(route, configuration),
    scopes: compileScopes(auth.scopes),
    claims: compileClaimRules(auth.claims, template),
    anyOf: (auth.any_of ?? []).map((alternative) => ({
      scopes: compileScopes(alternative.scopes),
      claims: compileClaimRules(alternative.claims, template),
    })),
    reportOnly: auth.report_only,
    webSocketProtocol: auth.websocket_protocol,
    whenStale: route.when_stale ?? configuration.revocation.when_stale,
    leniencies: new Set(route.paths.allow),
    rewrite: compileRewrite(route),
    cors:
      route.cors &&
      corsPolicy({
        ...route.cors,
        exposeHeaders: route.cors.expose_headers,
        maxAgeSeconds: Math.floor(route.cors.max_age / 1000),
      }),
    responseTimeoutMs: route.timeouts.response,
    idleTimeoutMs: route.timeouts.idle,
    retryAttempts: route.retries.attempts,
    identity: contract,
    forwardAuthorization: identity.forward_authorization ?? configuration.identity.forward_authorization,
    streamsExpired: route.streams.expired,
    upgrades: new Set(route.upgrade),
    limits: rateLimits.of(route.rate_limits),
  };
}

function compileRewrite({ rewrite }: RouteConfiguration): Route['rewrite'] {
  const stripPrefix = withoutTrailingSlash(rewrite.strip_prefix ?? '');
  return {
    stripPrefix,
    forwardedPrefix: stripPrefix.replaceAll(',', '%2C'),
    addPrefix: withoutTrailingSlash(rewrite.add_prefix ?? ''),
    preserveHost: rewrite.host === 'preserve',
  };
}

function compileMatch(match: RouteConfiguration['match']): RouteMatch {
  const kind = match.path === undefined ? 'prefix' : 'exact';
  const value = match.path ?? (withoutTrailingSlash(match.path_prefix ?? '/') || '/');
  return {
    hosts: match.hosts ?? [],
    path: { kind, value, template: templateOf(value) },
    methods: new Set(match.methods),
    headers: Object.entries(match.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value] as const),
  };
}

/** Whose tokens the route accepts, for whom they must be, and how they are looked at. */
function compileIssuers(
  route: RouteConfiguration,
  configuration: Configuration,
): Pick<Route, 'issuers' | 'issuerSet' | 'keyHeaders' | 'mayHaveBars' | 'fresh' | 'resource'> {
  const { mode, fresh } = route.auth;
  const issuers = acceptedIssuers(route.auth, configuration);
  const resource = resourceUrlOf(route, configuration.listeners)?.href;
  const names = JSON.stringify([...new Set(issuers)].sort());
  return {
    issuers,
    issuerSet: [names, ...(fresh ? ['fresh'] : []), ...(resource === undefined ? [] : [resource])].join(' '),
    keyHeaders: new Set(keyHeadersOf(configuration, issuers)),
    mayHaveBars: issuers.some((name) => configuration.issuers[name]?.validation !== undefined),
    fresh: mode !== 'none' && fresh,
    resource,
  };
}

/** The headers that these issuers name for their API keys, in lower case, each once. */
function keyHeadersOf({ issuers }: Configuration, names: readonly string[]): string[] {
  return [...new Set(names.flatMap((name) => issuers[name]?.api_keys?.header?.toLowerCase() ?? []))];
}

/** @param spelling of each name in lower case: the one that the whole gateway uses */
function compileHeaders(headers: MergedIdentityMap, spelling: ReadonlyMap<string, string>): IdentityHeader[] {
  return Object.entries(headers).map(([name, value]) => ({
    name: spelling.get(name.toLowerCase()) ?? name,
    value: parseIdentityText(value),
  }));
}

function compileScopes(scopes: Configuration['routes'][number]['auth']['scopes']): ScopeRule {
  const { all = [], any = [] } = Array.isArray(scopes) ? { all: scopes } : scopes;
  return { all, any, text: [...all, ...any].join(' ') };
}

function compilePossession(
  { auth, public_url: publicUrl, when_replay_unknown: whenReplayUnknown }: RouteConfiguration,
  { dpop }: Configuration,
): Pick<Route, 'senderConstrained' | 'whenReplayUnknown' | 'publicUrl' | 'stepUp'> {
  return {
    senderConstrained: auth.mode === 'none' ? undefined : auth.sender_constrained,
    whenReplayUnknown: whenReplayUnknown ?? dpop.when_replay_unknown,
    publicUrl,
    stepUp: compileStepUp(auth),
  };
}

function compileStepUp({ acr, max_auth_age: maxAge }: RouteConfiguration['auth']): StepUpRule | undefined {
  return acr === undefined && maxAge === undefined
    ? undefined
    : { acr: acr ?? [], maxAuthAgeSeconds: maxAge === undefined ? undefined : maxAge / 1000 };
}

/** A token that is bound to a certificate comes as Bearer, where clients have certificates. */
function compileChallenge(
  route: RouteConfiguration,
  { realm, dpop, listeners }: Configuration,
): ChallengeRules {
  const { auth } = route;
  const constrained = auth.sender_constrained;
  const resource = resourceUrlOf(route, listeners);
  return {
    realm,
    bearer: constrained !== 'required' || listeners.some(takesCertificates),
    dpopAlgorithms: constrained === undefined ? undefined : dpop.algorithms.join(' '),
    scope: compileScopes(auth.scopes).text,
    resourceMetadata: resource && metadataUrlOf(resource),
  };
}

function withoutTrailingSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path;
}

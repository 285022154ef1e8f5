/**
 * What the configuration means once it is compiled: the routes and everything that a request is decided by.
 * Immutable; a new configuration makes a new policy. Pure.
 */
import { identityNames, routeIdentityMap } from './config/identity-map.ts';
import { isOpaqueIssuer } from './config/issuer-schema.ts';
import type { Configuration, RouteConfiguration } from './config/schema.ts';
import { TrustedPeers } from './http/client-address.ts';
import { corsPolicy, type CorsPolicy } from './http/cors.ts';
import { HeaderTable } from './http/header-names.ts';
import type { IdentityHeader } from './http/identity-headers.ts';
import type { PathLeniency } from './http/path-policy.ts';
import type { HeadLimits } from './http/request-head.ts';
import { parseClaimPath, type ClaimPath } from './token/claims.ts';

/** One alternative of a route's match: Kubernetes Gateway API's HTTPRouteMatch. */
export interface RouteMatch {
  /** Empty: any host. */
  readonly hosts: readonly string[];
  readonly path: { readonly kind: 'exact' | 'prefix'; readonly value: string };
  /** Empty: any method. */
  readonly methods: ReadonlySet<string>;
  /** Lower-case name and exact value. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export interface ScopeRule {
  readonly all: readonly string[];
  /** Empty: none of these is needed. */
  readonly any: readonly string[];
  /** What the challenge says is needed. */
  readonly text: string;
}

export interface ClaimRule {
  readonly path: ClaimPath;
  /** As configured, for people. */
  readonly text: string;
  readonly allowed: readonly (string | number | boolean)[];
}

/** The identity headers of a route; routes without headers of their own share one. */
export interface IdentityContract {
  readonly headers: readonly IdentityHeader[];
  readonly maxBytes: number;
}

export interface Route {
  readonly name: string;
  readonly match: RouteMatch;
  readonly upstream: string;
  readonly mode: 'required' | 'optional' | 'none';
  /** Configured names; their tokens alone are accepted. */
  readonly issuers: readonly string[];
  /** The same for routes with the same issuers. */
  readonly issuerSet: string;
  readonly scopes: ScopeRule;
  readonly claims: readonly ClaimRule[];
  /** What authentication or authorization refuses passes, and is reported. */
  readonly reportOnly: boolean;
  /** A WebSocket handshake may bring its token in Sec-WebSocket-Protocol. */
  readonly webSocketProtocol: boolean;
  readonly whenStale: 'deny' | 'allow';
  readonly leniencies: ReadonlySet<PathLeniency>;
  readonly rewrite: {
    readonly stripPrefix: string;
    /** The same as X-Forwarded-Prefix tells it, where a comma would begin another prefix. */
    readonly forwardedPrefix: string;
    readonly addPrefix: string;
    readonly preserveHost: boolean;
  };
  /** Undefined: the gateway has no opinion on other origins. */
  readonly cors: CorsPolicy | undefined;
  readonly responseTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly retryAttempts: number;
  readonly identity: IdentityContract;
  readonly forwardAuthorization: boolean;
  /** What becomes of tunnels and event streams when their token expires. */
  readonly streamsExpired: 'close' | 'keep';
  /** Lower-case protocols that the route may switch to. */
  readonly upgrades: ReadonlySet<string>;
}

export interface Policy {
  /** Our name in Via. */
  readonly name: string;
  readonly realm: string;
  readonly routes: readonly Route[];
  /**
   * What only the gateway may write: the default names, each name that is configured on any route, with null too, and
   * the assertion's. Different ones even without case.
   */
  readonly identityNames: readonly string[];
  readonly headerTable: HeaderTable;
  readonly trustedPeers: TrustedPeers;
  readonly headLimits: HeadLimits;
  readonly tokenBytes: number;
  /** 0 = no limit. */
  readonly inFlight: number;
  readonly maxViewAgeMs: number;
}

export function compilePolicy(configuration: Configuration): Policy {
  const { identity, limits } = configuration;
  const names = identityNames(configuration);
  const spelling = new Map(names.map((name) => [name.toLowerCase(), name]));
  const contract = (route?: RouteConfiguration): IdentityContract => ({
    headers: compileHeaders(routeIdentityMap(configuration, route), spelling),
    maxBytes: identity.max_bytes,
  });
  const shared = contract();
  // Last: no map may have its name (the configuration has checked that).
  if (identity.assertion) names.push(identity.assertion.header);
  return {
    name: configuration.name,
    realm: configuration.realm,
    routes: configuration.routes.map((route) =>
      compileRoute(
        route,
        configuration,
        Object.keys(route.identity.headers).length === 0 ? shared : contract(route),
      ),
    ),
    identityNames: names,
    headerTable: new HeaderTable(names),
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
  };
}

function compileRoute(
  route: RouteConfiguration,
  configuration: Configuration,
  contract: IdentityContract,
): Route {
  const { match, auth, rewrite, identity } = route;
  const issuers = auth.mode === 'none' ? [] : (auth.issuers ?? jwtIssuers(configuration));
  const stripPrefix = withoutTrailingSlash(rewrite.strip_prefix ?? '');
  return {
    name: route.name,
    match: {
      hosts: match.hosts ?? [],
      path:
        match.path === undefined
          ? { kind: 'prefix', value: withoutTrailingSlash(match.path_prefix ?? '/') || '/' }
          : { kind: 'exact', value: match.path },
      methods: new Set(match.methods),
      headers: Object.entries(match.headers ?? {}).map(
        ([name, value]) => [name.toLowerCase(), value] as const,
      ),
    },
    upstream: route.upstream,
    mode: auth.mode,
    issuers,
    issuerSet: JSON.stringify([...new Set(issuers)].sort()),
    scopes: compileScopes(auth.scopes),
    claims: Object.entries(auth.claims).map(([path, allowed]) => ({
      path: parseClaimPath(path),
      text: `${path} in ${allowed.join('|')}`,
      allowed,
    })),
    reportOnly: auth.report_only,
    webSocketProtocol: auth.websocket_protocol,
    whenStale: route.when_stale ?? configuration.revocation.when_stale,
    leniencies: new Set(route.paths.allow),
    rewrite: {
      stripPrefix,
      forwardedPrefix: stripPrefix.replaceAll(',', '%2C'),
      addPrefix: withoutTrailingSlash(rewrite.add_prefix ?? ''),
      preserveHost: rewrite.host === 'preserve',
    },
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
  };
}

/** Issuers of opaque tokens are asked only where a route names them. */
function jwtIssuers({ issuers }: Configuration): string[] {
  return Object.entries(issuers)
    .filter(([, issuer]) => !isOpaqueIssuer(issuer))
    .map(([name]) => name);
}

/** @param spelling of each name in lower case: the one that the whole gateway uses */
function compileHeaders(
  headers: Readonly<Record<string, string>>,
  spelling: ReadonlyMap<string, string>,
): IdentityHeader[] {
  return Object.entries(headers).map(([name, path]) => ({
    name: spelling.get(name.toLowerCase()) ?? name,
    claim: parseClaimPath(path),
  }));
}

function compileScopes(scopes: Configuration['routes'][number]['auth']['scopes']): ScopeRule {
  const { all = [], any = [] } = Array.isArray(scopes) ? { all: scopes } : scopes;
  return { all, any, text: [...all, ...any].join(' ') };
}

function withoutTrailingSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path;
}

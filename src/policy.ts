/**
 * The rules that decide a request: the routes and everything that they share. Immutable; compile-policy.ts makes it from
 * the configuration, and a new configuration makes a new one. Types only.
 */
import type { TrustedPeers } from './http/client-address.ts';
import type { ChallengeRules } from './http/challenge.ts';
import type { CorsPolicy } from './http/cors.ts';
import type { HeaderTable } from './http/header-names.ts';
import type { IdentityContract } from './identity/identity-headers.ts';
import type { PathLeniency } from './http/path-policy.ts';
import type { HeadLimits } from './http/request-head.ts';
import type { PathTemplate } from './http/path-template.ts';
import type { PublicUrl } from './http/public-url.ts';
import type { RateLimit } from './limits/rate-limit.ts';
import type { ClaimRule } from './token/claim-rules.ts';
import type { StepUpRule } from './token/login.ts';
import type { PlacedLimit } from './token/placed-limits.ts';

/** One alternative of a route's match: Kubernetes Gateway API's HTTPRouteMatch. */
export interface RouteMatch {
  /** Empty: any host. */
  readonly hosts: readonly string[];
  readonly path: {
    readonly kind: 'exact' | 'prefix';
    readonly value: string;
    /** Set where the path has variables. */
    readonly template?: PathTemplate | undefined;
  };
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

/** One of several ways to be permitted: all of its scopes and all of its claim rules. */
export interface Alternative {
  readonly scopes: ScopeRule;
  readonly claims: readonly ClaimRule[];
}

/** Several upstreams of one route. Rules come first, in order; the weights share the callers that fit none. */
export interface TrafficSplit {
  readonly rules: readonly SplitRule[];
  /** At least one, each with a weight above 0. */
  readonly shares: readonly SplitShare[];
  /** Of the weights. */
  readonly total: number;
  /** The same subject goes to the same upstream. */
  readonly sticky: boolean;
  /** Every upstream that a request may go to, once. */
  readonly names: readonly string[];
}

/** An upstream for the callers whose claims fit all of these rules. */
export interface SplitRule {
  readonly name: string;
  readonly claims: readonly ClaimRule[];
}

export interface SplitShare {
  readonly name: string;
  readonly weight: number;
}

export interface Route {
  readonly name: string;
  readonly match: RouteMatch;
  /** A name: every request goes there. */
  readonly upstream: string | TrafficSplit;
  readonly mode: 'required' | 'optional' | 'none';
  /** Configured names; only tokens of these issuers are accepted. */
  readonly issuers: readonly string[];
  /** The same for routes with the same issuers and the same resource, and only for them: caches tell them apart by it. */
  readonly issuerSet: string;
  /** Headers in which the route reads API keys, in lower case; empty: in none. */
  readonly keyHeaders: ReadonlySet<string>;
  /** A validation service judges tokens of this route: they may have `|`. */
  readonly mayHaveBars: boolean;
  /** The servers of its issuers are asked about each request. Part of `issuerSet`. */
  readonly fresh: boolean;
  /**
   * Whether proofs of possession (DPoP) are accepted. required: a token that is bound to no key and no certificate is refused.
   * Undefined: no proofs are accepted.
   */
  readonly senderConstrained: 'optional' | 'required' | undefined;
  /** What happens where it cannot be known whether a proof was used before. */
  readonly whenReplayUnknown: 'deny' | 'allow';
  /** As clients see it; undefined: that of the listener, or the exact host of the request. */
  readonly publicUrl: PublicUrl | undefined;
  /** The identifier that `aud` must hold; undefined where the route belongs to no protected resource. */
  readonly resource: string | undefined;
  /** Undefined: any login will do. */
  readonly stepUp: StepUpRule | undefined;
  readonly challenge: ChallengeRules;
  readonly scopes: ScopeRule;
  readonly claims: readonly ClaimRule[];
  /** One of them must hold besides scopes and claims; empty: none is needed. */
  readonly anyOf: readonly Alternative[];
  /** Requests that authentication or authorization refuses pass, and are reported. */
  readonly reportOnly: boolean;
  /** A WebSocket handshake may bring its token in Sec-WebSocket-Protocol. */
  readonly webSocketProtocol: boolean;
  readonly whenStale: 'deny' | 'allow';
  readonly leniencies: ReadonlySet<PathLeniency>;
  readonly rewrite: {
    readonly stripPrefix: string;
    /** The same for X-Forwarded-Prefix, where a comma would begin another prefix. */
    readonly forwardedPrefix: string;
    readonly addPrefix: string;
    readonly preserveHost: boolean;
  };
  /** Undefined: the gateway adds no CORS headers. */
  readonly cors: CorsPolicy | undefined;
  readonly responseTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly retryAttempts: number;
  /** Routes without headers of their own share one. */
  readonly identity: IdentityContract;
  readonly forwardAuthorization: boolean;
  /** What happens to tunnels and event streams when their token expires. */
  readonly streamsExpired: 'close' | 'keep';
  /** Lower-case protocols that the route may switch to. */
  readonly upgrades: ReadonlySet<string>;
  readonly limits: RouteLimits;
}

/** The limits of a route, and those of all routes, in the order in which they count. */
export interface RouteLimits {
  /** Those that count addresses, before anything is known of the caller. */
  readonly address: readonly PlacedLimit[];
  /** Those that count callers. */
  readonly caller: readonly PlacedLimit[];
}

export interface Policy {
  /** The gateway's name in Via. */
  readonly name: string;
  readonly realm: string;
  readonly routes: readonly Route[];
  /**
   * What only the gateway may write: the default names, each name that is configured on any route, with null too, and
   * the assertion's. Different ones even without case.
   */
  readonly identityNames: readonly string[];
  /** Headers that issuers name for API keys, in lower case: no upstream gets one. */
  readonly keyHeaders: readonly string[];
  readonly headerTable: HeaderTable;
  readonly trustedPeers: TrustedPeers;
  readonly headLimits: HeadLimits;
  readonly tokenBytes: number;
  /** 0 = no limit. */
  readonly inFlight: number;
  readonly maxViewAgeMs: number;
  /** Each once, however many routes have it. */
  readonly limits: readonly RateLimit[];
  /** Of refused credentials; undefined: there is none. */
  readonly failureLimit: PlacedLimit | undefined;
}

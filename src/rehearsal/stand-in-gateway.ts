/**
 * The gateway's own pipeline under a configuration, for requests whose tokens are gone: what stands around it is replaced. A
 * verifier says what the log says of a token, each rule asks for one claim that says whether it holds, and no limit counts.
 * Everything else (matching, extraction, possession, the order of the checks and their refusals) is the gateway's own code.
 */
import { invalidToken } from '../auth-errors.ts';
import type { Clock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import { Gateway, type RequestContext } from '../gateway.ts';
import type { RequestHead } from '../http/request-head.ts';
import { IdentityContract } from '../identity/identity-headers.ts';
import type { Policy, Route } from '../policy.ts';
import type { Proofs } from '../stages/check-possession.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { Observer } from '../telemetry/observer.ts';
import type { Exchange } from '../telemetry/exchange.ts';
import { authenticToken } from '../token/authentic-token.ts';
import type { ClaimRule } from '../token/claim-rules.ts';
import { claimRuleKey, stepUpKey } from '../token/rule-key.ts';
import type { TokenBinding } from '../token/token-binding.ts';
import type { AuthenticToken, Judgement, TokenVerifier } from '../token/token-verifier.ts';
import { VERSION } from '../version.ts';
import { passing, refusedWith, type Outcome } from './outcome.ts';

/** A token as it may have been. */
export interface PossibleToken {
  readonly binding: TokenBinding | undefined;
  readonly isRevoked: boolean;
  readonly scopes: ReadonlySet<string>;
  /** Keys of the claim rules that hold. */
  readonly holds: ReadonlySet<string>;
  /** Key of what is asked of a login, where it holds. */
  readonly login: string | undefined;
}

/** What comes with a request: a token, or one that no issuer of the route has issued; undefined: none that is looked at. */
export type PossibleCredentials = PossibleToken | 'unknown_issuer' | undefined;

/** The text that stands for a token: no verifier reads it. */
export const STAND_IN = 'logged';
export const STAND_IN_KEY = 'key-of-the-token';
export const STAND_IN_CERTIFICATE = 'certificate-of-the-token';

const HOLDS = 'holds';
const NO_NAMES = { subject: [], client: [], scopes: [], session: [], tenant: [], loginTime: [['auth_time']] };
const PEER = '127.0.0.1';

/** A proof that was right then is right now: what it must say is compared elsewhere. */
const ACCEPTING: Proofs = {
  accept: () => ({ nextNonce: undefined, failedOpen: false }),
  nonce: () => undefined,
};

export class StandInGateway {
  readonly #gateway: Gateway;
  readonly #observer: Observer;
  /** By the names of routes: where their requests may go. */
  readonly #upstreams: ReadonlyMap<string, readonly string[]>;
  readonly #context: RequestContext;
  #credentials: PossibleCredentials;

  constructor(policy: Policy, clock: Clock) {
    this.#observer = new Observer(new Metrics(VERSION), clock, undefined);
    const verifier = new StandInVerifier(() => this.#credentials);
    this.#gateway = new Gateway({
      policy: standInPolicy(policy),
      verifiers: new Map(policy.routes.map(({ issuerSet }) => [issuerSet, verifier])),
      proofs: ACCEPTING,
      revocations: { ageMs: 0, isRevoked: () => isToken(this.#credentials) && this.#credentials.isRevoked },
      statuses: { verdictOf: () => 'good', heldVerdictOf: () => 'good' },
      limiters: { callers: new Map(), addresses: new Map() },
      signer: undefined,
      observer: this.#observer,
      clock,
    });
    this.#upstreams = new Map(
      policy.routes.map(({ name, upstream }) => [
        name,
        typeof upstream === 'string' ? [upstream] : upstream.names,
      ]),
    );
    this.#context = {
      ...{ clientIp: PEER, requestId: 'rehearsed', trace: undefined, publicUrl: undefined },
      connection: { peer: PEER, peerIsTrusted: false },
      matched: () => undefined,
      clientCertificate: () => STAND_IN_CERTIFICATE,
      hasUnclearCertificate: () => false,
      offerNonce: () => undefined,
    };
  }

  /** @param head with the credentials, as far as any are known */
  decide(head: RequestHead, credentials: PossibleCredentials): Outcome {
    this.#credentials = credentials;
    const exchange = this.#observer.begin(head.method, PEER, 'rehearsed');
    exchange.head = head;
    const decided = this.#decided(head, exchange);
    const route = exchange.routeName;
    if (decided instanceof GatewayError) return refusedWith(decided, route);
    return passing(route, this.#upstreams.get(route) ?? [], reportedBy(exchange));
  }

  #decided(head: RequestHead, exchange: Exchange): unknown {
    try {
      const decided = this.#gateway.decide(head, this.#context, exchange);
      if (decided instanceof Promise) throw new Error('a rehearsal waits for nothing');
      return decided;
    } catch (error) {
      if (error instanceof GatewayError) return error;
      throw error;
    }
  }
}

/** Why a route that only reports would have refused. */
function reportedBy({ decision }: Exchange): string | undefined {
  return decision?.decision === 'report' ? decision.reason : undefined;
}

class StandInVerifier implements TokenVerifier {
  readonly #credentials: () => PossibleCredentials;

  constructor(credentials: () => PossibleCredentials) {
    this.#credentials = credentials;
  }

  verify(): never {
    throw new Error('the pipeline judges');
  }

  judge(): Judgement {
    const credentials = this.#credentials();
    return isToken(credentials)
      ? { token: standInToken(credentials), cache: undefined }
      : invalidToken('unknown_issuer');
  }

  knows(): boolean {
    return false;
  }
}

function isToken(credentials: PossibleCredentials): credentials is PossibleToken {
  return typeof credentials === 'object';
}

function standInToken({ binding, scopes, holds, login }: PossibleToken): AuthenticToken {
  const token = authenticToken({
    ...{ issuerName: 'logged', issuer: 'logged', names: NO_NAMES, digest: () => STAND_IN },
    claims: {
      ...Object.fromEntries([...holds].map((key) => [key, HOLDS])),
      ...(login !== undefined && { acr: login }),
    },
    ...{ clockSkewSeconds: 0, futureIatSeconds: 0, revocableClaims: [] },
  });
  return { ...token, binding, scopes };
}

/** The same routes, with rules that look at nothing but results. */
function standInPolicy(policy: Policy): Policy {
  // What a token is rendered into, and what of it is large, is not in any log.
  const identity = new IdentityContract([], Infinity);
  return {
    ...policy,
    routes: policy.routes.map((route) => standInRoute(route, identity)),
    failureLimit: undefined,
  };
}

function standInRoute(route: Route, identity: IdentityContract): Route {
  const { claims, anyOf, stepUp, upstream } = route;
  return {
    ...route,
    identity,
    claims: claims.map(standInRule),
    anyOf: anyOf.map((way) => ({ ...way, claims: way.claims.map(standInRule) })),
    stepUp: stepUp && { acr: [stepUpKey(stepUp)], maxAuthAgeSeconds: undefined },
    upstream: typeof upstream === 'string' ? upstream : (upstream.names[0] ?? ''),
  };
}

function standInRule(rule: ClaimRule): ClaimRule {
  return { path: [claimRuleKey(rule)], text: rule.text, test: { kind: 'equals', allowed: [HOLDS] } };
}

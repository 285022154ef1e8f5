/**
 * Verifies the opaque tokens of one issuer by asking its authority, as seldom as can be: a bounded cache that
 * never outlives exp, a short one for refusals, none for errors, one call for all who wait, and a pause while
 * the authority is down. Rules I2 to I9.
 */
import type { Clock } from '../clock.ts';
import { GatewayError, invalidToken, unavailable } from '../errors.ts';
import { authenticToken, type RevocableClaim } from './authentic-token.ts';
import { CircuitBreaker } from './circuit-breaker.ts';
import {
  givenClaim,
  numberOf,
  parseClaimPath,
  stringClaim,
  textClaim,
  type ClaimPath,
  type JsonObject,
  type JsonValue,
} from './claims.ts';
import { audienceOf } from './jwt-verifier.ts';
import { toJson } from './strict-json.ts';
import { estimatedBytes, type TokenCaches } from './token-caches.ts';
import type { Verification } from './token-verifier.ts';

/** What an authority says of a token. Anything it cannot say clearly is an error. */
export type Verdict = { readonly active: false } | { readonly active: true; readonly claims: JsonObject };

/** A server that knows opaque tokens. */
export interface OpaqueAuthority {
  /** @throws Error for an outage or an answer that is none; never for a bad token. */
  ask(token: string): Promise<Verdict>;
}

export interface OpaquePolicy {
  readonly issuerName: string;
  /** Undefined: whatever `iss` the answer has, else the configured name. */
  readonly issuer: string | undefined;
  readonly audiences: readonly string[] | undefined;
  readonly requiredClaims: readonly string[];
  readonly clockSkewSeconds: number;
  readonly futureIatSeconds: number;
  /** `iss` of the other issuers: an authority must not speak for them. */
  readonly foreignIssuers: ReadonlySet<string>;
  /** JWTs that no JWT issuer of the route has issued are this authority's, too. */
  readonly acceptsJwt: boolean;
  /** Tokens that begin otherwise are not this issuer's. */
  readonly prefix: string;
  readonly cacheMs: number;
  readonly negativeCacheMs: number;
  readonly revocableClaims: readonly RevocableClaim[];
}

export type OpaqueCallResult = 'active' | 'inactive' | 'error' | 'circuit_open';

export class OpaqueVerifier {
  readonly policy: OpaquePolicy;
  readonly #authority: OpaqueAuthority;
  readonly #caches: TokenCaches;
  readonly #clock: Clock;
  readonly #circuit: CircuitBreaker;
  readonly #count: (result: OpaqueCallResult, error?: unknown) => void;
  readonly #requiredClaims: readonly ClaimPath[];
  readonly #asking = new Map<string, Promise<Verification>>();

  constructor(
    policy: OpaquePolicy,
    authority: OpaqueAuthority,
    caches: TokenCaches,
    clock: Clock,
    count: (result: OpaqueCallResult, error?: unknown) => void,
  ) {
    this.policy = policy;
    this.#authority = authority;
    this.#caches = caches;
    this.#clock = clock;
    this.#circuit = new CircuitBreaker(clock);
    this.#count = count;
    this.#requiredClaims = policy.requiredClaims.map(parseClaimPath);
  }

  get prefix(): string {
    return this.policy.prefix;
  }

  /** Is a JWT with this `iss`, which no JWT issuer has, to be sent to this authority? */
  takesJwtOf(issuer: string | undefined): boolean {
    const { acceptsJwt, issuer: ours } = this.policy;
    return acceptsJwt && (ours === undefined || ours === issuer);
  }

  /**
   * @param presented SHA-256 of the token as it came: the cache key
   * @param identity what the token is revoked by where it has no `jti`: the same, or the digest of a JWT's content
   * @throws GatewayError 401 with its reason; 503 `introspection_unavailable`
   */
  verify(token: string, presented: string, identity: () => string): Verification | Promise<Verification> {
    const { introspection, inactive, lookups } = this.#caches;
    // The authority is part of the key: what one says of a token is nothing to another (rule I5).
    const cacheKey = `${this.policy.issuerName} ${presented}`;
    const nowMs = this.#clock.monotonicMs();
    const known = introspection.get(cacheKey);
    if (known !== undefined && nowMs < known.usableUntilMs) {
      lookups.introspection.hit++;
      return known.verification;
    }
    const refused = inactive.get(cacheKey);
    if (refused !== undefined && nowMs < refused.usableUntilMs) {
      lookups.negatives.hit++;
      throw refused.error;
    }
    lookups.introspection.miss++;
    let asking = this.#asking.get(cacheKey);
    if (asking === undefined) {
      asking = this.#ask(token, identity, cacheKey).finally(() => this.#asking.delete(cacheKey));
      this.#asking.set(cacheKey, asking);
    }
    return asking;
  }

  async #ask(token: string, identity: () => string, cacheKey: string): Promise<Verification> {
    const verdict = await this.#verdict(token);
    this.#count(verdict.active ? 'active' : 'inactive');
    try {
      if (!verdict.active) throw invalidToken('inactive', this.policy.issuerName);
      return this.#accept(verdict.claims, identity, cacheKey);
    } catch (error) {
      if (error instanceof GatewayError && this.policy.negativeCacheMs > 0) {
        this.#caches.inactive.set(cacheKey, {
          error,
          usableUntilMs: this.#clock.monotonicMs() + this.policy.negativeCacheMs,
        });
      }
      throw error;
    }
  }

  async #verdict(token: string): Promise<Verdict> {
    const { pauseSeconds } = this.#circuit;
    if (pauseSeconds > 0) {
      this.#count('circuit_open');
      throw unavailable('introspection_unavailable', pauseSeconds, { issuer: this.policy.issuerName });
    }
    this.#circuit.enter();
    try {
      const verdict = await this.#authority.ask(token);
      this.#circuit.succeeded();
      return verdict;
    } catch (error) {
      this.#circuit.failed();
      this.#count('error', error);
      throw unavailable('introspection_unavailable', Math.max(1, this.#circuit.pauseSeconds), {
        issuer: this.policy.issuerName,
        cause: error,
      });
    }
  }

  #accept(claims: JsonObject, identity: () => string, cacheKey: string): Verification {
    this.#checkClaims(claims);
    const { issuerName, issuer, clockSkewSeconds, revocableClaims, cacheMs } = this.policy;
    const token = authenticToken({
      issuerName,
      issuer: issuer ?? stringClaim(claims, 'iss') ?? issuerName,
      claims,
      digest: identity,
      clockSkewSeconds,
      revocableClaims,
    });
    const lifeMs = Math.min(
      cacheMs,
      ((token.expiresAt ?? Infinity) + clockSkewSeconds) * 1000 - this.#clock.nowMs(),
    );
    if (lifeMs > 0) {
      this.#caches.introspection.set(cacheKey, {
        verification: { token, cache: 'hit' },
        usableUntilMs: this.#clock.monotonicMs() + lifeMs,
        sizeBytes: estimatedBytes(toJson(claims)),
      });
    }
    return { token, cache: 'miss' };
  }

  #checkClaims(claims: JsonObject): void {
    const { issuerName, audiences } = this.policy;
    this.#checkIssuer(claims['iss']);
    const wellTyped =
      ['exp', 'nbf', 'iat'].every(
        (name) => claims[name] === undefined || numberOf(claims[name]) !== undefined,
      ) &&
      ['sub', 'client_id', 'jti', 'sid'].every(
        (name) => (claims[name] ?? null) === null || textClaim(claims, name) !== undefined,
      );
    const required = this.#requiredClaims.every((path) => (givenClaim(claims, path) ?? null) !== null);
    if (!wellTyped || !required) throw invalidToken('claim', issuerName);
    if (audiences !== undefined) {
      const audience = audienceOf(claims['aud']);
      if (audience === undefined || !audiences.some((ours) => audience.includes(ours)))
        throw invalidToken('wrong_audience', issuerName);
    }
    const issuedAt = numberOf(claims['iat']) ?? 0;
    if (issuedAt > this.#clock.nowMs() / 1000 + this.policy.futureIatSeconds)
      throw invalidToken('not_yet_valid', issuerName);
    // Bound to a key or a certificate; RFC 9449 section 6.2 says so in token_type, too.
    const tokenType = claims['token_type'];
    if (claims['cnf'] !== undefined || (typeof tokenType === 'string' && tokenType.toLowerCase() === 'dpop'))
      throw invalidToken('binding', issuerName);
  }

  #checkIssuer(iss: JsonValue | undefined): void {
    if (iss === undefined) return;
    const { issuer, issuerName, foreignIssuers } = this.policy;
    const ours =
      typeof iss === 'string' && (issuer === undefined ? !foreignIssuers.has(iss) : iss === issuer);
    if (!ours) throw invalidToken('unknown_issuer', issuerName);
  }
}

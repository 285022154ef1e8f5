/**
 * Verifies the opaque tokens of one issuer by asking its authorization server, as seldom as possible: a bounded cache
 * that never outlives exp, a short one for refusals and for tokens that the authorization server could not judge, and
 * one call for all who wait. Rules I2 to I9, J0, J18, V12.
 */
import type { Clock } from '../clock.ts';
import { invalidToken } from '../auth-errors.ts';
import { GatewayError } from '../errors.ts';
import { isIdentifier, namesAreTyped, type ClaimNames } from './claim-names.ts';
import { authenticToken, type IssuerNames, type RevocableClaim } from './authentic-token.ts';
import {
  AuthorizationServerGuard,
  type AuthorizationServerCallResult,
  type TokenStatusSource,
} from './authorization-server-guard.ts';
import {
  givenClaim,
  numberOf,
  parseClaimPath,
  stringClaim,
  type ClaimPath,
  type JsonObject,
  type JsonValue,
} from './claims.ts';
import { satisfies, type ClaimRule } from './claim-rules.ts';
import type { ClientLimits } from './client-allowance.ts';
import { audienceKey, isFor, type RequiredAudience } from './audience.ts';
import { isMisspeltJwt, type JwtText } from './lexical-gate.ts';
import { toJson } from './strict-json.ts';
import { lacksKey } from './token-binding.ts';
import { estimatedBytes, type CachedResponse, type TokenCaches } from './token-caches.ts';
import { signedContentDigest } from './token-digest.ts';
import { isAccessResponse, isAccessValidation, isIntrospectableJwt } from './token-kind.ts';
import type { AuthenticToken, TokenCaller, Verification } from './token-verifier.ts';

export interface OpaquePolicy {
  readonly issuerName: string;
  /** Undefined: whatever `iss` the response has, else the configured name. */
  readonly issuer: string | undefined;
  readonly audiences: readonly string[] | undefined;
  readonly claimNames: ClaimNames;
  readonly requiredClaims: readonly string[];
  readonly claimRules: readonly ClaimRule[];
  readonly clockSkewSeconds: number;
  readonly futureIatSeconds: number;
  /** `iss` of the other issuers: an authorization server must not speak for them. */
  readonly foreignIssuers: { has(iss: string): boolean };
  /** The issuers of JWTs that give this `iss`, or none: a JWT that is introspected is known by their names, too (rule V12). */
  readonly ownersOf: (iss: string | undefined) => readonly IssuerNames[];
  /** JWTs that no JWT issuer of the route has issued are this authorization server's, too. */
  readonly acceptsJwt: boolean;
  /** Tokens that begin otherwise are not this issuer's. */
  readonly prefix: string;
  readonly cacheMs: number;
  readonly negativeCacheMs: number;
  /** How long a token that the authorization server could not judge is refused with 503 before it is asked again. */
  readonly failureCacheMs: number;
  readonly clientLimits: ClientLimits;
  /** RFC 7662: `token_type` and `token_use` of a response mean what the standards say. */
  readonly isIntrospection: boolean;
  readonly revocableClaims: readonly RevocableClaim[];
}

/** A token that its server vouches for. For whom it is, is not yet looked at: that differs between routes. */
interface Vouched {
  readonly token: AuthenticToken;
  /** Undefined: it may not be kept. */
  readonly response: CachedResponse | undefined;
}

export class OpaqueVerifier {
  readonly policy: OpaquePolicy;
  readonly #source: TokenStatusSource;
  readonly #guard: AuthorizationServerGuard;
  readonly #caches: TokenCaches;
  readonly #clock: Clock;
  readonly #requiredClaims: readonly ClaimPath[];
  readonly #asking = new Map<string, Promise<Vouched>>();

  constructor(
    policy: OpaquePolicy,
    source: TokenStatusSource,
    caches: TokenCaches,
    clock: Clock,
    count: (result: AuthorizationServerCallResult, error?: unknown) => void,
  ) {
    const { issuerName, clientLimits: limits } = policy;
    this.policy = policy;
    this.#source = source;
    this.#guard = new AuthorizationServerGuard({ issuerName, source, limits, clock, count });
    this.#caches = caches;
    this.#clock = clock;
    this.#requiredClaims = policy.requiredClaims.map(parseClaimPath);
  }

  /** The same verifier with other caches, and without metrics: for a look at one token that leaves no trace. */
  apart(caches: TokenCaches): OpaqueVerifier {
    return new OpaqueVerifier(this.policy, this.#source, caches, this.#clock, () => undefined);
  }

  get prefix(): string {
    return this.policy.prefix;
  }

  /** Is a JWT with this `iss`, which no JWT issuer has, to be sent to this authorization server? */
  takesJwtOf(issuer: string | undefined): boolean {
    const { acceptsJwt, issuer: ours } = this.policy;
    return acceptsJwt && (ours === undefined || ours === issuer);
  }

  /** @param presented SHA-256 of the token as it came */
  knows(presented: string): boolean {
    return this.#caches.vouched(`${this.policy.issuerName} ${presented}`, this.#clock) !== undefined;
  }

  /**
   * @param presented SHA-256 of the token as it came: the cache key
   * @param jwt what the token is, where it is a JWT; nothing in it is verified
   * @param caller who presents it: what one client may ask for is bounded
   * @param audience for whom it must be; undefined: as the policy says
   * @throws GatewayError 401 with its reason; 503 `introspection_unavailable`
   */
  verify(
    token: string,
    presented: string,
    jwt: JwtText | undefined,
    caller: TokenCaller,
    audience?: RequiredAudience,
  ): Verification | Promise<Verification> {
    const { inactive, lookups } = this.#caches;
    // The authorization server is part of the key: what one says of a token is nothing to another (rule I5).
    const cacheKey = `${this.policy.issuerName} ${presented}`;
    const nowMs = this.#clock.monotonicMs();
    const known = this.#caches.vouched(cacheKey, this.#clock);
    if (known !== undefined) {
      lookups.introspection.hit++;
      // On every use: it may have been kept for a route that asks for another audience.
      if (!this.#isFor(known.token, audience)) throw this.#wrongAudience();
      return known;
    }
    for (const key of [cacheKey, audienceKey(cacheKey, audience)]) {
      const refused = inactive.get(key);
      if (refused === undefined || nowMs >= refused.usableUntilMs) continue;
      lookups.negatives.hit++;
      throw refused.error;
    }
    lookups.introspection.miss++;
    let asking = this.#asking.get(cacheKey);
    if (asking === undefined) {
      this.#refuseOtherKinds(token, jwt);
      asking = this.#ask(token, jwt, cacheKey, caller).finally(() => this.#asking.delete(cacheKey));
      this.#asking.set(cacheKey, asking);
    }
    return asking.then((vouched) => this.#admit(vouched, cacheKey, audience));
  }

  /**
   * The same for one request alone: nothing that is known counts, nor a call that another request began. What it
   * keeps for later is what its policy says.
   */
  async verifyAlone(
    token: string,
    presented: string,
    jwt: JwtText,
    caller: TokenCaller,
  ): Promise<Verification> {
    this.#refuseOtherKinds(token, jwt);
    const cacheKey = `${this.policy.issuerName} ${presented}`;
    return this.#admit(await this.#ask(token, jwt, cacheKey, caller), cacheKey, undefined);
  }

  /** Keeps what the server said only for a token that this route, too, would let pass: others must not push it out. */
  #admit(
    { token, response }: Vouched,
    cacheKey: string,
    audience: RequiredAudience | undefined,
  ): Verification {
    if (!this.#isFor(token, audience))
      throw this.#refusedFor(
        this.policy.negativeCacheMs,
        audienceKey(cacheKey, audience),
        this.#wrongAudience(),
      );
    if (response) this.#caches.introspection.set(cacheKey, response);
    return { token, cache: 'miss' };
  }

  #isFor({ claims }: AuthenticToken, audience: RequiredAudience | undefined): boolean {
    const names = audience?.names ?? this.policy.audiences;
    return names === undefined || isFor(claims['aud'], names);
  }

  #wrongAudience(): GatewayError {
    return invalidToken('wrong_audience', this.policy.issuerName);
  }

  /** What no authorization server needs to be asked about (rules J0, J18). */
  #refuseOtherKinds(token: string, jwt: JwtText | undefined): void {
    const { issuerName } = this.policy;
    if (jwt === undefined) {
      if (isMisspeltJwt(token)) throw invalidToken('malformed', issuerName);
    } else if (!isIntrospectableJwt(jwt.header, jwt.claims)) {
      throw invalidToken('wrong_type', issuerName);
    }
  }

  async #ask(
    token: string,
    jwt: JwtText | undefined,
    cacheKey: string,
    caller: TokenCaller,
  ): Promise<Vouched> {
    const { issuerName, negativeCacheMs, failureCacheMs } = this.policy;
    const verdict = await this.#guard.ask(token, cacheKey, caller.clientIp);
    if (verdict.active === undefined) throw this.#refusedFor(failureCacheMs, cacheKey, verdict.error);
    try {
      if (!verdict.active) throw invalidToken('inactive', issuerName);
      return this.#accept(verdict.claims, jwt, cacheKey);
    } catch (error) {
      throw error instanceof GatewayError ? this.#refusedFor(negativeCacheMs, cacheKey, error) : error;
    }
  }

  /** Remembers for this one token, in a bounded cache of refusals alone. */
  #refusedFor(lifeMs: number, cacheKey: string, error: GatewayError): GatewayError {
    const usableUntilMs = this.#clock.monotonicMs() + lifeMs;
    if (lifeMs > 0) this.#caches.inactive.set(cacheKey, { error, usableUntilMs });
    return error;
  }

  #accept(claims: JsonObject, jwt: JwtText | undefined, cacheKey: string): Vouched {
    this.#checkClaims(claims, jwt?.claims);
    const { issuerName, issuer, claimNames, clockSkewSeconds, futureIatSeconds, revocableClaims, cacheMs } =
      this.policy;
    const presented = cacheKey.slice(issuerName.length + 1);
    const token = authenticToken({
      issuerName,
      issuer: issuer ?? stringClaim(claims, 'iss') ?? issuerName,
      otherIssuers: [issuerName],
      claims,
      names: claimNames,
      ownClaims: jwt?.claims,
      owners: jwt && this.policy.ownersOf(stringClaim(jwt.claims, 'iss')),
      digest: jwt === undefined ? () => presented : () => signedContentDigest(jwt.content),
      clockSkewSeconds,
      futureIatSeconds,
      revocableClaims,
    });
    if (lacksKey(claims, token.binding)) throw invalidToken('binding', issuerName);
    const lifeMs = Math.min(cacheMs, (token.expiresAt ?? Infinity) * 1000 - this.#clock.nowMs());
    if (lifeMs <= 0) return { token, response: undefined };
    return {
      token,
      response: {
        verification: { token, cache: 'hit' },
        usableUntilMs: this.#clock.monotonicMs() + lifeMs,
        sizeBytes: estimatedBytes(toJson(claims) + (jwt?.token ?? '')),
      },
    };
  }

  #checkClaims(claims: JsonObject, ownClaims: JsonObject | undefined): void {
    const { issuerName, isIntrospection, claimNames } = this.policy;
    this.#checkIssuer(claims['iss']);
    const isAccess = isIntrospection ? isAccessResponse(claims) : isAccessValidation(claims);
    if (!isAccess) throw invalidToken('wrong_type', issuerName);
    const wellTyped =
      ['exp', 'nbf', 'iat'].every(
        (name) => (claims[name] ?? null) === null || numberOf(claims[name]) !== undefined,
      ) &&
      ['sub', 'client_id', 'jti', 'sid'].every((name) => isIdentifier(claims[name], 'string or integer')) &&
      namesAreTyped(claims, claimNames, 'string or integer', 'string or integer');
    const required = this.#requiredClaims.every((path) => (givenClaim(claims, path) ?? null) !== null);
    if (!wellTyped || !required) throw invalidToken('claim', issuerName);
    if (!this.#keepsRules(claims, ownClaims)) throw invalidToken('claim', issuerName);
    const issuedAt = numberOf(claims['iat']) ?? 0;
    if (issuedAt > this.#clock.nowMs() / 1000 + this.policy.futureIatSeconds)
      throw invalidToken('not_yet_valid', issuerName);
  }

  /** The rules judge what the server says. A claim that it left out is absent only if a JWT itself lacks it, too. */
  #keepsRules(claims: JsonObject, ownClaims: JsonObject | undefined): boolean {
    return this.policy.claimRules.every(
      (rule) =>
        satisfies(rule, claims, '') &&
        (rule.test.kind !== 'absent' || ownClaims === undefined || satisfies(rule, ownClaims, '')),
    );
  }

  /** Many servers write null for what they do not say, as of any other member. */
  #checkIssuer(iss: JsonValue | undefined): void {
    if (iss === undefined || iss === null) return;
    const { issuer, issuerName, foreignIssuers } = this.policy;
    const ours =
      typeof iss === 'string' && (issuer === undefined ? !foreignIssuers.has(iss) : iss === issuer);
    if (!ours) throw invalidToken('unknown_issuer', issuerName);
  }
}

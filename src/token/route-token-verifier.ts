/**
 * Verifies tokens for routes that accept the same issuers: looks them up in the caches, or finds the one
 * issuer that may vouch for them. docs/reference.md, "Which issuer". Rules J3, C7, C9.
 *
 * A token is never sent to an authorization server that the route does not name.
 */
import { invalidToken } from '../auth-errors.ts';
import { GatewayError, type AuthReason } from '../errors.ts';
import { audiencesOfResource, type RequiredAudience } from './audience.ts';
import { stringClaim } from './claims.ts';
import { orThrow, whenReady, type MaybePromise } from '../maybe-promise.ts';
import type { JwtVerifier, VerifiedJwt } from './jwt-verifier.ts';
import { nearIssuerText, type KnownIssuer } from './issuer-spelling.ts';
import { readJwt, type JwtText } from './lexical-gate.ts';
import type { OpaqueVerifier } from './opaque-verifier.ts';
import { estimatedBytes, type TokenCaches } from './token-caches.ts';
import { presentedDigest } from './token-digest.ts';
import { hasBars, hasThreeParts } from './token-text.ts';
import type { Judgement, TokenCaller, TokenVerifier, Verification } from './token-verifier.ts';
import { turnEnd } from './turn-end.ts';

/** Refusals that stay true until the keys change. Dates are not among them, nor keys that are yet to come. */
const LASTING_REASONS: ReadonlySet<AuthReason> = new Set<AuthReason>([
  'bad_signature',
  'wrong_audience',
  'wrong_type',
  'claim',
  'binding',
]);

export class RouteTokenVerifier implements TokenVerifier {
  readonly #policyId: string;
  readonly #caches: TokenCaches;
  readonly #jwtVerifiers: readonly JwtVerifier[];
  readonly #opaqueVerifiers: readonly OpaqueVerifier[];
  readonly #knownIssuers: readonly KnownIssuer[];
  readonly #audience: RequiredAudience | undefined;
  /** Only keys decide about JWTs. Where a server does, too, its response may be at hand, and no request may wait for that. */
  readonly #readsLater: boolean;

  /**
   * @param policyId stands for this very set of issuers in cache keys: what one set found good, another
   *                 must find out for itself
   * @param jwtVerifiers ask for the audience themselves
   * @param knownIssuers every issuer of the configuration, to say which one a refused token nearly names
   * @param resource that tokens must be for; undefined: for the audiences of their issuer
   */
  constructor(
    policyId: string,
    caches: TokenCaches,
    jwtVerifiers: readonly JwtVerifier[],
    opaqueVerifiers: readonly OpaqueVerifier[],
    knownIssuers: readonly KnownIssuer[],
    resource?: string,
  ) {
    this.#knownIssuers = knownIssuers;
    this.#policyId = policyId;
    this.#caches = caches;
    this.#jwtVerifiers = jwtVerifiers;
    this.#opaqueVerifiers = opaqueVerifiers;
    this.#readsLater = jwtVerifiers.length > 0 && !opaqueVerifiers.some(({ policy }) => policy.acceptsJwt);
    this.#audience = resource === undefined ? undefined : { resource, names: audiencesOfResource(resource) };
  }

  verify(token: string, caller: TokenCaller): MaybePromise<Verification> {
    return whenReady(this.judge(token, caller), orThrow);
  }

  judge(token: string, caller: TokenCaller, digest = presentedDigest(token)): MaybePromise<Judgement> {
    const known = this.#known(digest);
    if (known) return known;
    return this.#readsLater && hasThreeParts(token)
      ? this.#verifyLater(token, digest, caller)
      : this.#verifyUnknown(token, digest, caller);
  }

  knows(digest: string): boolean {
    return (
      this.#caches.tokens.get(this.#policyId + digest)?.key.retired === false ||
      this.#opaqueVerifiers.some((verifier) => verifier.knows(digest))
    );
  }

  /** What was found out about it before. */
  #known(digest: string): Judgement | undefined {
    const { tokens, negatives, lookups } = this.#caches;
    const cacheKey = this.#policyId + digest;
    const hit = tokens.get(cacheKey);
    if (hit?.key.retired === false) {
      lookups.tokens.hit++;
      return hit.verification;
    }
    const refused = negatives.get(cacheKey);
    if (refused?.generation === refused?.keys.generation && refused !== undefined) {
      lookups.negatives.hit++;
      return refused.error;
    }
    return undefined;
  }

  /** Together with the others that came in this turn of the event loop, of which one may be the same. */
  async #verifyLater(token: string, digest: string, caller: TokenCaller): Promise<Judgement> {
    await turnEnd();
    return this.#known(digest) ?? this.#verifyUnknown(token, digest, caller);
  }

  #verifyUnknown(token: string, digest: string, caller: TokenCaller): MaybePromise<Verification> {
    const jwt = readJwt(token);
    if (jwt === undefined)
      return this.#opaqueVerifierOf(token).verify(token, digest, undefined, caller, this.#audience);
    // Unverified, and only used to choose: the signature then proves it, with that issuer's keys alone.
    const issuer = stringClaim(jwt.claims, 'iss');
    const verifier = this.#jwtVerifiers.find((candidate) => candidate.hasIssued(issuer));
    if (verifier === undefined) return this.#introspectJwt(jwt, issuer, digest, caller);
    const { lookups } = this.#caches;
    lookups.tokens.miss++;
    lookups.negatives.miss++;
    return this.#verifyJwt(verifier, jwt, digest, caller);
  }

  #introspectJwt(jwt: JwtText, issuer: string | undefined, digest: string, caller: TokenCaller) {
    const { token } = jwt;
    const verifier = this.#opaqueVerifiers.find(
      (candidate) => token.startsWith(candidate.prefix) && candidate.takesJwtOf(issuer),
    );
    if (verifier === undefined)
      throw invalidToken('unknown_issuer', undefined, nearIssuerText(issuer, this.#knownIssuers));
    return verifier.verify(token, digest, jwt, caller, this.#audience);
  }

  #verifyJwt(
    verifier: JwtVerifier,
    jwt: JwtText,
    digest: string,
    caller: TokenCaller,
  ): MaybePromise<Verification> {
    const { generation } = verifier.keys;
    const cacheKey = this.#policyId + digest;
    const remember = (error: unknown): never => {
      if (error instanceof GatewayError && error.reason !== undefined && LASTING_REASONS.has(error.reason)) {
        this.#caches.keepRefusal(cacheKey, digest, { error, keys: verifier.keys, generation });
      }
      throw error;
    };
    const accept = ({ token, key }: VerifiedJwt): Verification => {
      this.#caches.keepToken(cacheKey, digest, {
        verification: { token, cache: 'hit' },
        key,
        sizeBytes: estimatedBytes(jwt.token),
      });
      return { token, cache: 'miss' };
    };
    try {
      const verified = verifier.verify(jwt, caller);
      return verified instanceof Promise ? verified.then(accept, remember) : accept(verified);
    } catch (error) {
      return remember(error);
    }
  }

  #opaqueVerifierOf(token: string): OpaqueVerifier {
    const verifiers = this.#opaqueVerifiers;
    const verifier =
      verifiers.length === 1 ? verifiers[0] : verifiers.find(({ prefix }) => token.startsWith(prefix));
    if (hasBars(token) && verifier?.policy.isIntrospection === true) throw invalidToken('malformed');
    if (verifier === undefined || !token.startsWith(verifier.prefix)) throw invalidToken('malformed');
    return verifier;
  }
}

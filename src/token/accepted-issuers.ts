/**
 * Verifies tokens for routes that accept the same issuers: looks them up in the caches, or finds the one
 * issuer that may vouch for them. CONTRACT.md section 3, "Which issuer". Rules J3, C7, C9.
 *
 * A token is never sent to an authorization server that the route does not name.
 */
import { GatewayError, invalidToken, type AuthReason } from '../errors.ts';
import { stringClaim } from './claims.ts';
import type { JwtVerifier } from './jwt-verifier.ts';
import { readJwt, type JwtText } from './lexical-gate.ts';
import type { OpaqueVerifier } from './opaque-verifier.ts';
import { estimatedBytes, type TokenCaches } from './token-caches.ts';
import { presentedDigest } from './token-digest.ts';
import type { TokenVerifier, Verification } from './token-verifier.ts';

/** Refusals that stay true until the keys change. Dates are not among them, nor keys that are yet to come. */
const LASTING_REASONS: ReadonlySet<AuthReason> = new Set<AuthReason>([
  'bad_signature',
  'wrong_audience',
  'wrong_type',
  'claim',
  'binding',
]);

export class AcceptedIssuers implements TokenVerifier {
  readonly #policyId: string;
  readonly #caches: TokenCaches;
  readonly #jwtVerifiers: ReadonlyMap<string, JwtVerifier>;
  readonly #opaqueVerifiers: readonly OpaqueVerifier[];

  /**
   * @param policyId stands for this very set of issuers in cache keys: what one set found good, another
   *                 must find out for itself
   */
  constructor(
    policyId: string,
    caches: TokenCaches,
    jwtVerifiers: readonly JwtVerifier[],
    opaqueVerifiers: readonly OpaqueVerifier[],
  ) {
    this.#policyId = policyId;
    this.#caches = caches;
    this.#jwtVerifiers = new Map(jwtVerifiers.map((verifier) => [verifier.policy.issuer, verifier]));
    this.#opaqueVerifiers = opaqueVerifiers;
  }

  verify(token: string): Verification | Promise<Verification> {
    const { tokens, negatives, lookups } = this.#caches;
    const digest = presentedDigest(token);
    const cacheKey = this.#policyId + digest;
    const hit = tokens.get(cacheKey);
    if (hit?.key.current === true) {
      lookups.tokens.hit++;
      return hit.verification;
    }
    const refused = negatives.get(cacheKey);
    if (refused?.generation === refused?.keys.generation && refused !== undefined) {
      lookups.negatives.hit++;
      throw refused.error;
    }
    const jwt = readJwt(token);
    if (jwt === undefined) return this.#opaqueVerifierOf(token).verify(token, digest);
    lookups.tokens.miss++;
    lookups.negatives.miss++;
    return this.#verifyJwt(jwt, cacheKey);
  }

  async #verifyJwt(jwt: JwtText, cacheKey: string): Promise<Verification> {
    // Unverified, and only used to choose: the signature then proves it, with that issuer's keys alone.
    const verifier = this.#jwtVerifiers.get(stringClaim(jwt.claims, 'iss') ?? '');
    if (verifier === undefined) throw invalidToken('unknown_issuer');
    const { generation } = verifier.keys;
    try {
      const { token, key } = await verifier.verify(jwt);
      this.#caches.tokens.set(cacheKey, {
        verification: { token, cache: 'hit' },
        key,
        sizeBytes: estimatedBytes(jwt.token),
      });
      return { token, cache: 'miss' };
    } catch (error) {
      if (error instanceof GatewayError && error.reason !== undefined && LASTING_REASONS.has(error.reason)) {
        this.#caches.negatives.set(cacheKey, { error, keys: verifier.keys, generation });
      }
      throw error;
    }
  }

  #opaqueVerifierOf(token: string): OpaqueVerifier {
    const verifier =
      this.#opaqueVerifiers.length === 1
        ? this.#opaqueVerifiers[0]
        : this.#opaqueVerifiers.find(({ prefix }) => token.startsWith(prefix));
    if (verifier === undefined || !token.startsWith(verifier.prefix)) throw invalidToken('malformed');
    return verifier;
  }
}

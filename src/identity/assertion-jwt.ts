/**
 * Signs the gateway's assertions about callers (RFC 7519, RFC 8037, RFC 7518 section 3.4). Their `typ` is their
 * own, and the verifiers here refuse it: an assertion is never an access token.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { JsonObject, JsonValue } from '../token/claims.ts';
import { scopesText } from './identity-value.ts';
import { PublishedKeys } from './published-keys.ts';
import { jwsHeader, signingKeyOfJwk, signJws, type PublicJwks, type SigningKey } from './signing-key.ts';
import { TokenMemo } from '../token/token-memo.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';

export interface AssertionPolicy {
  readonly header: string;
  /** `iss`: the name of this gateway. */
  readonly issuer: string;
  readonly lifetimeSeconds: number;
  /** Top-level claims of the token that the assertion repeats; `sub`, `client_id` and `scope` are normalized. */
  readonly claims: readonly string[];
  /** It signs metadata of protected resources, too. */
  readonly signsMetadata: boolean;
}

/**
 * Claims that mean the same in every assertion, wherever the issuer keeps them: texts (RFC 7519 section 4.1.2, RFC 9068
 * section 2.2).
 */
const NORMALIZED: Readonly<Record<string, (token: AuthenticToken) => string | undefined>> = {
  sub: ({ subject }) => subject,
  client_id: ({ clientId }) => clientId,
  scope: ({ scopes }) => (scopes.size === 0 ? undefined : scopesText(scopes)),
};

/** Metadata of a protected resource that the gateway has signed. */
export interface SignedMetadata {
  readonly jwt: string;
  /** Milliseconds of wall-clock time. */
  readonly renewAtMs: number;
}

/** Short: a key that was taken out stays published until the last of what it has signed expires. */
const METADATA_LIFETIME_SECONDS = 600;

/** A signed assertion, which may be used for the same token and audience again. */
export interface ReusableAssertion {
  /** Names and values in turn. */
  readonly headers: readonly string[];
  /** Milliseconds of wall-clock time. */
  readonly reusableUntilMs: number;
}

export class JwtAssertionSigner {
  readonly reusable = new TokenMemo(() => new Map<string | readonly string[], ReusableAssertion>());
  readonly #policy: AssertionPolicy;
  readonly #signingKey: SigningKey;
  readonly #published: PublishedKeys;
  readonly #clock: Clock;
  readonly #encodedHeader: string;
  readonly #encodedMetadataHeader: string;

  /**
   * @param jwks a private JWK or a set of them; the first signs, all are published, so that keys can rotate
   * @throws TypeError where a key is neither Ed25519 nor P-256, or not private, or two have one `kid`
   */
  constructor(policy: AssertionPolicy, jwks: unknown, clock: Clock) {
    const members = (jwks as { keys?: unknown } | null)?.keys ?? [jwks];
    const keys = Array.isArray(members) ? members.map(signingKeyOfJwk) : [];
    const [first] = keys;
    if (!first) throw new TypeError('it holds no key');
    if (new Set(keys.map(({ publicJwk }) => publicJwk['kid'])).size < keys.length)
      throw new TypeError('two keys have the same kid');
    this.#policy = policy;
    this.#signingKey = first;
    this.#published = new PublishedKeys(
      keys.map(({ publicJwk }) => publicJwk),
      Math.max(policy.lifetimeSeconds, policy.signsMetadata ? METADATA_LIFETIME_SECONDS : 0) * 1000,
    );
    this.#clock = clock;
    this.#encodedHeader = jwsHeader('sallyport-identity+jwt', first);
    this.#encodedMetadataHeader = jwsHeader('oauth-protected-resource+jwt', first);
  }

  /** The JWK Set (RFC 7517 section 5) that upstreams verify with: it changes when a key that was taken out has expired. */
  get publicKeys(): PublicJwks {
    return this.#published.at(this.#clock.nowMs());
  }

  /** Signs from now on in the place of another, whose keys stay published until what they have signed expires. */
  succeed(before: JwtAssertionSigner): void {
    this.#published.succeed(before.#published, this.#clock.nowMs());
  }

  sign(token: AuthenticToken, audience: string | readonly string[]): ReusableAssertion {
    const { header, issuer, lifetimeSeconds, claims } = this.#policy;
    const nowMs = this.#clock.nowMs();
    const issuedAt = Math.floor(nowMs / 1000);
    // Never longer than the token that it stands for.
    const expiresAt = Math.min(
      issuedAt + lifetimeSeconds,
      Math.floor(token.expiresAt ?? Infinity) + token.clockSkewSeconds,
    );
    const repeated = Object.fromEntries(
      claims.flatMap((name): [string, JsonValue][] => {
        const value = Object.hasOwn(NORMALIZED, name) ? NORMALIZED[name]?.(token) : token.claims[name];
        return value === undefined || value === null ? [] : [[name, value]];
      }),
    );
    const asserted = {
      ...repeated,
      iss: issuer,
      aud: audience,
      iat: issuedAt,
      exp: expiresAt,
      jti: randomUUID(),
    };
    const jwt = signJws(this.#encodedHeader, asserted, this.#signingKey);
    this.#published.signed(expiresAt * 1000);
    return {
      headers: [header, jwt],
      // Renewed at half its life, so that an upstream always gets one with time left.
      reusableUntilMs: nowMs + (expiresAt * 1000 - nowMs) / 2,
    };
  }

  /**
   * `signed_metadata` of a protected resource (RFC 9728 section 2.2). Its type is its own and its issuer is the resource, so
   * that nothing takes it for an assertion.
   */
  signMetadata(resource: string, metadata: JsonObject): SignedMetadata {
    const issuedAt = Math.floor(this.#clock.nowMs() / 1000);
    const expiresAt = issuedAt + METADATA_LIFETIME_SECONDS;
    const signed = { ...metadata, iss: resource, iat: issuedAt, exp: expiresAt };
    const jwt = signJws(this.#encodedMetadataHeader, signed, this.#signingKey);
    return { jwt, renewAtMs: (issuedAt + METADATA_LIFETIME_SECONDS / 2) * 1000 };
  }
}

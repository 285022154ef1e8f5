/**
 * The API keys of one issuer as tokens: from an entry to what every later step asks of a token. The entry is looked up for each
 * request, so that a key that is gone is refused at once; what is made of it is kept by the entry. Rules X1, X3.
 */
import { authenticToken, type RevocableClaim } from '../token/authentic-token.ts';
import type { ClaimNames } from '../token/claim-names.ts';
import type { ClaimPath, JsonObject } from '../token/claims.ts';
import type { Verification } from '../token/token-verifier.ts';
import type { ApiKeyEntry, ApiKeySource } from './api-key.ts';
import { presentedForm } from './key-text.ts';

export interface ApiKeyPolicy {
  /** The configured name, which stands for `iss`. */
  readonly issuerName: string;
  /** Where the claims of an entry may have a tenant; empty: they do not say. */
  readonly tenant: readonly ClaimPath[];
  readonly revocableClaims: readonly RevocableClaim[];
}

export class ApiKeyVerifier {
  readonly policy: ApiKeyPolicy;
  readonly source: ApiKeySource;
  readonly #claimNames: ClaimNames;
  readonly #made = new WeakMap<ApiKeyEntry, Verification>();

  constructor(policy: ApiKeyPolicy, source: ApiKeySource) {
    this.policy = policy;
    this.source = source;
    // What an entry says in fields of its own, it says there alone.
    this.#claimNames = {
      subject: [['sub']],
      client: [['client_id']],
      scopes: [['scope']],
      session: [],
      tenant: policy.tenant,
      loginTime: [['auth_time']],
    };
  }

  /** As find, for a key that has passed before: its text was looked at then, and one digest has one text. */
  known(digest: string): Verification | undefined {
    const entry = this.source.find(digest);
    return entry && this.#made.get(entry);
  }

  /**
   * @param digest SHA-256 of the whole key, base64url; its text has the form of a key
   * @returns undefined where no entry has this key; whether it has expired or is revoked is looked at behind
   * @throws GatewayError 401 `claim` where a claim by which keys are revoked is too long to be looked through
   */
  find(digest: string): Verification | undefined {
    const entry = this.source.find(digest);
    if (entry === undefined) return undefined;
    let made = this.#made.get(entry);
    if (made === undefined) {
      made = { token: this.#tokenOf(entry, digest), cache: undefined };
      this.#made.set(entry, made);
    }
    return made;
  }

  #tokenOf(entry: ApiKeyEntry, digest: string): Verification['token'] {
    const { issuerName, revocableClaims } = this.policy;
    return authenticToken({
      issuerName,
      issuer: issuerName,
      claims: claimsOf(entry),
      names: this.#claimNames,
      digest: () => presentedForm(entry.sha256),
      // The gateway's own clock decides, and no other.
      clockSkewSeconds: 0,
      futureIatSeconds: 0,
      revocableClaims,
      hasEnded: () => this.source.find(digest) === undefined,
    });
  }
}

/** The claims of a key: those of its entry, and its fields under the names that tokens have for them. */
export function claimsOf({ id, subject, client, scopes, claims, created, expires }: ApiKeyEntry): JsonObject {
  return {
    ...claims,
    ...(subject !== undefined && { sub: subject }),
    ...(client !== undefined && { client_id: client }),
    scope: scopes.join(' '),
    ...(expires !== undefined && { exp: expires }),
    ...(created !== undefined && { iat: created }),
    jti: id,
  };
}

/** An API key as the API sends it: one type for the API, the command line and the page. Types only. */

/** Dates are seconds since 1970. */
export interface ApiKeyJson {
  readonly issuer: string;
  readonly id: string;
  readonly state: 'active' | 'expired' | 'revoked';
  readonly subject: string | null;
  readonly client: string | null;
  readonly scopes: readonly string[];
  readonly claims: Readonly<Record<string, unknown>>;
  readonly note: string | null;
  readonly created_at: number | null;
  readonly created_by: string;
  /** Null: it does not expire. */
  readonly expires_at: number | null;
  /** Null: not yet, as far as it was written down. */
  readonly last_used_at: number | null;
  /** The id of the key that has taken its place. */
  readonly replaced_by: string | null;
  readonly revoked_at: number | null;
  readonly revoked_by: string | null;
  /** Why it was revoked. */
  readonly reason: string | null;
}

/** Which gateways of the fleet go by a change. */
export interface KnownJson {
  /** That share the store, this one among them. */
  readonly gateways: number;
  readonly know: number;
  /** Those that did not say so within two seconds. */
  readonly unconfirmed: readonly string[];
}

/** The response to POST /v1/api-keys. */
export interface NewApiKeyJson extends ApiKeyJson {
  /** The key itself. It is shown here, and nowhere else. */
  readonly key: string;
  readonly confirmed: KnownJson;
}

/** The response to POST /v1/api-keys/ISSUER/ID/rotate: the new key. */
export interface RotatedApiKeyJson extends NewApiKeyJson {
  /** The one before it. */
  readonly before: ApiKeyJson;
}

/** The response to DELETE /v1/api-keys/ISSUER/ID. */
export interface RevokedApiKeyJson extends ApiKeyJson {
  readonly confirmed: KnownJson;
}

/** The response to GET /v1/api-keys. */
export interface ApiKeyListJson {
  /** Those whose keys are in the store. */
  readonly issuers: readonly string[];
  /** False: the store is unavailable, and this is what the gateway knew before. */
  readonly current: boolean;
  /** The latest first. */
  readonly api_keys: readonly ApiKeyJson[];
  /** For the next page; null on the last one. */
  readonly cursor: string | null;
}

/** An API key as the gateway stores it, and where its gateway finds it. Rule X1. */
import type { JsonObject } from '../token/claims.ts';

/** What is stored of an API key. Nothing of it authenticates: the key itself is shown once, to the one who creates it. */
export interface ApiKeyEntry {
  /** Unique within its issuer; names the key in logs, in lists and where it is revoked. */
  readonly id: string;
  /** SHA-256 of the whole key, as 64 lower-case hexadecimal digits. */
  readonly sha256: string;
  readonly subject: string | undefined;
  readonly client: string | undefined;
  readonly scopes: readonly string[];
  /** Further claims. */
  readonly claims: JsonObject;
  /** NumericDate, in seconds; undefined where it is not known. */
  readonly created: number | undefined;
  /** NumericDate, in seconds; undefined: it does not expire. */
  readonly expires: number | undefined;
  readonly note: string | undefined;
}

/** The keys of one issuer, as this process knows them. A look-up waits for nothing. */
export interface ApiKeySource {
  /** @param sha256 64 lower-case hexadecimal digits */
  find(sha256: string): ApiKeyEntry | undefined;
  /** Changes whenever an entry does, so that what was found may be kept until then. */
  readonly generation: number;
}

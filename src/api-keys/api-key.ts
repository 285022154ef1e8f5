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
  /**
   * The same object as long as the entry has not changed: what was made of an entry is kept by it.
   *
   * @param digest SHA-256 of the whole key in base64url, as the line has it (presentedForm of key-text.ts makes it of `sha256`)
   */
  find(digest: string): ApiKeyEntry | undefined;
  /** All of them, expired ones too: for metrics and warnings. */
  readonly entries: Iterable<ApiKeyEntry>;
  /** False: the store was not heard of for some time, or never, so that a key that is not found may be a good one. */
  readonly isCurrent: boolean;
}

/** Of an issuer whose keys are in a store that this process does not look into. */
export const NOT_AT_HAND: ApiKeySource = { find: () => undefined, entries: [], isCurrent: false };

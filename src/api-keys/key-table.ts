/**
 * The keys of one issuer in memory, found by their digests. Pure. Rule X1.
 *
 * A client learns nothing from the time that a look-up takes. A key is never compared, only the SHA-256 of what came: a
 * client cannot choose with what a digest begins, but by trying hashes, and what it learned of a stored digest would tell nothing of the
 * 256 random bits behind it. And a Map compares hashes with a seed of this process first, and digests only where these agree.
 * To compare what the Map has found once more, in constant time, would add nothing to that (docs/decisions/api-keys.md).
 */
import type { ApiKeyEntry, ApiKeySource } from './api-key.ts';
import { presentedForm } from './key-text.ts';

export class KeyTable implements ApiKeySource {
  readonly isCurrent = true;
  readonly #byDigest = new Map<string, ApiKeyEntry>();

  constructor(entries: Iterable<ApiKeyEntry> = []) {
    for (const entry of entries) this.set(entry);
  }

  get size(): number {
    return this.#byDigest.size;
  }

  get entries(): readonly ApiKeyEntry[] {
    return [...this.#byDigest.values()];
  }

  find(digest: string): ApiKeyEntry | undefined {
    return this.#byDigest.get(digest);
  }

  /** Adds an entry, or puts it in the place of one with the same key. */
  set(entry: ApiKeyEntry): void {
    this.#byDigest.set(presentedForm(entry.sha256), entry);
  }

  /** @param sha256 as an entry has it */
  delete(sha256: string): void {
    this.#byDigest.delete(presentedForm(sha256));
  }
}

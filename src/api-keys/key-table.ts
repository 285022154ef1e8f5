/**
 * The keys of one issuer in memory, found by their digests. Pure. Rule X1.
 *
 * A look-up takes the same time whatever the client guesses, as far as it could learn from it. What is compared is never a key, but the
 * SHA-256 of what came: to make a guess whose digest begins like a stored one, a client must try hashes in vain, and what it
 * learned of a digest would tell nothing of the 256 random bits behind it. The Map, whose comparison may end at the first
 * difference, sees half of a digest only; the whole is compared in constant time.
 */
import { timingSafeEqual } from 'node:crypto';
import type { ApiKeyEntry, ApiKeySource } from './api-key.ts';
import { presentedForm } from './key-text.ts';

/** SHA-256 in base64url. */
const DIGEST_CHARACTERS = 43;
/** 132 bits: no two keys share them. */
const FIRST_CHARACTERS = 22;

interface Kept {
  readonly digest: string;
  readonly entry: ApiKeyEntry;
}

export class KeyTable implements ApiKeySource {
  /** By the first characters of the digest. */
  readonly #kept = new Map<string, Kept>();
  /** Written before each comparison: a look-up makes no object. */
  readonly #presented = Buffer.alloc(DIGEST_CHARACTERS);
  readonly #stored = Buffer.alloc(DIGEST_CHARACTERS);

  constructor(entries: Iterable<ApiKeyEntry> = []) {
    for (const entry of entries) this.set(entry);
  }

  get size(): number {
    return this.#kept.size;
  }

  find(digest: string): ApiKeyEntry | undefined {
    const kept = this.#kept.get(digest.slice(0, FIRST_CHARACTERS));
    if (kept === undefined || digest.length !== DIGEST_CHARACTERS) return undefined;
    this.#presented.write(digest, 'latin1');
    this.#stored.write(kept.digest, 'latin1');
    return timingSafeEqual(this.#presented, this.#stored) ? kept.entry : undefined;
  }

  /** Adds an entry, or puts it in the place of one with the same key. */
  set(entry: ApiKeyEntry): void {
    const digest = presentedForm(entry.sha256);
    this.#kept.set(digest.slice(0, FIRST_CHARACTERS), { digest, entry });
  }

  /** @param sha256 as an entry has it */
  delete(sha256: string): void {
    this.#kept.delete(presentedForm(sha256).slice(0, FIRST_CHARACTERS));
  }

  get entries(): readonly ApiKeyEntry[] {
    return [...this.#kept.values()].map(({ entry }) => entry);
  }
}

/**
 * The keys that a set has now, and what follows where others take their place. Keys that stay keep their identity, and so
 * what was verified with them; keys that left are retired. Rules K3, K5.
 */
import type { SignatureAlgorithm } from './algorithms.ts';
import { candidatesIn } from './key-set.ts';
import type { VerificationKey } from './verification-key.ts';

export class CurrentKeys {
  #keys: readonly VerificationKey[] = [];
  #generation = 0;

  /** Changes whenever the keys do. */
  get generation(): number {
    return this.#generation;
  }

  get all(): readonly VerificationKey[] {
    return this.#keys;
  }

  candidates(keyId: string | undefined, algorithm: SignatureAlgorithm): readonly VerificationKey[] {
    return candidatesIn(this.#keys, keyId, algorithm);
  }

  replace(fetched: readonly VerificationKey[]): void {
    const known = new Map(this.#keys.map((key) => [key.fingerprint, key]));
    const next = fetched.map((key) => known.get(key.fingerprint) ?? key);
    const changed = next.length !== this.#keys.length || next.some((key) => !known.has(key.fingerprint));
    for (const key of this.#keys) key.retired = !next.includes(key);
    this.#keys = next;
    if (changed) this.#generation++;
  }
}

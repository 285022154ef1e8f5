/**
 * The keys of one issuer, at hand without waiting. Rules J3, K1 to K5.
 */
import type { SignatureAlgorithm } from './algorithms.ts';
import type { VerificationKey } from './verification-key.ts';

/** What asking for keys anew has come to. */
export type Refetch = 'fetched' | 'too_soon' | 'failed';

export interface KeySet {
  /** Changes whenever the keys do: a refusal that hung on the old keys is to be thought over. */
  readonly generation: number;
  /** False while there are no keys that may be used: never fetched, or older than `max_stale`. */
  readonly available: boolean;
  /** The keys that may have signed this; several where the kid is shared or absent. */
  candidates(keyId: string | undefined, algorithm: SignatureAlgorithm): readonly VerificationKey[];
  /**
   * Looks for new keys, since a kid is unknown. Bounded whatever is asked (rule K2).
   *
   * @returns `too_soon` where the last fetch was a moment ago and worked, `failed` where the last one did not
   */
  refetch(): Promise<Refetch>;
}

/** More candidates than this for one token are not tried: each costs a signature check. */
const MAX_CANDIDATES = 4;

/** Picks from a list; shared by all kinds of key sets. */
export function candidatesIn(
  keys: readonly VerificationKey[],
  keyId: string | undefined,
  algorithm: SignatureAlgorithm,
): readonly VerificationKey[] {
  return keys
    .filter((key) => key.algorithms.has(algorithm) && (keyId === undefined || key.keyId === keyId))
    .slice(0, MAX_CANDIDATES);
}

/** Keys from the configuration, which change only with it. */
export class StaticKeySet implements KeySet {
  readonly generation = 0;
  readonly available = true;
  readonly #keys: readonly VerificationKey[];
  /** A shared secret serves whatever kid a token names. */
  readonly #ignoreKeyId: boolean;

  constructor(keys: readonly VerificationKey[], options: { ignoreKeyId: boolean }) {
    this.#keys = keys;
    this.#ignoreKeyId = options.ignoreKeyId;
  }

  candidates(keyId: string | undefined, algorithm: SignatureAlgorithm): readonly VerificationKey[] {
    return candidatesIn(this.#keys, this.#ignoreKeyId ? undefined : keyId, algorithm);
  }

  async refetch(): Promise<Refetch> {
    return 'too_soon';
  }
}

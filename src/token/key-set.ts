/**
 * The keys of one issuer, at hand without waiting. Rules J3, K1 to K5.
 */
import { isHmac, type SignatureAlgorithm } from './algorithms.ts';
import type { TokenCaller } from './token-verifier.ts';
import type { VerificationKey } from './verification-key.ts';

export interface KeySet {
  /** Changes whenever the keys do: a refusal that hung on the old keys is to be thought over. */
  readonly generation: number;
  /** False while there are no keys that may be used: never fetched, or older than `max_stale`. */
  readonly available: boolean;
  /** The keys that may have signed this; several where the kid is shared or absent. */
  candidates(keyId: string | undefined, algorithm: SignatureAlgorithm): readonly VerificationKey[];
  /** True where the keys change only with the configuration: there is nothing to wait for. */
  readonly isFixed: boolean;
  /**
   * Waits for a key that is not there. The authorization server is asked one call at a time and at most once every few
   * seconds, whatever waits (rule K2), and few may wait, each for a few seconds (rule K0).
   *
   * @param isFound is the key there now?
   * @returns true once it is found, or a fetch that began after this call has succeeded without it; false where it is
   *          unknown: the authorization server could not be asked, or too many wait
   */
  refetch(caller: TokenCaller, isFound: () => boolean): Promise<boolean>;
}

/** What a forced fetch came to. */
export interface KeyChange {
  readonly fetched: boolean;
  readonly added: readonly VerificationKey[];
  readonly removed: readonly VerificationKey[];
}

/** Keys behind a URL, which change by themselves. */
export interface RefreshedKeySet extends KeySet {
  /** Resolves once the set was fetched, or has failed once; it goes on from there. */
  start(): Promise<void>;
  stop(): void;
  /** The same set is fetched in another way from now on. */
  fetchBy(fetchDocument: () => Promise<unknown>): void;
  /** Fetches now, whatever the cooldown. */
  force(): Promise<KeyChange>;
  /** Forces a fetch as soon as the cooldown permits, unless one has begun since then (on the monotonic clock). */
  renew(sinceMs: number): void;
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
  readonly isFixed = true;
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

  async refetch(): Promise<boolean> {
    return true;
  }
}

/**
 * A shared secret beside a set of public keys, while an issuer goes over from one to the other. HS* is for the secret
 * alone: it never looks at the set, waits for it or has it fetched. Everything else is for the set alone (rules C5, J5).
 */
export class SecretBesideSet implements KeySet {
  readonly #secret: KeySet;
  readonly #set: KeySet;

  constructor(secret: KeySet, set: KeySet) {
    this.#secret = secret;
    this.#set = set;
  }

  get generation(): number {
    return this.#set.generation;
  }

  get available(): boolean {
    return this.#set.available;
  }

  get isFixed(): boolean {
    return this.#set.isFixed;
  }

  candidates(keyId: string | undefined, algorithm: SignatureAlgorithm): readonly VerificationKey[] {
    return (isHmac(algorithm) ? this.#secret : this.#set).candidates(keyId, algorithm);
  }

  refetch(caller: TokenCaller, isFound: () => boolean): Promise<boolean> {
    return this.#set.refetch(caller, isFound);
  }
}

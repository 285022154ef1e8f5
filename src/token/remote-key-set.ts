/**
 * A key set behind a URL: loaded at start, refreshed in the background, served while its endpoint is down.
 * No request waits for a refresh while its kid is known. Rules K1 to K5.
 *
 * jose's remote key set is not used: it has no stale-while-error, its cooldown follows only successful
 * fetches, and it has no size cap.
 */
import type { Clock } from '../clock.ts';
import type { SignatureAlgorithm } from './algorithms.ts';
import { candidatesIn, type KeySet, type Refetch } from './key-set.ts';
import { importKeySet, type VerificationKey } from './verification-key.ts';

/** A flood of unknown kids causes at most one fetch in this time, whether the last one worked or failed. */
const REFETCH_INTERVAL_MS = 5_000;
/** While the endpoint is down it is asked again after the interval above, then twice that, up to this. */
const MAX_RETRY_MS = 30_000;
/** Gateways that started together must not ask together. */
const JITTER = 0.1;

export interface RemoteKeySetOptions {
  /** Fetches and parses the JWK Set; its caps are its own. */
  readonly fetchDocument: () => Promise<unknown>;
  readonly algorithms: readonly SignatureAlgorithm[];
  readonly refreshMs: number;
  readonly maxStaleMs: number;
  readonly clock: Clock;
  readonly observer: KeySetObserver;
}

/** What happens to a key set, for metrics and logs. */
export interface KeySetObserver {
  refreshed(skipped: readonly string[]): void;
  failed(error: unknown): void;
}

export class RemoteKeySet implements KeySet {
  readonly #options: RemoteKeySetOptions;
  #keys: readonly VerificationKey[] = [];
  #generation = 0;
  #failures = 0;
  #fetching: Promise<boolean> | undefined;
  #lastStartMs = -Infinity;
  #lastSuccessMs = -Infinity;
  #cancelRefresh: () => void = () => undefined;
  #cancelExpiry: () => void = () => undefined;
  #stopped = false;

  constructor(options: RemoteKeySetOptions) {
    this.#options = options;
  }

  get generation(): number {
    return this.#generation;
  }

  get available(): boolean {
    return this.#options.clock.monotonicMs() - this.#lastSuccessMs <= this.#options.maxStaleMs;
  }

  /** Resolves once the set was fetched or has failed once; it goes on by itself from there. */
  async start(): Promise<void> {
    await this.#fetch();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelRefresh();
    this.#cancelExpiry();
  }

  candidates(keyId: string | undefined, algorithm: SignatureAlgorithm): readonly VerificationKey[] {
    return candidatesIn(this.#keys, keyId, algorithm);
  }

  async refetch(): Promise<Refetch> {
    const due = this.#options.clock.monotonicMs() - this.#lastStartMs >= REFETCH_INTERVAL_MS;
    if (!this.#fetching && !due) return this.#failures > 0 ? 'failed' : 'too_soon';
    return (await this.#fetch()) ? 'fetched' : 'failed';
  }

  /** One fetch at a time; whoever asks meanwhile shares it. */
  #fetch(): Promise<boolean> {
    this.#fetching ??= this.#fetchOnce().finally(() => {
      this.#fetching = undefined;
      this.#scheduleRefresh();
    });
    return this.#fetching;
  }

  async #fetchOnce(): Promise<boolean> {
    const { fetchDocument, algorithms, clock, observer } = this.#options;
    this.#lastStartMs = clock.monotonicMs();
    try {
      const { keys, skipped } = importKeySet(await fetchDocument(), algorithms);
      this.#replaceKeys(keys);
      this.#failures = 0;
      this.#lastSuccessMs = clock.monotonicMs();
      this.#scheduleExpiry();
      observer.refreshed(skipped);
      return true;
    } catch (error) {
      this.#failures++;
      observer.failed(error);
      return false;
    }
  }

  /** Keys that stay keep their identity, and so what was verified with them; keys that left are retired. */
  #replaceKeys(fetched: readonly VerificationKey[]): void {
    const known = new Map(this.#keys.map((key) => [key.fingerprint, key]));
    const next = fetched.map((key) => known.get(key.fingerprint) ?? key);
    const changed = next.length !== this.#keys.length || next.some((key) => !known.has(key.fingerprint));
    for (const key of this.#keys) key.current = next.includes(key);
    this.#keys = next;
    if (changed) this.#generation++;
  }

  #scheduleRefresh(): void {
    this.#cancelRefresh();
    if (this.#stopped) return;
    const { refreshMs, clock } = this.#options;
    const backoffMs = Math.min(REFETCH_INTERVAL_MS * 2 ** (this.#failures - 1), MAX_RETRY_MS);
    const delayMs = this.#failures === 0 ? refreshMs : backoffMs;
    // Retries spread upwards, so that none comes before its interval.
    const spread = (this.#failures === 0 ? 1 - JITTER : 1) + JITTER * Math.random();
    this.#cancelRefresh = clock.after(delayMs * spread, () => void this.#fetch());
  }

  /** Beyond `max_stale` the keys are not used any more, nor what they verified. */
  #scheduleExpiry(): void {
    this.#cancelExpiry();
    if (this.#stopped) return;
    this.#cancelExpiry = this.#options.clock.after(this.#options.maxStaleMs, () => this.#replaceKeys([]));
  }
}

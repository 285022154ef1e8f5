/**
 * A key set behind a URL: loaded at start, refreshed in the background, served while its endpoint is down.
 * No request waits for a refresh while its kid is known. Rules K0 to K5.
 *
 * jose's remote key set is not used: it has no stale-while-error, its cooldown follows only successful
 * fetches, and it has no size cap.
 */
import type { Clock } from '../clock.ts';
import type { SignatureAlgorithm } from './algorithms.ts';
import { CurrentKeys } from './current-keys.ts';
import type { KeyChange, RefreshedKeySet } from './key-set.ts';
import { KeyWaiters } from './key-waiters.ts';
import type { TokenCaller } from './token-verifier.ts';
import { importKeySet, type KeyImport, type VerificationKey } from './verification-key.ts';

/** A flood of unknown kids causes at most one fetch in this time, whether the last one worked or failed. */
export const REFETCH_INTERVAL_MS = 5_000;
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
  /** REFETCH_INTERVAL_MS for a gateway; 0 where one token is looked at once. */
  readonly refetchIntervalMs: number;
  /** Where the last good key set outlives the process; undefined: nowhere. */
  readonly storage: KeyStorage | undefined;
  readonly clock: Clock;
  readonly observer: KeySetObserver;
  /** Of a set that workers follow: told of what each fetch has come to, and awaited before the fetch counts as done. */
  readonly told?: (news: KeySetNews) => Promise<void>;
}

/** What a fetch has come to, for those that follow the set. */
export interface KeySetNews {
  /** Of the fetch: they are counted from 1. */
  readonly fetch: number;
  /** The members that may be used, and how old they are; undefined: the fetch has failed. */
  readonly set: { readonly keys: readonly object[]; readonly ageMs: number } | undefined;
}

/** Keeps the last good key set of one issuer and source. It reports its own failures and throws nothing. */
export interface KeyStorage {
  /** The members of the set that was saved last, and how old it is; undefined where there is none that may be used. */
  load(): Promise<{ readonly document: unknown; readonly ageMs: number } | undefined>;
  /** Takes the set and writes it by and by. @param keys public JWKs */
  save(keys: readonly object[]): void;
}

/** What happens to a key set, for metrics and logs. */
export interface KeySetObserver {
  refreshed(skipped: KeyImport['skipped']): void;
  /** The keys come from the storage, and were fetched this long ago. */
  restored(ageMs: number): void;
  failed(error: unknown): void;
}

export class RemoteKeySet implements RefreshedKeySet {
  readonly isFixed = false;
  readonly #options: RemoteKeySetOptions;
  readonly #waiters: KeyWaiters;
  #fetchDocument: RemoteKeySetOptions['fetchDocument'];
  readonly #keys = new CurrentKeys();
  #failures = 0;
  /** Fetches that have begun. */
  #begun = 0;
  #fetching: Promise<boolean> | undefined;
  #forced: Promise<boolean> | undefined;
  #lastStartMs = -Infinity;
  #lastSuccessMs = -Infinity;
  #cancelRefresh: () => void = () => undefined;
  #cancelDemand: (() => void) | undefined;
  #cancelRenewal: (() => void) | undefined;
  #cancelExpiry: () => void = () => undefined;
  #stopped = false;

  constructor(options: RemoteKeySetOptions) {
    this.#options = options;
    this.#fetchDocument = options.fetchDocument;
    this.#waiters = new KeyWaiters(options.clock);
  }

  get generation(): number {
    return this.#keys.generation;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  get available(): boolean {
    return this.#options.clock.monotonicMs() - this.#lastSuccessMs <= this.#options.maxStaleMs;
  }

  /** Resolves once the set was fetched, or has failed once and what is stored was looked at; it goes on from there. */
  async start(): Promise<void> {
    await this.#fetch();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelRefresh();
    this.#cancelDemand?.();
    this.#cancelRenewal?.();
    this.#cancelExpiry();
    this.#waiters.failed();
  }

  candidates(keyId: string | undefined, algorithm: SignatureAlgorithm): readonly VerificationKey[] {
    return this.#keys.candidates(keyId, algorithm);
  }

  async refetch(caller: TokenCaller, isFound: () => boolean): Promise<boolean> {
    if (this.#isDown) return false;
    const decided = this.#waiters.join(caller, this.#begun, isFound);
    if (decided === undefined) return false;
    this.#demand();
    return decided;
  }

  /**
   * As refetch, for those that follow the set and wait for themselves.
   *
   * @returns how many fetches have begun before this; undefined where none is to be waited for
   */
  ask(): number | undefined {
    if (this.#isDown) return undefined;
    const begun = this.#begun;
    this.#demand();
    return begun;
  }

  /** The same set is fetched in another way from now on, and at once. The keys that are there stay until then. */
  fetchBy(fetchDocument: RemoteKeySetOptions['fetchDocument']): void {
    this.#fetchDocument = fetchDocument;
    void this.force();
  }

  /**
   * Fetches now, whatever the cooldown. A fetch in flight does not count: it may have read the set before the change
   * that this is about.
   */
  async force(): Promise<KeyChange> {
    const before = this.#keys.all;
    const fetched = await (this.#forced ??= this.#fetchAfter(this.#fetching));
    const after = this.#keys.all;
    return {
      fetched,
      added: after.filter((key) => !before.includes(key)),
      removed: before.filter((key) => !after.includes(key)),
    };
  }

  /**
   * Forces a fetch as soon as the cooldown permits: this gateway may have missed that it was told to.
   *
   * @param sinceMs on the monotonic clock; a fetch that began later counts
   */
  renew(sinceMs: number): void {
    if (this.#stopped || this.#cancelRenewal || this.#lastStartMs >= sinceMs) return;
    this.#cancelRenewal = this.#options.clock.after(Math.max(this.#untilDueMs, 0), () => {
      this.#cancelRenewal = undefined;
      void this.force();
    });
  }

  async #fetchAfter(inFlight: Promise<boolean> | undefined): Promise<boolean> {
    await inFlight;
    // Who forces one from here on needs a fetch that begins later than this one.
    this.#forced = undefined;
    return this.#fetch();
  }

  /** While the endpoint is down nothing waits for the next failure: 503 at once. */
  get #isDown(): boolean {
    return this.#failures > 0 && !this.#fetching && this.#untilDueMs > 0;
  }

  get #untilDueMs(): number {
    const { clock, refetchIntervalMs } = this.#options;
    return this.#lastStartMs + refetchIntervalMs - clock.monotonicMs();
  }

  /** Sees to it that a fetch begins as soon as the cooldown permits, one for all who wait. */
  #demand(): void {
    if (this.#fetching || this.#cancelDemand) return;
    const delayMs = this.#untilDueMs;
    if (delayMs <= 0) {
      void this.#fetch();
      return;
    }
    this.#cancelDemand = this.#options.clock.after(delayMs, () => {
      this.#cancelDemand = undefined;
      void this.#fetch();
    });
  }

  /** One fetch at a time, shared by all who ask meanwhile. */
  #fetch(): Promise<boolean> {
    this.#fetching ??= this.#fetchOnce().finally(() => {
      this.#fetching = undefined;
      this.#scheduleRefresh();
      // Some came while it was in flight: it may have read the set before their keys were there.
      if (this.#waiters.size > 0) this.#demand();
    });
    return this.#fetching;
  }

  async #fetchOnce(): Promise<boolean> {
    const { clock, observer } = this.#options;
    this.#cancelDemand?.();
    this.#cancelDemand = undefined;
    const number = ++this.#begun;
    this.#lastStartMs = clock.monotonicMs();
    try {
      const imported = importKeySet(await this.#fetchDocument(), this.#options.algorithms);
      this.#take(imported, 0);
      this.#failures = 0;
      observer.refreshed(imported.skipped);
      await this.#options.told?.({ fetch: number, set: { keys: imported.accepted, ageMs: 0 } });
      this.#waiters.fetched(number);
      this.#options.storage?.save(imported.accepted);
      return true;
    } catch (error) {
      this.#failures++;
      // One that was cut off because the gateway ends says nothing about the authorization server.
      if (!this.#stopped) observer.failed(error);
      const restored = number === 1 ? await this.#restore() : undefined;
      await this.#options.told?.({ fetch: number, set: restored });
      this.#waiters.failed();
      return false;
    }
  }

  /** The authorization server has not been reached since the start: what it said before that is better than nothing. */
  async #restore(): Promise<KeySetNews['set']> {
    const { storage, algorithms, maxStaleMs, observer } = this.#options;
    const stored = await storage?.load();
    if (stored === undefined || stored.ageMs > maxStaleMs) return undefined;
    const { ageMs } = stored;
    const imported = importKeySet(stored.document, algorithms);
    this.#take(imported, ageMs);
    observer.restored(ageMs);
    return { keys: imported.accepted, ageMs };
  }

  #take({ keys }: KeyImport, ageMs: number): void {
    this.#keys.replace(keys);
    this.#lastSuccessMs = this.#options.clock.monotonicMs() - ageMs;
    this.#scheduleExpiry();
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
    const leftMs = this.#lastSuccessMs + this.#options.maxStaleMs - this.#options.clock.monotonicMs();
    this.#cancelExpiry = this.#options.clock.after(leftMs, () => this.#keys.replace([]));
  }
}

/**
 * A key set as a worker has it: the primary fetches, and tells of each fetch. Requests wait here for keys that are not there
 * yet; that they do makes the primary fetch. Rules K0 to K3, K5.
 */
import type { Clock } from '../clock.ts';
import type { SignatureAlgorithm } from '../token/algorithms.ts';
import { CurrentKeys } from '../token/current-keys.ts';
import type { KeyChange, RefreshedKeySet } from '../token/key-set.ts';
import { KeyWaiters } from '../token/key-waiters.ts';
import type { KeySetNews, RemoteKeySetOptions } from '../token/remote-key-set.ts';
import type { TokenCaller } from '../token/token-verifier.ts';
import { importKeySet, type VerificationKey } from '../token/verification-key.ts';
import type { PrimaryCalls } from './calls.ts';
import type { Channel } from './channel.ts';

export class CopiedKeySet implements RefreshedKeySet {
  readonly isFixed = false;
  readonly #source: string;
  readonly #options: Pick<RemoteKeySetOptions, 'algorithms' | 'maxStaleMs'>;
  readonly #primary: Channel<PrimaryCalls>;
  readonly #clock: Clock;
  readonly #waiters: KeyWaiters;
  readonly #stopped: () => void;
  readonly #keys = new CurrentKeys();
  /** Of the fetch that was told of last. */
  #fetch = 0;
  #lastSuccessMs = -Infinity;
  #cancelExpiry: () => void = () => undefined;
  #asking: Promise<unknown> | undefined;
  #nextAsk: Promise<number | undefined> | undefined;

  /** @param stopped called when nothing more need be told */
  constructor(
    source: string,
    options: Pick<RemoteKeySetOptions, 'algorithms' | 'maxStaleMs' | 'clock'>,
    primary: Channel<PrimaryCalls>,
    stopped: () => void,
  ) {
    this.#source = source;
    this.#options = options;
    this.#primary = primary;
    this.#clock = options.clock;
    this.#waiters = new KeyWaiters(options.clock);
    this.#stopped = stopped;
  }

  get generation(): number {
    return this.#keys.generation;
  }

  get available(): boolean {
    return this.#clock.monotonicMs() - this.#lastSuccessMs <= this.#options.maxStaleMs;
  }

  async start(): Promise<void> {
    this.take(await this.#primary.call('keySet', this.#source));
  }

  stop(): void {
    this.#cancelExpiry();
    this.#waiters.failed();
    this.#stopped();
  }

  candidates(keyId: string | undefined, algorithm: SignatureAlgorithm): readonly VerificationKey[] {
    return this.#keys.candidates(keyId, algorithm);
  }

  async refetch(caller: TokenCaller, isFound: () => boolean): Promise<boolean> {
    const begun = await (this.#nextAsk ??= this.#askAfter(this.#asking));
    // The keys may have come meanwhile.
    if (isFound()) return true;
    if (begun === undefined) return false;
    if (this.#fetch > begun) return true;
    return this.#waiters.join(caller, begun, isFound) ?? false;
  }

  /** The primary tells what a fetch has come to. */
  take({ fetch, set }: KeySetNews): void {
    if (fetch < this.#fetch) return;
    this.#fetch = fetch;
    if (!set) {
      this.#waiters.failed();
      return;
    }
    this.#keys.replace(importKeySet({ keys: set.keys }, this.#options.algorithms).keys);
    this.#lastSuccessMs = this.#clock.monotonicMs() - set.ageMs;
    this.#scheduleExpiry();
    this.#waiters.fetched(fetch);
    // Some came while it was in flight: it may have read the set before their keys were there.
    if (this.#waiters.size > 0) void (this.#nextAsk ??= this.#askAfter(this.#asking));
  }

  /** The primary does it, and tells. */
  fetchBy(): void {
    // Nothing is fetched here.
  }

  async force(): Promise<KeyChange> {
    throw new TypeError('a worker forces no fetch');
  }

  renew(): void {
    // Nothing is fetched here.
  }

  /** One call at a time, for all who ask meanwhile; it begins after each of them did. */
  async #askAfter(inFlight: Promise<unknown> | undefined): Promise<number | undefined> {
    await inFlight;
    this.#nextAsk = undefined;
    // Where the primary is gone, so is this worker.
    const asked = this.#primary.call('askKeys', this.#source).catch(() => undefined);
    this.#asking = asked;
    return asked;
  }

  #scheduleExpiry(): void {
    this.#cancelExpiry();
    const leftMs = this.#lastSuccessMs + this.#options.maxStaleMs - this.#clock.monotonicMs();
    this.#cancelExpiry = this.#clock.after(leftMs, () => this.#keys.replace([]));
  }
}

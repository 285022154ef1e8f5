/**
 * The memory of used proofs, and whether it works: so that its loss is noticed, and its return too where no request asks.
 * Requests and this see the same calls.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { ReplayStoreFull, type ReplayStore } from './replay-store.ts';
import { MIN_KEPT_MS } from './used-proofs.ts';

/** Beside the namespaces of what is used once: an id that is asked to see whether the store works again. */
const PROBE = 'probe';
/** How often it is asked while it does not work. It works again once it has failed nothing for so long. */
const PROBE_MS = 5_000;

export interface ReplayOutage {
  /** On the monotonic clock. */
  readonly sinceMs: number;
  /** It is full, and responds. */
  readonly isFull: boolean;
}

export class WatchedReplayStore implements ReplayStore {
  /** Told once when it fails, and once when it works again. */
  onLost: (outage: ReplayOutage, error: unknown) => void = () => undefined;
  /** Told of each further failure in between. */
  onFailing: (error: unknown) => void = () => undefined;
  onBack: (outage: ReplayOutage) => void = () => undefined;
  readonly #store: ReplayStore;
  readonly #clock: Clock;
  #outage: ReplayOutage | undefined;
  #failedAtMs = -Infinity;
  #hasResponded = false;
  #isClosed = false;
  #cancelProbe: () => void = () => undefined;

  constructor(store: ReplayStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Undefined while it works, as far as is known. */
  get outage(): ReplayOutage | undefined {
    return this.#outage;
  }

  /** Has it been asked, with success? It is not before the first proof. */
  get hasResponded(): boolean {
    return this.#hasResponded;
  }

  firstUse(namespace: string, id: string, ttlMs: number): Promise<boolean> {
    return this.#watched(() => this.#store.firstUse(namespace, id, ttlMs));
  }

  isUsed(namespace: string, id: string): Promise<boolean> {
    return this.#watched(() => this.#store.isUsed(namespace, id));
  }

  async #watched(call: () => Promise<boolean>): Promise<boolean> {
    try {
      const answer = await call();
      this.#hasResponded = true;
      if (this.#outage) this.#responded(this.#outage);
      return answer;
    } catch (error) {
      if (!(error instanceof RangeError)) this.#failed(error);
      throw error;
    }
  }

  resize(entries: number): void {
    this.#store.resize(entries);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelProbe();
    await this.#store.close();
  }

  #failed(error: unknown): void {
    if (this.#isClosed) return;
    this.#failedAtMs = this.#clock.monotonicMs();
    if (this.#outage) {
      this.onFailing(error);
      return;
    }
    this.#outage = { sinceMs: this.#failedAtMs, isFull: error instanceof ReplayStoreFull };
    this.onLost(this.#outage, error);
    this.#probeLater();
  }

  /** One that fails now and then is not back: each of its failures would be a loss of its own. */
  #responded(outage: ReplayOutage): void {
    if (this.#clock.monotonicMs() - this.#failedAtMs < PROBE_MS) return;
    this.#cancelProbe();
    this.#outage = undefined;
    this.onBack(outage);
  }

  #probeLater(): void {
    this.#cancelProbe = this.#clock.after(PROBE_MS, () => {
      if (!this.#outage || this.#isClosed) return;
      this.#probeLater();
      this.firstUse(PROBE, randomUUID(), MIN_KEPT_MS).catch(() => undefined);
    });
  }
}

/**
 * The local copy of the revocation list: answers on every request, synchronously, and knows how old it may be.
 *
 * It notes the end of the store's log, loads a snapshot, then follows the log from there, so that nothing falls
 * between. Marks may come twice and in any order: the higher version wins. Rules V1 to V5, V8.
 */
import { EventEmitter } from 'node:events';
import type { Clock } from '../clock.ts';
import type { RevocationKeys } from './revocation-target.ts';
import { compareVersions, type RevocationMark, type RevocationStore } from './revocation-store.ts';

const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 1_000;
const SWEEP_MS = 60_000;

interface ViewEvents {
  /** The list was loaded from the store, at start or after it had been lost. */
  loaded: [];
  /** The store cannot be had. Once for each loss, not for each try. */
  lost: [error: unknown];
  /** Marks were applied; by how much the news was late, in milliseconds of the store's clock. */
  applied: [marks: readonly RevocationMark[]];
}

export class RevocationView extends EventEmitter<ViewEvents> {
  readonly #store: RevocationStore;
  readonly #clock: Clock;
  readonly #marks = new Map<string, RevocationMark>();
  readonly #stopping = new AbortController();
  #freshAtMs = -Infinity;
  #connected = false;
  #lossTold = false;
  #running: Promise<void> | undefined;
  #cancelSweep: () => void = () => undefined;

  constructor(store: RevocationStore, clock: Clock) {
    super();
    this.#store = store;
    this.#clock = clock;
  }

  /** Begins to follow the store, and goes on until stop(). `loaded` is emitted when the list is there. */
  start(): void {
    this.#running ??= this.#run();
    this.#scheduleSweep();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#cancelSweep();
    await this.#running;
  }

  /** Milliseconds since the list was last known to be complete; Infinity before it was ever loaded. */
  get ageMs(): number {
    return this.#clock.monotonicMs() - this.#freshAtMs;
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** Entries in force. */
  get size(): number {
    let size = 0;
    for (const { revoked } of this.#marks.values()) if (revoked) size++;
    return size;
  }

  /**
   * Has a token with these keys been revoked?
   *
   * @param issuedAt its `iat` in seconds; a token without one matches every cutoff
   */
  isRevoked(keys: RevocationKeys, issuedAt: number | undefined): boolean {
    if (this.#marks.size === 0) return false;
    for (const id of keys.exact) {
      if (this.#marks.get(id)?.revoked === true) return true;
    }
    for (const id of keys.cutoffs) {
      const mark = this.#marks.get(id);
      if (mark?.revoked !== true) continue;
      // Both cut to whole seconds: a login within the second of the cutoff is ended too, the next one lives.
      if (issuedAt === undefined || Math.floor(issuedAt) <= (mark.issuedBefore ?? Infinity)) return true;
    }
    return false;
  }

  /** Takes in what the store has said: from its log, or in answer to a change that this gateway made. */
  apply(marks: readonly RevocationMark[]): void {
    for (const mark of marks) {
      const known = this.#marks.get(mark.id);
      const order = known === undefined ? 1 : compareVersions(mark.version, known.version);
      if (order > 0 || (order === 0 && mark.revoked)) this.#marks.set(mark.id, mark);
    }
    if (marks.length > 0) this.emit('applied', marks);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    for (let failures = 0; !signal.aborted;) {
      try {
        await this.#follow(() => (failures = 0));
      } catch (error) {
        this.#connected = false;
        if (signal.aborted) return;
        if (!this.#lossTold) this.emit('lost', error);
        this.#lossTold = true;
        await this.#pause(Math.min(FIRST_RETRY_MS * 2 ** failures++, MAX_RETRY_MS));
      }
    }
  }

  async #follow(succeeded: () => void): Promise<void> {
    const askedAtMs = this.#clock.monotonicMs();
    const position = await this.#store.position();
    for await (const marks of this.#store.snapshot()) this.apply(marks);
    this.#fresh(askedAtMs);
    this.#lossTold = false;
    succeeded();
    this.emit('loaded');
    for await (const batch of this.#store.follow(position, this.#stopping.signal)) {
      this.apply(batch.marks);
      this.#fresh(batch.askedAtMs);
    }
  }

  #fresh(askedAtMs: number): void {
    this.#connected = true;
    this.#freshAtMs = Math.max(this.#freshAtMs, askedAtMs);
  }

  async #pause(delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#clock.after(delayMs, resolve);
    this.#stopping.signal.addEventListener('abort', () => resolve(), { once: true });
    await promise;
    cancel();
  }

  /** Entries that no valid token can match any more are forgotten. */
  #scheduleSweep(): void {
    this.#cancelSweep = this.#clock.after(SWEEP_MS, () => {
      const nowSeconds = this.#clock.nowMs() / 1000;
      for (const [id, { expiresAt }] of this.#marks) if (expiresAt < nowSeconds) this.#marks.delete(id);
      if (!this.#stopping.signal.aborted) this.#scheduleSweep();
    });
  }
}

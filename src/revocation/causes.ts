/**
 * Finds out why tokens are refused. The view knows which entry refuses one, by its id; the store knows who made the entry, and why. It is
 * asked once for an entry, of a few entries at a time, and beside the requests: no response waits for it, and no request fails with it.
 */
import type { Clock } from '../clock.ts';
import type { MaybePromise } from '../maybe-promise.ts';
import { causeOf, type Cause } from './cause.ts';
import { compareVersions, type Version } from './mark.ts';
import type { RevocationStore } from './revocation-store.ts';
import type { RevocationView } from './revocation-view.ts';
import { idOfKey, type RevocableToken, type TargetKey } from './revocation-target.ts';

/** Entries whose cause is remembered; some 300 bytes each. */
const MAX_KNOWN = 2_000;
/** Entries that the store is asked about at a time. */
const MAX_ASKED = 32;
/** Who wants to know, and can wait for a moment. */
const MAX_WAITING = 1_000;
const WAIT_MS = 250;
/** A store that has failed is left alone for so long. */
const PAUSE_MS = 1_000;

interface Known {
  /** Undefined: the store does not have the entry. */
  readonly cause: Cause | undefined;
  /** Of the mark when the store was asked: an entry that was changed since may have another cause. */
  readonly version: Version | undefined;
}

export interface CausesParts {
  readonly store: Pick<RevocationStore, 'find'>;
  readonly view: Pick<RevocationView, 'expiryOf' | 'mark'>;
  readonly clock: Clock;
}

export class Causes {
  readonly #parts: CausesParts;
  /** By id; those that were asked for last stand last. */
  readonly #known = new Map<string, Known>();
  readonly #asked = new Map<string, Promise<Cause | undefined>>();
  /** What ends the waiting of each. */
  readonly #waiting = new Set<() => void>();
  #pausedUntilMs = -Infinity;
  #isStopped = false;

  constructor(parts: CausesParts) {
    this.#parts = parts;
  }

  /**
   * The id of the entry that refuses this token; undefined where none does (any more).
   *
   * @param issuedAt as for RevocationView.isRevoked
   */
  refusingId(token: RevocableToken, issuedAt: number | undefined): string | undefined {
    const { view } = this.#parts;
    const first = (keys: readonly TargetKey[], at: number | undefined): TargetKey | undefined =>
      keys.find((key) => view.expiryOf(key, at) !== undefined);
    const key =
      first(token.tokenKeys, undefined) ??
      first(token.sessionKeys, undefined) ??
      first(token.subjectKeys, token.loggedIn(issuedAt)) ??
      first(token.clientAndClaimKeys, issuedAt);
    return key && idOfKey(key);
  }

  /** The cause where it is known; else it comes within a moment, or is undefined. It never rejects. */
  soon(id: string): MaybePromise<Cause | undefined> {
    const known = this.#remembered(id);
    if (known) return known.cause;
    const asked = this.#ask(id);
    if (!asked || this.#waiting.size >= MAX_WAITING) return undefined;
    const { promise, resolve } = Promise.withResolvers<Cause | undefined>();
    const settle = (cause?: Cause): void => {
      cancel();
      this.#waiting.delete(settle);
      resolve(cause);
    };
    const cancel = this.#parts.clock.after(WAIT_MS, settle);
    this.#waiting.add(settle);
    void asked.then(settle);
    return promise;
  }

  /** What waits goes on without it. */
  stop(): void {
    this.#isStopped = true;
    for (const settle of [...this.#waiting]) settle();
  }

  #remembered(id: string): Known | undefined {
    const known = this.#known.get(id);
    const version = this.#parts.view.mark(id)?.version;
    if (!known || !version || !known.version || compareVersions(known.version, version) !== 0)
      return undefined;
    this.#known.delete(id);
    this.#known.set(id, known);
    return known;
  }

  /** Undefined where it is not asked now. */
  #ask(id: string): Promise<Cause | undefined> | undefined {
    const { clock } = this.#parts;
    const asked = this.#asked.get(id);
    const isBusy = this.#asked.size >= MAX_ASKED || clock.monotonicMs() < this.#pausedUntilMs;
    if (asked || isBusy || this.#isStopped) return asked;
    const asking = this.#find(id).finally(() => this.#asked.delete(id));
    this.#asked.set(id, asking);
    return asking;
  }

  async #find(id: string): Promise<Cause | undefined> {
    const { store, view, clock } = this.#parts;
    const version = view.mark(id)?.version;
    try {
      const entry = await store.find(id);
      const cause = entry && causeOf(entry);
      this.#remember(id, { cause, version });
      return cause;
    } catch {
      this.#pausedUntilMs = clock.monotonicMs() + PAUSE_MS;
      return undefined;
    }
  }

  #remember(id: string, known: Known): void {
    this.#known.delete(id);
    this.#known.set(id, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest);
  }
}

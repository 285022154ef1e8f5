/**
 * The canaries as this process sees them: it looks each one up as it looks up the token of a request, and notes when it is first
 * refused. It remembers which entries of the list were canaries, so that lists and counts can leave them out.
 *
 * The time to refuse is from the version of the entry, which is the store's time when it took it, to the first refusal. The
 * refusal is read on the monotonic clock of this process, and put on the store's clock by a reading of that: so no two hosts
 * need the same time. The error is half of the time that the best of three readings took, and the millisecond to which both
 * times are cut. A store whose last change lies in its future (its clock was set back) gives versions that are later than they
 * are: the time is then too short, 0 at the least. Rules V5, V7.
 */
import type { Clock } from '../clock.ts';
import { canaryId, canaryToken, CANARY_LIFE_SECONDS } from './canary.ts';
import type { RevocationStore } from './revocation-store.ts';
import type { RevocableToken } from './revocation-target.ts';
import type { RevocationView } from './revocation-view.ts';

/** A gateway that has not refused it by then does not. Its entry lives for longer. */
export const CANARY_WATCHED_MS = (CANARY_LIFE_SECONDS * 1000) / 2;
/** A full comparison of the list brings entries without a word: they are looked for now and then. */
const LOOK_MS = 1_000;
const CLOCK_READINGS = 3;
/** More than live at a time, whatever the gateways of a fleet are configured to. */
const MAX_REMEMBERED = 64;

/** When this process first refused a canary. */
export interface CanaryRefusal {
  /** From when the store had it. */
  readonly afterMs: number;
  /** By so much that may be wrong, either way. */
  readonly errorMs: number;
}

interface Waiting {
  readonly token: RevocableToken;
  readonly refused: (atMs: number | undefined) => void;
}

export interface CanariesParts {
  readonly store: Pick<RevocationStore, 'nowMs'>;
  readonly view: RevocationView;
  readonly clock: Clock;
}

export class Canaries {
  readonly #parts: CanariesParts;
  readonly #waiting = new Set<Waiting>();
  /** Ids of entries, the oldest first. */
  readonly #ids = new Set<string>();

  constructor(parts: CanariesParts) {
    this.#parts = parts;
    parts.view.on('applied', () => this.#look());
  }

  /**
   * Looks a canary up until it is refused, for CANARY_WATCHED_MS at most. The first look is at once.
   *
   * @returns undefined where it was not refused by then
   * @throws Error where the store does not say what time it is
   */
  async watch(digest: string): Promise<CanaryRefusal | undefined> {
    const id = this.#remember(digest);
    const refusedAtMs = await this.#firstRefusal(canaryToken(digest));
    const mark = this.#parts.view.mark(id);
    if (refusedAtMs === undefined || !mark) return undefined;
    const { aheadMs, errorMs } = await this.#storeClock();
    return { afterMs: Math.max(0, refusedAtMs + aheadMs - mark.version.timeMs), errorMs };
  }

  /** Is this the id of a canary's entry? As far as this process has heard of it. */
  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /** Canaries among the entries of the view. */
  get inForce(): number {
    const { view } = this.#parts;
    return [...this.#ids].filter((id) => view.mark(id)?.revoked === true).length;
  }

  #remember(digest: string): string {
    const id = canaryId(digest);
    this.#ids.add(id);
    const [oldest] = this.#ids;
    if (this.#ids.size > MAX_REMEMBERED && oldest !== undefined) this.#ids.delete(oldest);
    return id;
  }

  /** On the monotonic clock. */
  async #firstRefusal(token: RevocableToken): Promise<number | undefined> {
    const { clock } = this.#parts;
    const { promise, resolve } = Promise.withResolvers<number | undefined>();
    const waiting = { token, refused: resolve };
    this.#waiting.add(waiting);
    let cancelLook = (): void => undefined;
    const lookAgain = (): void => {
      this.#look();
      cancelLook = clock.after(LOOK_MS, lookAgain);
    };
    const cancelEnd = clock.after(CANARY_WATCHED_MS, () => resolve(undefined));
    lookAgain();
    const atMs = await promise;
    this.#waiting.delete(waiting);
    cancelLook();
    cancelEnd();
    return atMs;
  }

  #look(): void {
    const { view, clock } = this.#parts;
    for (const { token, refused } of this.#waiting)
      if (view.isRevoked(token, undefined)) refused(clock.monotonicMs());
  }

  /** How far the store's clock is ahead of the monotonic one. */
  async #storeClock(): Promise<{ readonly aheadMs: number; readonly errorMs: number }> {
    const { store, clock } = this.#parts;
    let best = { aheadMs: 0, errorMs: Infinity };
    for (let reading = 0; reading < CLOCK_READINGS; reading++) {
      const askedAtMs = clock.monotonicMs();
      const storeMs = await store.nowMs();
      const tookMs = clock.monotonicMs() - askedAtMs;
      const errorMs = tookMs / 2 + 1;
      if (errorMs < best.errorMs) best = { aheadMs: storeMs - (askedAtMs + tookMs / 2), errorMs };
    }
    return best;
  }
}

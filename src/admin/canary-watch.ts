/**
 * The canaries (src/revocation/canary.ts) as this gateway sees them: it hears of each before it is revoked, has it looked up in
 * every process that serves, and says what the last one has shown. A gateway refuses when all its processes do. Rule V7.
 */
import type { CanaryRefusal } from '../revocation/canaries.ts';
import { canaryId, isCanaryDigest } from '../revocation/canary.ts';
import type { Clock } from '../clock.ts';
import type { RevocationStore } from '../revocation/revocation-store.ts';
import type { CanaryReport, HeardCanary } from './fleet-messages.ts';
import { compareCanaries } from './latest-canary.ts';

/** How it ended for this gateway. */
export const CANARY_RESULTS = ['refused', 'missed', 'unknown'] as const;

/** Two that are heard of within this time may have been made at once: the same one stands at every gateway. */
const TOGETHER_MS = 5_000;

export interface CanaryWatchParts {
  readonly store: Pick<RevocationStore, 'find'>;
  /** When each process of this gateway that serves first refused it; undefined for one that did not. */
  readonly look: (digest: string) => Promise<readonly (CanaryRefusal | undefined)[]>;
  readonly clock: Clock;
}

export class CanaryWatch {
  readonly #parts: CanaryWatchParts;
  #last: CanaryReport | undefined;
  #heardAtMs = -Infinity;
  /** Is told when it is known how a canary ended here. */
  onEnd: ((report: CanaryReport) => void) | undefined;

  constructor(parts: CanaryWatchParts) {
    this.#parts = parts;
  }

  /** The latest canary; undefined where none was heard of. */
  get last(): CanaryReport | undefined {
    return this.#last;
  }

  /** When one was last heard of, on the monotonic clock. */
  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  /** Begins to look it up. Resolves when it is known how that ends. */
  async heard({ digest, by, atMs }: HeardCanary): Promise<void> {
    if (!isCanaryDigest(digest)) return;
    const heardAtMs = this.#parts.clock.monotonicMs();
    const areTogether = heardAtMs - this.#heardAtMs < TOGETHER_MS;
    this.#heardAtMs = heardAtMs;
    const waiting: CanaryReport = {
      ...{ id: canaryId(digest), made_by: by, made_at: atMs / 1_000, state: 'waiting' },
      ...{ refused_after_seconds: null, error_seconds: null },
    };
    // Whatever the clock of the store did, the next one is later.
    if (!areTogether || !this.#last || compareCanaries(waiting, this.#last) > 0) this.#last = waiting;
    const ended = { ...waiting, ...(await this.#outcome(digest)) };
    if (this.#last.id === ended.id) this.#last = ended;
    this.onEnd?.(ended);
  }

  async #outcome(digest: string): Promise<Partial<CanaryReport>> {
    const { look, store } = this.#parts;
    try {
      const refusals = await look(digest);
      const done = refusals.filter((refusal) => refusal !== undefined);
      const slowest = done.toSorted((a, b) => b.afterMs - a.afterMs)[0];
      if (slowest && done.length === refusals.length)
        return {
          state: 'refused',
          refused_after_seconds: rounded(slowest.afterMs),
          error_seconds: rounded(slowest.errorMs),
        };
      // Where no process serves, or the store never got it, nothing is shown.
      const isRevoked = refusals.length > 0 && (await store.find(canaryId(digest))) !== undefined;
      return { state: isRevoked ? 'missed' : 'unknown' };
    } catch {
      // The store was lost meanwhile, which the log says.
      return { state: 'unknown' };
    }
  }
}

/** Milliseconds as seconds, to a tenth of a millisecond. */
function rounded(ms: number): number {
  return Math.round(ms * 10) / 10_000;
}

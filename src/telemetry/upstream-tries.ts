/**
 * Counts the result of each request that was sent to a target. The children of the counter are held for each target, so
 * that counting is a look-up by a number and an addition.
 */
import type { CounterChild, HeldCounter } from './metric-children.ts';

/**
 * Why a target's response has no status: `error` (no connection, or no valid response), `timeout`, `refused` (the target
 * did not look at it: it is sent again) or `abandoned` (its client left or stalled, or its token was revoked meanwhile).
 */
export type NoResponse = 'error' | 'timeout' | 'refused' | 'abandoned';

export class UpstreamTries {
  readonly #counter: HeldCounter;
  readonly #upstream: string;
  readonly #target: string;
  readonly #byResult = new Map<number | NoResponse, CounterChild>();
  #epoch: number;

  constructor(counter: HeldCounter, upstream: string, target: string) {
    this.#counter = counter;
    this.#upstream = upstream;
    this.#target = target;
    this.#epoch = counter.epoch;
  }

  /** @param result the status of the response, 100 to 599, or why there is none */
  ended(result: number | NoResponse): void {
    if (this.#epoch !== this.#counter.epoch) {
      this.#byResult.clear();
      this.#epoch = this.#counter.epoch;
    }
    const child = this.#byResult.get(result) ?? this.#child(result);
    child.value++;
  }

  #child(result: number | NoResponse): CounterChild {
    const child = this.#counter.child(this.#upstream, this.#target, result);
    this.#byResult.set(result, child);
    return child;
  }
}

/** Drops the series of targets that are configured no more. */
export function retainTargets(
  counter: HeldCounter,
  targets: readonly { readonly upstream: string; readonly target: string }[],
): void {
  const known = new Set(targets.map(({ upstream, target }) => `${upstream} ${target}`));
  counter.retain(({ upstream, target }) => known.has(`${upstream} ${target}`));
}

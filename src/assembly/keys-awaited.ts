/** How long a gateway that has just started waits for the keys of every issuer (`readiness.require_keys`). */
import type { Clock } from '../clock.ts';
import type { Generation } from './generation.ts';

export class KeysAwaited {
  readonly #clock: Clock;
  readonly #startedAtMs: number;
  /** Keys of every issuer have been there, or the time has passed. */
  #isOver = false;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedAtMs = clock.monotonicMs();
  }

  /** Once it has ended, a later loss of keys does not make the gateway unready: all replicas would go at once. */
  areAwaited({ loaded, issuers }: Pick<Generation, 'loaded' | 'issuers'>): boolean {
    if (this.#isOver) return false;
    const { require_keys: longestMs = 0 } = loaded.configuration.readiness;
    this.#isOver =
      this.#clock.monotonicMs() - this.#startedAtMs >= longestMs ||
      [...issuers.remoteKeySets.values()].every(({ available }) => available);
    return !this.#isOver;
  }
}

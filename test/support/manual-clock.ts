/** A clock that the test moves. It starts at the real time, so that fresh tokens are valid. */
import type { Clock } from '../../src/clock.ts';

export class ManualClock implements Clock {
  #aheadMs = 0;
  #wallStepMs = 0;
  readonly #startMs = Date.now();
  readonly #startMonotonicMs = performance.now();
  readonly #timers = new Set<{ readonly atMs: number; readonly callback: () => void }>();

  nowMs(): number {
    return this.#startMs + this.#elapsedMs() + this.#wallStepMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs();
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.monotonicMs() + delayMs, callback };
    this.#timers.add(timer);
    // Real time counts as well, for delays of milliseconds.
    const real = setTimeout(() => this.#fire(), Math.min(delayMs, 2 ** 31 - 1));
    real.unref();
    return () => {
      this.#timers.delete(timer);
      clearTimeout(real);
    };
  }

  /** Moves both clocks forward. */
  advance(ms: number): void {
    this.#aheadMs += ms;
    this.#fire();
  }

  /** Sets the wall clock forward or back. */
  stepWall(ms: number): void {
    this.#wallStepMs += ms;
  }

  #elapsedMs(): number {
    return performance.now() - this.#startMonotonicMs + this.#aheadMs;
  }

  #fire(): void {
    for (const timer of [...this.#timers]) {
      if (timer.atMs > this.monotonicMs() + 1) continue;
      this.#timers.delete(timer);
      timer.callback();
    }
  }
}

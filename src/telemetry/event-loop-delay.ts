/** Measures how late the process runs what is due: whatever holds it up, holds up every request. */
import type { Clock } from '../clock.ts';
import type { HistogramChild } from './metric-children.ts';

const EVERY_MS = 250;

export class EventLoopDelay {
  readonly #seconds: HistogramChild;
  readonly #clock: Clock;
  #cancel: () => void = () => undefined;

  constructor(seconds: HistogramChild, clock: Clock) {
    this.#seconds = seconds;
    this.#clock = clock;
  }

  /** Samples from now on, until stop(). */
  start(): void {
    const dueMs = this.#clock.monotonicMs() + EVERY_MS;
    this.#cancel = this.#clock.after(EVERY_MS, () => {
      this.#seconds.observe(Math.max(0, this.#clock.monotonicMs() - dueMs) / 1000);
      this.start();
    });
  }

  stop(): void {
    this.#cancel();
  }
}

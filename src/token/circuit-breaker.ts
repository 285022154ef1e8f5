/**
 * Stops asking an authority that does not answer, so that requests fail in milliseconds instead of waiting for
 * its timeout. Pure but for the clock.
 */
import type { Clock } from '../clock.ts';

const FAILURES_TO_OPEN = 3;
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 10_000;

export class CircuitBreaker {
  readonly #clock: Clock;
  #failures = 0;
  #openUntilMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Seconds until it may be asked again, rounded up; 0 while it may be. */
  get pauseSeconds(): number {
    return Math.max(0, Math.ceil((this.#openUntilMs - this.#clock.monotonicMs()) / 1000));
  }

  succeeded(): void {
    this.#failures = 0;
    this.#openUntilMs = 0;
  }

  /** After a pause the next call is the trial: one more failure pauses again, for longer. */
  failed(): void {
    this.#failures++;
    const beyond = this.#failures - FAILURES_TO_OPEN;
    if (beyond < 0) return;
    this.#openUntilMs = this.#clock.monotonicMs() + Math.min(FIRST_PAUSE_MS * 2 ** beyond, MAX_PAUSE_MS);
  }

  /** Claims the trial after a pause, so that only one caller makes it. */
  enter(): void {
    if (this.#failures >= FAILURES_TO_OPEN) this.#openUntilMs = this.#clock.monotonicMs() + FIRST_PAUSE_MS;
  }
}

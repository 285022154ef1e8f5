/**
 * How long answers may take: one coarse timer for all requests under way, instead of two exact ones for each,
 * which a request would pay for although nearly none ever fires.
 */
import type { Clock } from '../clock.ts';

/** A limit is noticed late by at most this. */
const STEP_MS = 200;

/** Something that is to be told when it has taken too long. */
export interface Waiting {
  /** On Patience's own coarse clock; Infinity while nothing is awaited. */
  deadlineMs: number;
  tooLate(): void;
}

export class Patience {
  readonly #clock: Clock;
  readonly #waiting = new Set<Waiting>();
  #nowMs: number;
  #cancel: () => void = () => undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#nowMs = clock.monotonicMs();
    this.#step();
  }

  /** When something that begins now is over its limit. */
  deadlineAfter(limitMs: number): number {
    return this.#nowMs + limitMs + STEP_MS;
  }

  begin(waiting: Waiting): void {
    this.#waiting.add(waiting);
  }

  end(waiting: Waiting): void {
    this.#waiting.delete(waiting);
  }

  stop(): void {
    this.#cancel();
  }

  #step(): void {
    this.#nowMs = this.#clock.monotonicMs();
    for (const waiting of this.#waiting) {
      if (waiting.deadlineMs > this.#nowMs) continue;
      this.#waiting.delete(waiting);
      waiting.tooLate();
    }
    this.#cancel = this.#clock.after(STEP_MS, () => this.#step());
  }
}

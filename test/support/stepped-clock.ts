/** A clock that stands still but for the test. */
import type { Clock } from '../../src/clock.ts';

export interface SteppedClock extends Clock {
  /** Moves both clocks forward. */
  advance(ms: number): void;
  /** Sets the wall clock forward or back. */
  stepWall(ms: number): void;
}

export function steppedClock(): SteppedClock {
  let [elapsedMs, wallMs] = [0, Date.now()];
  return {
    nowMs: () => wallMs,
    monotonicMs: () => elapsedMs,
    after: () => () => undefined,
    advance: (ms) => {
      elapsedMs += ms;
      wallMs += ms;
    },
    stepWall: (ms) => (wallMs += ms),
  };
}

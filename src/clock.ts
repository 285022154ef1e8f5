/**
 * The one source of time. Injected everywhere, so that tests control the clock.
 */
export interface Clock {
  /** Wall-clock time in milliseconds since 1970; may step either way. For token dates only. */
  nowMs(): number;
  /** Milliseconds from an arbitrary start; never steps back. For ages, timeouts and cache lives. */
  monotonicMs(): number;
  /** Calls back once after the delay, without keeping the process alive. Returns a function that cancels. */
  after(delayMs: number, callback: () => void): () => void;
}

/** setTimeout holds at most 2^31 - 1 ms and fires at once beyond. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(delayMs, MAX_TIMER_MS));
    timer.unref();
    return () => clearTimeout(timer);
  },
};

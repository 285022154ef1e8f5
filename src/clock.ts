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

/** How long something takes or is ago, roughly, for people. Pure. */
export function durationText(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} days`;
}

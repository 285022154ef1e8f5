/**
 * Measures how late the process runs what is due: whatever holds it up, holds up every request. One timer for our own histogram and for
 * the gauges that Node's metrics have had for long: each wake-up of a process that rests costs 0.1 to 0.2 ms of CPU.
 */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { Clock } from '../clock.ts';
import type { HistogramChild } from './metric-children.ts';
import type { Metrics } from './metrics.ts';

const EVERY_MS = 250;
const NANOSECONDS = 1e9;

/** In seconds, of the samples since the last scrape. */
const GAUGES: Readonly<Record<string, readonly [help: string, read: (lag: RecordableHistogram) => number]>> =
  {
    min: ['The shortest', ({ min }) => min],
    max: ['The longest', ({ max }) => max],
    mean: ['The mean', ({ mean }) => mean],
    stddev: ['The standard deviation', ({ stddev }) => stddev],
    p50: ['The median', (lag) => lag.percentile(50)],
    p90: ['The 90th percentile', (lag) => lag.percentile(90)],
    p99: ['The 99th percentile', (lag) => lag.percentile(99)],
  };

export class EventLoopDelay {
  readonly #seconds: HistogramChild;
  readonly #clock: Clock;
  /** Nanoseconds. */
  readonly #sinceScrape = createHistogram();
  #cancel: () => void = () => undefined;

  constructor(seconds: HistogramChild, clock: Clock) {
    this.#seconds = seconds;
    this.#clock = clock;
  }

  /** Samples from now on, until stop(). */
  start(): void {
    const dueMs = this.#clock.monotonicMs() + EVERY_MS;
    this.#cancel = this.#clock.after(EVERY_MS, () => {
      const lateSeconds = Math.max(0, this.#clock.monotonicMs() - dueMs) / 1000;
      this.#seconds.observe(lateSeconds);
      // It takes whole numbers from 1 to this.
      const nanoseconds = Math.min(Math.round(lateSeconds * NANOSECONDS), Number.MAX_SAFE_INTEGER);
      this.#sinceScrape.record(Math.max(1, nanoseconds));
      this.start();
    });
  }

  stop(): void {
    this.#cancel();
  }

  /** Puts gauges with what was measured between two scrapes in the place of the client's, which has no samples. */
  expose(metrics: Metrics): void {
    let values: Readonly<Record<string, number>> = {};
    for (const [index, [of, [help]]] of Object.entries(GAUGES).entries()) {
      const name = `nodejs_eventloop_lag_${of}_seconds`;
      metrics.registry.removeSingleMetric(name);
      metrics.gauge(
        name,
        `${help} of the delays of the event loop since the last scrape, sampled four times a second.`,
        [],
        (set) => {
          // The first one is read first. Where there was no sample since, the last values stay.
          if (index === 0 && this.#sinceScrape.count > 0) values = this.#taken();
          const value = values[of];
          if (value !== undefined) set(value);
        },
      );
    }
  }

  #taken(): Record<string, number> {
    const lag = this.#sinceScrape;
    const values = Object.fromEntries(
      Object.entries(GAUGES).map(([of, [, read]]) => [of, read(lag) / NANOSECONDS]),
    );
    lag.reset();
    return values;
  }
}

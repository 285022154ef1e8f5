/**
 * What was received from transmitters of security events: for the metrics. It outlives a reload. Names of transmitters come from the
 * configuration, events and results from closed lists (rule A7).
 */
import type { Clock } from '../clock.ts';

export interface SignalCount {
  readonly transmitter: string;
  readonly event: string;
  readonly result: string;
  count: number;
}

export class SignalRecord {
  readonly #clock: Clock;
  readonly #counts = new Map<string, SignalCount>();
  readonly #lastMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param by 0: the series is there from now on, so that the first one is an increase */
  count(transmitter: string, event: string, result: string, by = 1): void {
    const key = `${transmitter} ${event} ${result}`;
    const counted = this.#counts.get(key) ?? { transmitter, event, result, count: 0 };
    counted.count += by;
    this.#counts.set(key, counted);
  }

  /** A token of this transmitter was verified, whatever is in it. */
  heard(transmitter: string): void {
    this.#lastMs.set(transmitter, this.#clock.nowMs());
  }

  get counts(): Iterable<SignalCount> {
    return this.#counts.values();
  }

  /** When each was heard last, in wall-clock time. */
  get lastMs(): ReadonlyMap<string, number> {
    return this.#lastMs;
  }
}

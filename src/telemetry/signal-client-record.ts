/**
 * What the gateway's own calls to transmitters have come to, and how their streams are: for the metrics. It outlives a reload. Names
 * of transmitters come from the configuration, results and states from closed lists (rule A7).
 */
export class SignalClientRecord {
  readonly #polls = new Map<string, { transmitter: string; result: string; count: number }>();
  /** By transmitter: does its stream deliver? Only of streams that this gateway keeps. */
  readonly #enabled = new Map<string, boolean>();

  /** @param by 0: the series is there from now on, so that the first one is an increase */
  polled(transmitter: string, result: string, by = 1): void {
    const key = `${transmitter} ${result}`;
    const counted = this.#polls.get(key) ?? { transmitter, result, count: 0 };
    counted.count += by;
    this.#polls.set(key, counted);
  }

  /** @param isEnabled undefined: not known (any more) */
  streamIs(transmitter: string, isEnabled: boolean | undefined): void {
    if (isEnabled === undefined) this.#enabled.delete(transmitter);
    else this.#enabled.set(transmitter, isEnabled);
  }

  get polls(): Iterable<{ readonly transmitter: string; readonly result: string; readonly count: number }> {
    return this.#polls.values();
  }

  get streams(): ReadonlyMap<string, boolean> {
    return this.#enabled;
  }
}

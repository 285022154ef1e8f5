/**
 * Bounds the lines of refused requests: of each reason and route the first few of a second are written, and then one line
 * says how many more there were. Without it a flood of bad tokens fills disks and hides every other line; the metrics count
 * each request either way.
 *
 * Its memory is bounded by the configuration: route names, and the reasons and codes of errors.ts.
 */
import type { Clock } from '../clock.ts';

const SECOND_MS = 1_000;

/** What refused requests have in common. */
export interface Refusal {
  readonly route: string;
  /** Of the decision; where there was none, the code of the error. */
  readonly reason: string;
  readonly level: 'info' | 'warn';
}

/** Refusals of one kind within this second. */
interface Count extends Refusal {
  written: number;
  leftOut: number;
}

export class RefusalLines {
  readonly #clock: Clock;
  readonly #tell: (refusal: Refusal, leftOut: number) => void;
  readonly #counts = new Map<string, Count>();
  #cancel: (() => void) | undefined;

  /** @param tell is told, once a second, how many lines of a kind were left out */
  constructor(clock: Clock, tell: (refusal: Refusal, leftOut: number) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  /**
   * Shall the line of this refusal be written?
   *
   * @param atMost how many of its kind a second; 0: all
   */
  admits(refusal: Refusal, atMost: number): boolean {
    if (atMost === 0) return true;
    this.#cancel ??= this.#clock.after(SECOND_MS, () => this.flush());
    const kind = `${refusal.route} ${refusal.reason}`;
    let count = this.#counts.get(kind);
    if (count === undefined) {
      count = { ...refusal, written: 0, leftOut: 0 };
      this.#counts.set(kind, count);
    }
    if (count.written < atMost) {
      count.written++;
      return true;
    }
    count.leftOut++;
    return false;
  }

  /** The second is over, or the gateway ends: tells what was left out. */
  flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const counts = [...this.#counts.values()];
    this.#counts.clear();
    for (const { leftOut, written: _, ...refusal } of counts) if (leftOut > 0) this.#tell(refusal, leftOut);
  }
}

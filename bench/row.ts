/** What a section of `npm run bench` hands to the table: a file exports an async function that returns rows. */

/** A figure that must hold, as the table shows it beside the row. */
export interface Goal {
  /** As a person reads it, such as "≤ 0.70 of HAProxy". */
  readonly text: string;
  readonly met: boolean;
}

export interface Row {
  /** The table that the row is in, such as "CPU a request". */
  readonly section: string;
  /** What is measured, such as "every token new, RS256"; the rows of several contestants stand together. */
  readonly row: string;
  /** With its version where it has one, such as "HAProxy 2.6.12". */
  readonly contestant: string;
  /** Of the three figures, such as "µs". */
  readonly unit: string;
  readonly median: number;
  /** The lowest and the highest of all rounds. */
  readonly low: number;
  readonly high: number;
  /** The median, divided by that of a base in the same run. */
  readonly ratio?: Ratio;
  /** Memory of all its processes at the end. */
  readonly residentMiB?: number;
  /** The first must hold; the others are wishes. */
  readonly goals?: readonly Goal[];
  /** What the reader must know of this figure, such as a check that the contestant cannot make. */
  readonly note?: string;
}

export interface Ratio {
  /** The base, such as "HAProxy". */
  readonly to: string;
  readonly value: number;
}

/** How long a section may take. */
export interface Effort {
  readonly rounds: number;
  /** Of one measurement. */
  readonly seconds: number;
  /** Of a program that compiles what it runs; 0: none warms up. */
  readonly warmUpSeconds: number;
}

/** Measures, and returns its rows. Says on standard error what it does, since it takes minutes. */
export type Section = (effort: Effort) => Promise<readonly Row[]>;

export function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;
}

/** The three figures of a row from those of its rounds. */
export function figuresOf(numbers: readonly number[]): Pick<Row, 'median' | 'low' | 'high'> {
  return { median: median(numbers), low: Math.min(...numbers), high: Math.max(...numbers) };
}

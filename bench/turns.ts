/**
 * Costs that differ by less than a machine's speed changes within a minute: they take turns of a second, and are compared turn by turn. The
 * first one is the base.
 */
import { NAMES } from './goals.ts';
import { sallyportVersion } from './programs.ts';
import { figuresOf, median, type Row } from './row.ts';

const MOST = 1.05;

/** @returns of each turn the costs in the order of the names; which one is first changes from turn to turn */
export async function takeTurns(
  count: number,
  turns: number,
  costOf: (index: number) => Promise<number>,
): Promise<number[][]> {
  const costs: number[][] = [];
  for (let turn = 0; turn < turns; turn++) {
    const order = Array.from({ length: count }, (_, index) => (index + Math.floor(turn / 2)) % count);
    if (turn % 2 === 1) order.reverse();
    const taken: number[] = [];
    for (const index of order) taken[index] = await costOf(index);
    costs.push(taken);
  }
  return costs;
}

/** A row for each name. Its ratio is the median of those of the turns. */
export function rowsOf(row: string, names: readonly string[], costs: readonly (readonly number[])[]): Row[] {
  return names.map((name, index) => {
    const value = median(costs.map((turn) => (turn[index] ?? NaN) / (turn[0] ?? NaN)));
    const goal = {
      text: `goal ≤ ${MOST} of ${names[0]}: ${value.toFixed(2)}`,
      met: Number(value.toFixed(2)) <= MOST,
    };
    return {
      section: 'Scale',
      row,
      contestant: `${NAMES.sallyport} (${sallyportVersion()}), ${name}`,
      unit: 'µs',
      ...figuresOf(costs.map((turn) => turn[index] ?? NaN)),
      ratio: { to: names[0] ?? '', value },
      ...(index > 0 && { goals: [goal] }),
    };
  });
}

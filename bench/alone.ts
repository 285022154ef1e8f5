/** A section that runs by itself: `node bench/latency.ts --quick --rounds 2 --seconds 1`. */
import { parseArgs } from 'node:util';
import type { Effort, Section } from './row.ts';
import { tableText } from './table.ts';

const FULL: Effort = { rounds: 5, seconds: 5, warmUpSeconds: 8 };
const QUICK: Effort = { rounds: 3, seconds: 2, warmUpSeconds: 5 };

export async function printAlone(section: Section): Promise<void> {
  const { values } = parseArgs({
    options: { quick: { type: 'boolean' }, rounds: { type: 'string' }, seconds: { type: 'string' } },
  });
  const effort = values.quick === true ? QUICK : FULL;
  const rounds = Number(values.rounds ?? effort.rounds);
  const seconds = Number(values.seconds ?? effort.seconds);
  console.log(tableText(await section({ ...effort, rounds, seconds })));
}

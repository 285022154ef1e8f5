/** The order of the lines of one chain: what is missing, late, repeated, or put in the place of another. */
import t from 'tap';
import { ChainOrder } from '../../src/telemetry/chain-order.ts';
import { SeededRandom } from '../support/seeded-random.ts';

/** @param lines `seq`, or `seq:own hash` or `seq:own hash:prev`; by default line 3 has the hash h3 and follows h2 */
function faultsOf(...lines: readonly string[]): string[] {
  const faults: string[] = [];
  const order = new ChainOrder('h0', (kind, line) => void faults.push(`${kind} ${line}`));
  for (const [index, text] of lines.entries()) {
    const [seq = '', hash = `h${seq}`, prev = `h${Number(seq) - 1}`] = text.split(':');
    order.add({ id: 'c', seq: Number(seq), prev, hash }, [hash], index + 1, index === 0);
  }
  order.end();
  return faults;
}

t.test('each fault is told once, at its line', (t) => {
  for (const [lines, faults] of [
    ['1 2 3', ''],
    ['5 6 7', ''],
    ['1 2 4', 'missing 3'],
    ['1 4 7', 'missing 2,missing 3'],
    ['1 3 2 4', 'out_of_order 3'],
    ['1 4 2 3 5', 'out_of_order 3'],
    ['1 3 2 6 5 4', 'out_of_order 3,out_of_order 5'],
    ['1 5 3', 'out_of_order 3,missing 3,missing 2'],
    ['6 5 7', 'out_of_order 2'],
    ['7 5 8', 'out_of_order 2,missing 1'],
    ['9 5 7 2 10', 'out_of_order 2,missing 2,missing 3,missing 1'],
    ['1 9 3 5 7 6 4 2 8', 'out_of_order 3'],
    ['1 9 3 5 7 6 4 4 2 8', 'repeated 8,out_of_order 3'],
    ['1 2 2 3', 'repeated 3'],
    ['1 2:x 3', 'not_linked 3'],
    ['1:h1:other 2', 'not_linked 1'],
    // A line that comes late must fit its place, at either side of it.
    ['1 3 2:x 4', 'not_linked 2,out_of_order 3'],
    ['1 3 2:h2:x 4', 'not_linked 3,out_of_order 3'],
    ['6 5:x 7', 'not_linked 1,out_of_order 2'],
  ] as const)
    t.strictSame(faultsOf(...lines.split(' ')).join(), faults, lines);
  t.end();
});

t.test('lines in any order are all found to be there (seed 7)', (t) => {
  const random = new SeededRandom(7);
  for (let round = 0; round < 50; round++) {
    const lines = Array.from({ length: 1 + random.below(40) }, (_, index) => `${index + 1}`);
    for (const at of lines.keys()) {
      const other = random.below(lines.length);
      [lines[at], lines[other]] = [lines[other] ?? '', lines[at] ?? ''];
    }
    const faults = faultsOf(...lines).filter((fault) => !fault.startsWith('out_of_order'));
    t.strictSame(faults, [], lines.join(' '));
    const without = lines.toSpliced(random.below(lines.length), 1);
    if (without.includes('1') && without.includes(`${lines.length}`))
      t.match(faultsOf(...without).join(), /missing/, without.join(' '));
  }
  t.end();
});

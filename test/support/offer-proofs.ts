/** A process that offers proofs to the memory in an SQLite file, and prints which it was the first to use: `FILE COUNT`. */
import { systemClock } from '../../src/clock.ts';
import { SqliteReplayStore } from '../../src/replay/sqlite-replay-store.ts';
import { DPOP } from '../../src/replay/used-proofs.ts';

const [file = '', count = '0'] = process.argv.slice(2);
const store = new SqliteReplayStore(file, systemClock);
// The clock's timers keep no process alive.
const alive = setInterval(() => undefined, 1_000);
const AT_ONCE = 20;
for (let from = 0; from < Number(count); from += AT_ONCE) {
  const numbers = Array.from({ length: AT_ONCE }, (_, index) => from + index);
  const first = await Promise.all(numbers.map((each) => store.firstUse(DPOP, `proof ${each}`, 60_000)));
  console.log(numbers.filter((_, index) => first[index]).join('\n'));
}
await store.close();
clearInterval(alive);

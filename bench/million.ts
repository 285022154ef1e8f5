/**
 * Measures a long revocation list against an empty one: the time to load it from a local Redis, the memory that it
 * takes, and the CPU time of a request.
 *
 *   node bench/million.ts [--entries 1000000]
 */
import { parseArgs } from 'node:util';
import { comparePairs, withBenchEnvironment } from './pairs.ts';
import { fullRedis } from './scale.ts';

const { values } = parseArgs({ options: { entries: { type: 'string', default: '1000000' } } });
const entries = Number(values.entries);

await withBenchEnvironment(async (environment) => {
  const { configuration, costOf } = environment;
  const url = await fullRedis(environment, entries);
  console.log(`${entries} entries are in Redis`);
  const withList = (key_prefix: string) => () =>
    costOf(configuration({ revocation: { store: url, key_prefix } }));
  await comparePairs(
    withList('empty'),
    withList('full'),
    (few, all) =>
      `, ${(((all.residentMiB - few.residentMiB) * 2 ** 20) / entries).toFixed(0)} bytes an entry`,
  );
});

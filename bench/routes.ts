/**
 * Measures what 10,000 routes cost a request, against 10 routes.
 *
 *   node bench/routes.ts [--routes 10000]
 */
import { parseArgs } from 'node:util';
import { comparePairs, withBenchEnvironment } from './pairs.ts';
import { manyRoutes } from './scale.ts';

const { values } = parseArgs({ options: { routes: { type: 'string', default: '10000' } } });

await withBenchEnvironment(async ({ configuration, costOf }) => {
  const withRoutes = (count: number) => () => costOf(configuration(manyRoutes(count)));
  await comparePairs(withRoutes(10), withRoutes(Number(values.routes)));
});

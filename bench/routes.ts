/**
 * Measures what 10,000 routes cost a request, against 10 routes.
 *
 *   node bench/routes.ts [--routes 10000]
 */
import { parseArgs } from 'node:util';
import { comparePairs, withBenchEnvironment } from './pairs.ts';

const { values } = parseArgs({ options: { routes: { type: 'string', default: '10000' } } });

await withBenchEnvironment(async ({ configuration, costOf }) => {
  /** The route that the load requests is in the middle; the others are of every kind. */
  const withRoutes = (count: number) => () =>
    costOf(
      configuration({
        routes: Array.from({ length: count }, (_, index) => {
          if (index === Math.floor(count / 2))
            return { name: 'orders', match: { path_prefix: '/orders' }, upstream: 'orders' };
          const name = `route-${index}`;
          const hosts = index % 4 === 3 ? { hosts: [`${name}.example.com`] } : {};
          const path = index % 4 === 1 ? { path: `/${name}/exact` } : { path_prefix: `/${name}` };
          return { name, match: { ...hosts, ...path }, upstream: 'orders' };
        }),
      }),
    );
  await comparePairs(withRoutes(10), withRoutes(Number(values.routes)));
});

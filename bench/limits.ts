/**
 * What a rate limit costs a request: one without, one that this gateway counts, one that a fleet counts in a Redis. They are routes of one
 * gateway: two processes of one program differ by more than a limit costs.
 */
import { printAlone } from './alone.ts';
import { LOAD_CORE } from './arena.ts';
import { measure } from './measure.ts';
import { withBenchEnvironment } from './pairs.ts';
import type { Effort, Row } from './row.ts';
import { fullRedis } from './scale.ts';
import { rowsOf, takeTurns } from './turns.ts';

/** More than is ever sent: all is counted, nothing refused. */
const LIMIT = { by: 'subject', rate: '100000/s' };
/** By the names of their routes. */
const LIMITS: Readonly<Record<string, { readonly title: string; readonly limits: readonly object[] }>> = {
  none: { title: 'no limit', limits: [] },
  gateway: { title: 'a limit of the gateway', limits: [{ name: 'own', ...LIMIT }] },
  fleet: { title: 'a limit of a fleet', limits: [{ name: 'shared', ...LIMIT, scope: 'fleet' }] },
};
const NAMES = Object.keys(LIMITS);

export async function measureLimits(effort: Effort): Promise<readonly Row[]> {
  const rows: Row[] = [];
  await withBenchEnvironment(async (environment) => {
    const { token, start, configuration } = environment;
    const routes = Object.entries(LIMITS).map(([name, { limits }]) => ({
      name,
      match: { path_prefix: `/${name}` },
      upstream: 'orders',
      rate_limits: limits,
    }));
    const store = await fullRedis(environment, 0);
    const { pid, port } = await start(configuration({ revocation: { store }, routes }));
    const load = (name: string | undefined, seconds: number) =>
      measure(pid, port, { token, path: `/${name}` }, seconds, LOAD_CORE);
    if (effort.warmUpSeconds > 0) for (const name of NAMES) await load(name, effort.warmUpSeconds);
    const turns = effort.rounds * effort.seconds;
    console.error(`limits: ${turns} turns`);
    const costs = await takeTurns(
      NAMES.length,
      turns,
      async (index) => (await load(NAMES[index], 1)).cpuMicrosPerRequest,
    );
    const titles = Object.values(LIMITS).map(({ title }) => title);
    rows.push(...rowsOf('rate limits', titles, costs));
  });
  return rows;
}

if (import.meta.main) await printAlone(measureLimits);

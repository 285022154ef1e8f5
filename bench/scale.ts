/** The section "Scale": what many routes and a long list of revocations cost a request, each against next to none. */
import { createHash } from 'node:crypto';
import { systemClock } from '../src/clock.ts';
import { RedisStore } from '../src/revocation/redis-store.ts';
import { printAlone } from './alone.ts';
import { end, LOAD_CORE, startOn } from './arena.ts';
import { measure } from './measure.ts';
import { withBenchEnvironment, type BenchEnvironment, type Gateway } from './pairs.ts';
import { freePort, listening } from './ports.ts';
import type { Effort, Row } from './row.ts';
import { rowsOf, takeTurns } from './turns.ts';

export interface Scale {
  readonly routes: number;
  readonly revocations: number;
}

const FULL: Scale = { routes: 10_000, revocations: 1_000_000 };
const FEW_ROUTES = 10;
const BATCH = 1_000;

type Configuration = Record<string, unknown>;

/** The load's route is in the middle; the others are of every kind. */
export function manyRoutes(count: number): Configuration {
  return {
    routes: Array.from({ length: count }, (_, index) => {
      if (index === Math.floor(count / 2))
        return { name: 'orders', match: { path_prefix: '/orders' }, upstream: 'orders' };
      const name = `route-${index}`;
      const hosts = index % 4 === 3 ? { hosts: [`${name}.example.com`] } : {};
      const path = index % 4 === 1 ? { path: `/${name}/exact` } : { path_prefix: `/${name}` };
      return { name, match: { ...hosts, ...path }, upstream: 'orders' };
    }),
  };
}

/** Puts as many revocations into a Redis of its own. @returns its URL */
export async function fullRedis({ folder, processes }: BenchEnvironment, entries: number): Promise<string> {
  const port = await freePort();
  const place = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder];
  processes.push(startOn(LOAD_CORE, ['redis-server', ...place, '--save', '']));
  await listening(port);
  const url = `redis://127.0.0.1:${port}`;
  const store = new RedisStore({ url, keyPrefix: 'full' }, systemClock);
  const expiresAt = Math.floor(Date.now() / 1000) + 86_400;
  const entry = (index: number) => ({
    id: createHash('sha256').update(`${index}`).digest().toString('base64url', 0, 16),
    revoked: true,
    issuedBefore: null,
    expiresAt,
    version: { timeMs: Date.now(), counter: index % BATCH },
  });
  for (let from = 0; from < entries; from += BATCH)
    await store.merge(
      Array.from({ length: Math.min(BATCH, entries - from) }, (_, index) => entry(from + index)),
    );
  await store.close();
  return url;
}

/** CPU a request of gateways that have just started, turn by turn: two processes of one program differ for as long as they live. */
async function costsOf(
  { token, start, processes }: BenchEnvironment,
  configurations: readonly Configuration[],
  { seconds, warmUpSeconds }: Effort,
): Promise<number[][]> {
  const gateways: Gateway[] = [];
  const before = processes.length;
  try {
    for (const each of configurations) gateways.push(await start(each));
    const load = async (index: number, lasting: number): Promise<number> => {
      const { pid = 0, port = 0 } = gateways[index] ?? {};
      return (await measure(pid, port, { token }, lasting, LOAD_CORE)).cpuMicrosPerRequest;
    };
    if (warmUpSeconds > 0) for (const index of gateways.keys()) await load(index, warmUpSeconds);
    return await takeTurns(gateways.length, seconds, (index) => load(index, 1));
  } finally {
    await Promise.all(processes.splice(before).map(end));
  }
}

/** @param scale less for a test */
export async function measureScale(effort: Effort, scale: Scale = FULL): Promise<readonly Row[]> {
  const rows: Row[] = [];
  await withBenchEnvironment(async (environment) => {
    const { configuration } = environment;
    const compare = async (
      row: string,
      names: readonly string[],
      configurations: readonly Configuration[],
    ) => {
      const costs: number[][] = [];
      for (let round = 0; round < effort.rounds; round++) {
        console.error(`${row}: round ${round + 1} of ${effort.rounds}`);
        costs.push(...(await costsOf(environment, configurations.map(configuration), effort)));
      }
      rows.push(...rowsOf(row, names, costs));
    };
    const { routes, revocations } = scale;
    await compare(
      'routes',
      [`${FEW_ROUTES} routes`, `${routes} routes`],
      [manyRoutes(FEW_ROUTES), manyRoutes(routes)],
    );
    const url = await fullRedis(environment, revocations);
    const list = (key_prefix: string): Configuration => ({ revocation: { store: url, key_prefix } });
    await compare(
      'revocations',
      ['no revocation', `${revocations} revocations`],
      [list('empty'), list('full')],
    );
  });
  return rows;
}

if (import.meta.main) await printAlone((effort) => measureScale(effort));

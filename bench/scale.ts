/** The section "Scale": what many routes and a long list of revocations cost a request, each against next to none. */
import { createHash } from 'node:crypto';
import { systemClock } from '../src/clock.ts';
import { RedisStore } from '../src/revocation/redis-store.ts';
import { printAlone } from './alone.ts';
import { end, LOAD_CORE, startOn } from './arena.ts';
import { NAMES } from './goals.ts';
import { measure } from './measure.ts';
import { withBenchEnvironment, type BenchEnvironment, type Gateway } from './pairs.ts';
import { freePort, listening } from './ports.ts';
import { sallyportVersion } from './programs.ts';
import { figuresOf, median, type Effort, type Row } from './row.ts';

const MOST = 1.05;

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

/** CPU a request of a gateway that has just started: two processes of one program differ for as long as they live. */
async function costOf(
  { token, start, processes }: BenchEnvironment,
  configuration: Configuration,
  { seconds, warmUpSeconds }: Effort,
): Promise<number> {
  const gateway: Gateway = await start(configuration);
  const child = processes.pop();
  try {
    const load = (lasting: number) => measure(gateway.pid, gateway.port, { token }, lasting, LOAD_CORE);
    if (warmUpSeconds > 0) await load(warmUpSeconds);
    return (await load(seconds)).cpuMicrosPerRequest;
  } finally {
    if (child) await end(child);
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
      const costs = configurations.map((): number[] => []);
      for (let round = 0; round < effort.rounds; round++) {
        console.error(`${row}: round ${round + 1} of ${effort.rounds}`);
        for (const [index, each] of configurations.entries())
          costs[index]?.push(await costOf(environment, configuration(each), effort));
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

function rowsOf(
  row: string,
  names: readonly string[],
  costs: readonly (readonly number[])[],
): readonly Row[] {
  const base = median(costs[0] ?? []);
  return names.map((name, index) => {
    const figures = figuresOf(costs[index] ?? []);
    const value = figures.median / base;
    const goal = {
      text: `goal ≤ ${MOST} of ${names[0]}: ${value.toFixed(2)}`,
      met: Number(value.toFixed(2)) <= MOST,
    };
    return {
      section: 'Scale',
      row,
      contestant: `${NAMES.sallyport} (${sallyportVersion()}), ${name}`,
      unit: 'µs',
      ...figures,
      ratio: { to: names[0] ?? '', value },
      ...(index > 0 && { goals: [goal] }),
    };
  });
}

if (import.meta.main) await printAlone((effort) => measureScale(effort));

/**
 * What a request costs where two workers share the load that half of one process's peak is. A process that is less busy wakes up for fewer
 * requests at a time: one process with half of the load, two gateways of one process each, and nginx with one worker and with two show
 * what of the difference is due to that. All processes of a contestant are on one core, so that a second core's cache is no part of it.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { printAlone } from './alone.ts';
import { Arena, LOAD_CORE, type Running } from './arena.ts';
import { check } from './checks.ts';
import type { Contestant } from './contestants/contestant.ts';
import { nginxWith } from './contestants/others.ts';
import { sallyport } from './contestants/sallyport.ts';
import { NAMES } from './goals.ts';
import { cpuMicros, measure } from './measure.ts';
import { foundVersion } from './programs.ts';
import { figuresOf, median, type Effort, type Row } from './row.ts';
import { openWallet, type Wallet } from './wallet.ts';

const execute = promisify(execFile);
const MOST = 1.05;
const CONNECTIONS = 32;

const gateway = (workers: number): Contestant =>
  sallyport(NAMES.sallyport, {
    kinds: ['known'],
    more: () => (workers > 1 ? { workers } : {}),
  });

/** What shares the load. */
interface Layout {
  readonly name: string;
  readonly contestant: Contestant;
  /** So many of it, each with its part of the load. */
  readonly copies: number;
  /** Of the load, for all of them. */
  readonly share: number;
  /** Of its kind: what the others are compared with. */
  readonly base: string;
  readonly hasGoal: boolean;
}

const ONE = 'one process';
const ONE_WORKER = 'nginx, one worker';
const layout = (name: string, contestant: Contestant, more: Partial<Layout> = {}): Layout => ({
  name,
  contestant,
  copies: 1,
  share: 1,
  base: ONE,
  hasGoal: false,
  ...more,
});
const LAYOUTS: readonly Layout[] = [
  layout(ONE, gateway(1)),
  layout('one process, half of this load', gateway(1), { share: 0.5 }),
  layout('two gateways of one process', gateway(1), { copies: 2 }),
  layout('`workers: 2`', gateway(2), { hasGoal: true }),
  layout(ONE_WORKER, nginxWith(1), { base: ONE_WORKER }),
  layout('nginx, two workers', nginxWith(2), { base: ONE_WORKER }),
];

interface Entry extends Layout {
  readonly version: string;
  readonly running: readonly Running[];
  readonly cpu: number[];
}

export async function measureWorkers(
  effort: Effort,
  wallet: Wallet = openWallet('RS256'),
): Promise<readonly Row[]> {
  // h2load takes whole seconds.
  return Arena.use(async (arena) => {
    const entries = await startAll(arena, wallet);
    const [first] = entries[0]?.running ?? [];
    if (first === undefined) return [];
    await check(arena, first, 'known', wallet);
    const { token } = wallet;
    const closed = ({ pid, port }: Running, seconds: number) =>
      measure(pid, port, { token }, seconds, LOAD_CORE);
    for (const { running, contestant } of entries)
      for (const each of running)
        if (effort.warmUpSeconds > 0 && contestant.warmsUp) await closed(each, effort.warmUpSeconds);
    const { requestsPerSecond } = await closed(first, effort.seconds);
    const rate = Math.floor(requestsPerSecond / 2);
    // What is compiled for a full loop is not what a half idle one runs.
    for (const entry of entries)
      await costOf(entry, token, rate, Math.max(1, Math.round(effort.warmUpSeconds / 2)));
    for (let round = 0; round < effort.rounds; round++) {
      console.error(`workers: round ${round + 1} of ${effort.rounds}, ${rate} requests a second`);
      for (const entry of entries) entry.cpu.push(await costOf(entry, token, rate, effort.seconds));
    }
    return rowsOf(rate, entries);
  });
}

async function startAll(arena: Arena, wallet: Wallet): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  for (const each of LAYOUTS) {
    const version = foundVersion(each.contestant);
    if (version === undefined) continue;
    const running: Running[] = [];
    while (running.length < each.copies) running.push(await arena.start(each.contestant, 'known', wallet));
    entries.push({ ...each, version, running, cpu: [] });
  }
  return entries;
}

/** @returns microseconds a request, of all processes */
async function costOf(
  { running, share }: Entry,
  token: string,
  rate: number,
  seconds: number,
): Promise<number> {
  const spent = (): number => running.reduce((sum, { pid }) => sum + cpuMicros(pid), 0);
  const before = spent();
  const requests = await Promise.all(
    running.map(({ port }) =>
      load(port, token, (rate * share) / running.length, CONNECTIONS / running.length, seconds),
    ),
  );
  return (spent() - before) / requests.reduce((sum, each) => sum + each, 0);
}

/** @throws Error where a response was not 200, or the rate was not reached: then the load was another one */
async function load(
  port: number,
  token: string,
  rate: number,
  connections: number,
  seconds: number,
): Promise<number> {
  const { stdout } = await execute('taskset', [
    ...['-c', String(LOAD_CORE), 'h2load', '--h1', '-t1', `-c${connections}`],
    ...[`--rps=${rate / connections}`, '-D', String(seconds)],
    ...[
      '-H',
      'accept: application/json',
      '-H',
      'user-agent: bench/1.0',
      '-H',
      `authorization: Bearer ${token}`,
    ],
    `http://127.0.0.1:${port}/orders`,
  ]);
  const requests = Number(/status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx/.exec(stdout)?.[1]);
  if (!(requests > 0.9 * rate * seconds))
    throw new Error(
      `a round with responses that are not 200, or without its ${rate} requests a second:\n${stdout}`,
    );
  return requests;
}

function rowsOf(rate: number, entries: readonly Entry[]): readonly Row[] {
  return entries.map(({ name, contestant, version, base, hasGoal, cpu }): Row => {
    const figures = figuresOf(cpu);
    const value = figures.median / median(entries.find((each) => each.name === base)?.cpu ?? []);
    const isNginx = base === ONE_WORKER;
    return {
      section: 'Scale',
      row: `${isNginx ? 'workers of nginx' : 'workers'}, ${rate} requests a second: half of the peak of one process`,
      contestant: isNginx ? `${name} (${version})` : `${contestant.name} (${version}), ${name}`,
      unit: 'µs',
      ...figures,
      ratio: { to: base, value },
      ...(hasGoal && {
        goals: [
          { text: `goal ≤ ${MOST} of ${base}: ${value.toFixed(2)}`, met: Number(value.toFixed(2)) <= MOST },
        ],
      }),
      ...(isNginx && { note: 'authenticates nothing' }),
    };
  });
}

if (import.meta.main) await printAlone(measureWorkers);

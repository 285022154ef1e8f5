/** The section "1 GiB": a large body in either direction, beside nginx: throughput, CPU, and how much memory it takes meanwhile. */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { printAlone } from './alone.ts';
import { Arena, LOAD_CORE, statusOf, type Running, type Upstream } from './arena.ts';
import type { Contestant } from './contestants/contestant.ts';
import { nginx } from './contestants/others.ts';
import { sallyport } from './contestants/sallyport.ts';
import { NAMES } from './goals.ts';
import { cpuMicros } from './measure.ts';
import { foundVersion } from './programs.ts';
import { figuresOf, type Effort, type Goal, type Row } from './row.ts';
import { openWallet, type Wallet } from './wallet.ts';

const execute = promisify(execFile);
const PEER = new URL('./peers/transfer.ts', import.meta.url).pathname;
const GIB = 2 ** 30;
const [GOAL, WISH, MOST_GROWTH_MIB] = [0.6, 0.9, 32];
const DIRECTIONS = ['down', 'up'] as const;

const UPSTREAM: Upstream = {
  command: (_folder, port) => [process.execPath, PEER, 'upstream', String(port)],
  touch: (port) => statusOf(port, '/0', {}),
};

/** Bodies pass as they come, in buffers as large as Sallyport's: by default it would write an upload to a file first. */
const streaming: Contestant = {
  ...nginx,
  start({ folder, port, upstreamPort }) {
    const file = join(folder, 'proxy.conf');
    writeFileSync(
      file,
      `worker_processes 1; daemon off; pid ${folder}/proxy.pid; error_log /dev/null;
events { worker_connections 64; }
http { access_log off; client_max_body_size 0; client_body_buffer_size 64k; client_body_temp_path ${folder};
  proxy_request_buffering off; proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k; proxy_max_temp_file_size 0;
  upstream up { server 127.0.0.1:${upstreamPort}; keepalive 4; }
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; } } }
`,
    );
    return { command: ['nginx', '-c', file, '-p', folder, '-e', '/dev/null'] };
  },
};

interface Transfer {
  readonly gibPerSecond: number;
  readonly cpuSeconds: number;
  /** Above what the process had at its beginning, at the most. */
  readonly growthMiB: number;
}

const memoryMiB = (pid: number, key: 'VmRSS' | 'VmHWM'): number =>
  Number(new RegExp(`${key}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

async function transfer(
  { pid, port }: Running,
  direction: string,
  bytes: number,
  token: string,
): Promise<Transfer> {
  // From here on the kernel notes a new peak (proc_pid_clear_refs(5)).
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
  const [before, cpuBefore] = [memoryMiB(pid, 'VmRSS'), cpuMicros(pid)];
  const client = [process.execPath, PEER, direction, String(port), String(bytes), token];
  const { stdout } = await execute('taskset', ['-c', String(LOAD_CORE), ...client]);
  return {
    gibPerSecond: bytes / GIB / Number(stdout),
    cpuSeconds: ((cpuMicros(pid) - cpuBefore) / 1e6) * (GIB / bytes),
    // The kernel counts the two at different times.
    growthMiB: Math.max(0, memoryMiB(pid, 'VmHWM') - before),
  };
}

/** @param bytes less for a test */
export async function measureTransfer(
  { rounds, warmUpSeconds }: Effort,
  wallet: Wallet = openWallet('RS256'),
  bytes: number = GIB,
): Promise<readonly Row[]> {
  if (foundVersion(nginx) === undefined) return [];
  return Arena.use(async (arena) => {
    const { token } = wallet;
    const contestants = [sallyport(NAMES.sallyport, { kinds: ['known'] }), streaming];
    const running: Running[] = [];
    for (const contestant of contestants) running.push(await arena.start(contestant, 'known', wallet));
    const results = running.map(() => ({ down: [] as Transfer[], up: [] as Transfer[] }));
    // The first shows what a process at rest grows by; it does not count for throughput where there is a warm-up.
    const warmUps = warmUpSeconds > 0 ? 1 : 0;
    for (let round = 0; round < rounds + warmUps; round++) {
      console.error(`transfer: round ${round + 1} of ${rounds + warmUps}`);
      for (const direction of DIRECTIONS)
        for (const [index, each] of running.entries())
          results[index]?.[direction].push(await transfer(each, direction, bytes, token));
    }
    const rows = (direction: 'down' | 'up'): Row[] => {
      const [ours, theirs] = results.map((each) => each[direction]) as [Transfer[], Transfer[]];
      return rowsOf(direction, [ours, theirs], contestants, warmUps);
    };
    return DIRECTIONS.flatMap(rows);
  }, UPSTREAM);
}

function rowsOf(
  direction: string,
  [ours, theirs]: readonly [Transfer[], Transfer[]],
  contestants: readonly Contestant[],
  warmUps: number,
): Row[] {
  const row = `1 GiB ${direction}`;
  const [our, their] = [ours, theirs].map((each) => each.slice(warmUps)) as [Transfer[], Transfer[]];
  const of = (key: keyof Transfer, list: Transfer[]) => figuresOf(list.map((each) => each[key]));
  const rows = (key: keyof Transfer, lists: readonly [Transfer[], Transfer[]], rest: object): Row[] => {
    const base = of(key, lists[1]).median;
    return lists.map((list, index) => ({
      section: 'Large bodies',
      unit: '',
      row,
      ...rest,
      contestant: `${contestants[index]?.name} (${contestants[index]?.version()})`,
      ...of(key, list),
      ...(key !== 'growthMiB' && { ratio: { to: 'nginx', value: of(key, list).median / base } }),
    }));
  };
  const speed = rows('gibPerSecond', [our, their], { unit: 'GiB/s', row: `${row}, throughput` });
  const value = speed[0]?.ratio?.value ?? NaN;
  const goals: Goal[] = [
    { text: `goal ≥ ${GOAL.toFixed(2)} of nginx: ${value.toFixed(2)}`, met: value >= GOAL },
    { text: `wish ≥ ${WISH.toFixed(2)} of nginx: ${value.toFixed(2)}`, met: value >= WISH },
  ];
  const growth = rows('growthMiB', [ours, theirs], { unit: 'MiB', row: `${row}, growth of memory` });
  const most = Math.max(...ours.map(({ growthMiB }) => growthMiB));
  const limit = {
    text: `goal ≤ ${MOST_GROWTH_MIB} MiB in each round: ${most.toFixed(0)}`,
    met: most <= MOST_GROWTH_MIB,
  };
  return [
    ...speed.map((each, index) => (index === 0 ? { ...each, goals } : each)),
    ...rows('cpuSeconds', [our, their], { unit: 's', row: `${row}, CPU of the proxy` }),
    ...growth.map((each, index) => (index === 0 ? { ...each, goals: [limit] } : each)),
  ];
}

if (import.meta.main) await printAlone((effort) => measureTransfer(effort));

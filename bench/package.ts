/** The section "The package": how soon it is ready, and what it takes while nothing happens, as its users get it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { printAlone } from './alone.ts';
import { end, PROXY_CORE } from './arena.ts';
import { output } from '../deploy/release/trials.ts';
import { NAMES } from './goals.ts';
import { residentMiB } from './measure.ts';
import { freePort } from './ports.ts';
import { sallyportVersion } from './programs.ts';
import { figuresOf, type Effort, type Row } from './row.ts';

const REST_MS = 5_000;
const GOALS = { readyMs: [400, 250], restMiB: [110, 80] } as const;

interface Start {
  readonly readyMs: number;
  readonly restMiB: number;
  readonly lookedMiB: number;
}

/** Packs what is in this folder, and installs it as users do. @returns the program */
function installPackage(folder: string): string {
  const tarball = output('npm', ['pack', '--silent', '--pack-destination', folder]).trim().split('\n').at(-1);
  output('npm', ['init', '-y'], folder);
  const quiet = ['--no-fund', '--no-audit', '--prefer-offline'];
  output('npm', ['install', ...quiet, `./${tarball}`], folder);
  return join(folder, 'node_modules/sallyport/dist/main.js');
}

/** The starter, with a key of its own in place of an authorization server's, which there is not. */
function writeStarter(program: string, folder: string, port: number, adminPort: number): string {
  output(process.execPath, [program, 'init', folder]);
  const file = join(folder, 'sallyport.yaml');
  const text = readFileSync(file, 'utf8')
    .replaceAll('port: 8080', `port: ${port}`)
    .replaceAll('port: 9090', `port: ${adminPort}`)
    .replaceAll(/discovery: true.*/g, `hmac_secret: '${'0123456789'.repeat(4)}'`);
  writeFileSync(file, text);
  return file;
}

/** From the start of the process to its line that says "ready". */
async function ready(child: ChildProcess): Promise<number> {
  const sinceMs = performance.now();
  let printed = '';
  for (;;) {
    const [chunk] = (await Promise.race([
      once(child.stdout ?? child, 'data'),
      once(child, 'exit').then(() => {
        throw new Error(`the package has ended at its start: ${printed}`);
      }),
    ])) as [Buffer];
    printed += chunk.toString();
    if (printed.includes('"msg":"ready"')) return performance.now() - sinceMs;
  }
}

async function startOnce(program: string, folder: string, restMs: number): Promise<Start> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const home = mkdtempSync(join(folder, 'home-'));
  const file = writeStarter(program, home, port, adminPort);
  const command = ['-c', String(PROXY_CORE), process.execPath, program, 'run', '-c', file];
  const child = spawn('taskset', command, { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const readyMs = await ready(child);
    child.stdout?.resume();
    await pause(restMs);
    const pid = child.pid ?? 0;
    const restMiB = residentMiB(pid);
    // What an operator looks at: the page and the metrics.
    for (const path of ['/', '/metrics']) {
      const response = await fetch(`http://127.0.0.1:${adminPort}${path}`);
      if (!response.ok) throw new Error(`${path} of the admin listener: ${response.status}`);
      await response.arrayBuffer();
    }
    await pause(restMs / 5);
    return { readyMs, restMiB, lookedMiB: residentMiB(pid) };
  } finally {
    await end(child);
  }
}

/** @param restMs until its memory is read; less for a test */
export async function measurePackage({ rounds }: Effort, restMs: number = REST_MS): Promise<readonly Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
  try {
    const program = installPackage(folder);
    // The first start reads all files from the disk.
    await startOnce(program, folder, 0);
    const starts: Start[] = [];
    while (starts.length < rounds) {
      console.error(`package: round ${starts.length + 1} of ${rounds}`);
      starts.push(await startOnce(program, folder, restMs));
    }
    return rowsOf(starts);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function rowsOf(starts: readonly Start[]): readonly Row[] {
  const row = { section: 'The package', contestant: `${NAMES.sallyport} (${sallyportVersion()})` };
  const figures = (key: keyof Start) => figuresOf(starts.map((each) => each[key]));
  const goals = (key: keyof typeof GOALS, unit: string): Row['goals'] =>
    GOALS[key].map((most, index) => ({
      text: `${index === 0 ? 'goal' : 'wish'} ≤ ${most} ${unit}: ${figures(key).median.toFixed(0)}`,
      met: figures(key).median <= most,
    }));
  return [
    {
      ...row,
      row: 'from start to ready',
      unit: 'ms',
      ...figures('readyMs'),
      goals: goals('readyMs', 'ms') ?? [],
    },
    {
      ...row,
      row: 'memory at rest',
      unit: 'MiB',
      ...figures('restMiB'),
      goals: goals('restMiB', 'MiB') ?? [],
    },
    { ...row, row: 'memory after a look at page and metrics', unit: 'MiB', ...figures('lookedMiB') },
  ];
}

if (import.meta.main) await printAlone((effort) => measurePackage(effort));

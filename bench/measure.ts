/**
 * Measures one proxy under load: the CPU time of all its processes (from /proc), divided by the requests that wrk counted.
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';

const execute = promisify(execFile);

export interface Measurement {
  readonly requests: number;
  readonly cpuMicrosPerRequest: number;
  readonly requestsPerSecond: number;
}

/** Linux counts CPU time in hundredths of a second (USER_HZ). */
const TICK_MICROS = 10_000;

/** User and system time of a process and its descendants, in microseconds. */
export function cpuMicros(pid: number): number {
  let ticks = 0;
  for (const member of processTree(pid)) {
    const stat = readFileSync(`/proc/${member}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * TICK_MICROS;
}

/** Resident memory of a process and its descendants. */
export function residentMiB(pid: number): number {
  const kib = processTree(pid).map((member) =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${member}/status`, 'utf8'))?.[1] ?? 0),
  );
  return kib.reduce((sum, each) => sum + each, 0) / 1024;
}

function processTree(root: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // The process ended after the folder was listed.
    }
  }
  const tree = [root];
  for (const pid of tree) for (const [child, parent] of parents) if (parent === pid) tree.push(child);
  return tree;
}

/** One token for all requests, the tokens of a file in turn, or a wrk script of its own. */
export type Tokens =
  | { readonly token: string; /** `/orders` without one. */ readonly path?: string }
  | { readonly file: string; readonly leaveOut: number; readonly status: number }
  | { readonly script: string };

const TOKENS_OF_A_FILE = new URL('./load.lua', import.meta.url).pathname;

function scriptOf(tokens: Exclude<Tokens, { readonly token: string }>): string[] {
  return ['-s', 'script' in tokens ? tokens.script : TOKENS_OF_A_FILE];
}

/** @throws Error if a response had another status than it must: refusals are cheap and would look like speed */
export async function measure(
  pid: number,
  port: number,
  tokens: Tokens,
  seconds: number,
  core: number,
): Promise<Measurement> {
  const before = cpuMicros(pid);
  const { stdout } = await execute('taskset', [
    ...['-c', String(core), 'wrk', '-t1', '-c32', `-d${seconds}s`],
    ...('token' in tokens ? ['-H', `Authorization: Bearer ${tokens.token}`] : scriptOf(tokens)),
    ...['-H', 'Accept: application/json', '-H', 'Accept-Language: en', '-H', 'Accept-Encoding: gzip'],
    ...['-H', 'User-Agent: bench/1.0', '-H', 'Cache-Control: no-cache', '-H', 'X-Trace: 1'],
    `http://127.0.0.1:${port}${('path' in tokens && tokens.path) || '/orders'}`,
    ...('file' in tokens ? ['--', tokens.file, String(tokens.leaveOut), String(tokens.status)] : []),
  ]);
  const spent = cpuMicros(pid) - before;
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1]);
  checkResponses(stdout, 'status' in tokens ? tokens.status : 200);
  return {
    requests,
    cpuMicrosPerRequest: spent / requests,
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]),
  };
}

/** @param stdout of wrk */
function checkResponses(stdout: string, status: number): void {
  const asExpected = status < 400 ? !/Non-2xx/.test(stdout) : /^Unexpected responses: 0$/m.test(stdout);
  if (!asExpected || /Socket errors/.test(stdout) || !/[1-9]\d* requests in/.test(stdout))
    throw new Error(`a round with responses other than ${status}, or with socket errors:\n${stdout}`);
}

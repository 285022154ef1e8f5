/**
 * An open loop: requests go out at their times, whether those before are done or not, so that a pause of the proxy is felt by all that
 * should have come in it. A closed loop such as wrk's waits, and does not see it. Vegeta is built with Go into the cache folder.
 */
import { execFile } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { installed, run } from '../test/providers/support/installed.ts';
import { LOAD_CORE } from './arena.ts';
import { foundVersion } from './programs.ts';

const execute = promisify(execFile);
const SOURCE = new URL('./vegeta/', import.meta.url).pathname;
/** Connections that are kept. More are opened where a pause holds back more requests. */
const CONNECTIONS = 32;

/** @throws Error if it cannot be built: it needs Go 1.26 or later */
export function vegetaProgram(): string {
  const sources = ['go.mod', 'go.sum'].map((name) => join(SOURCE, name));
  const folder = installed('vegeta', sources, (folder) => {
    const build = ['build', '-buildvcs=false', '-trimpath', '-ldflags', '-s -w', '-o', folder];
    run('go', [...build, 'github.com/tsenart/vegeta/v12'], SOURCE, { GOFLAGS: '-p=2' });
  });
  return join(folder, 'vegeta');
}

/** Says so if it is not there. */
export const hasVegeta = (): boolean =>
  foundVersion({ name: 'vegeta', version: vegetaProgram }) !== undefined;

/** Times in milliseconds. */
export interface Latencies {
  readonly requests: number;
  readonly p50: number;
  readonly p99: number;
}

export interface Attack {
  /** For its files. */
  readonly folder: string;
  readonly ports: readonly number[];
  readonly token: string;
  /** Requests a second, over all ports in turn. */
  readonly rate: number;
  readonly seconds: number;
  /** Cores of the load, as taskset names them. */
  readonly cores?: string;
}

/** @throws Error if a response was not 200 */
export async function attack(options: Attack): Promise<Latencies> {
  const { folder, ports, token, rate, seconds, cores = String(LOAD_CORE) } = options;
  const [targets, results] = [join(folder, 'targets'), join(folder, 'results')];
  const head = ['Accept: application/json', 'User-Agent: bench/1.0', `Authorization: Bearer ${token}`];
  writeFileSync(
    targets,
    ports.map((port) => `GET http://127.0.0.1:${port}/orders\n${head.join('\n')}\n`).join('\n'),
  );
  const load = ['attack', `-targets=${targets}`, `-rate=${rate}/1s`, `-duration=${seconds}s`];
  const connections = [`-connections=${CONNECTIONS}`, `-workers=${CONNECTIONS}`];
  await execute('taskset', ['-c', cores, vegetaProgram(), ...load, ...connections, `-output=${results}`], {
    env: { ...process.env, GOMAXPROCS: '1' },
  });
  const { stdout } = await execute(vegetaProgram(), ['report', '-type=json', results]);
  rmSync(results);
  const report = JSON.parse(stdout) as {
    requests: number;
    status_codes: Record<string, number>;
    latencies: Record<'50th' | '99th', number>;
  };
  if (report.status_codes['200'] !== report.requests)
    throw new Error(`responses other than 200: ${JSON.stringify(report.status_codes)}`);
  const { requests, latencies } = report;
  return { requests, p50: latencies['50th'] / 1e6, p99: latencies['99th'] / 1e6 };
}

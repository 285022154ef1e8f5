/**
 * Compares two gateways, in pairs of processes that take turns. Two processes of the same program differ by 5 to 10 % here
 * for as long as they live, so one pair proves nothing. As a command it compares two checkouts; the configuration of two
 * files compares comparePairs().
 *
 *   node bench/pairs.ts ../main . --row new-rs256 --log
 */
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { end, LOAD_CORE, nginxUpstream, PROXY_CORE, startOn } from './arena.ts';
import { createCredentials, createToken, type Credentials } from './credentials.ts';
import { measure } from './measure.ts';
import { freePort, listening } from './ports.ts';

const PAIRS = 7;
const SECONDS = 10;
const WARM_UP_SECONDS = 6;
/** Time for garbage collection after a start. */
const SETTLE_MS = 3_000;

export interface Cost {
  readonly readyMs: number;
  readonly residentMiB: number;
  readonly cpuMicros: number;
}

/** A gateway, alone on its core: a second one there would share the processor's caches. */
export interface Gateway {
  readonly port: number;
  readonly adminPort: number;
  readonly readyMs: number;
  readonly pid: number;
  residentMiB(): number;
  stop(): Promise<void>;
}

/** The environment of a benchmark: a folder, an upstream, credentials. */
export interface BenchEnvironment {
  readonly folder: string;
  /** Valid for every configuration that `configuration` makes. */
  readonly token: string;
  /** Processes that the benchmark stops at its end. */
  readonly processes: ChildProcess[];
  /** A complete configuration; `more` replaces or adds top-level keys. */
  readonly configuration: (more: Record<string, unknown>) => Record<string, unknown>;
  /** @param main of another checkout */
  readonly start: (configuration: Record<string, unknown>, main?: string) => Promise<Gateway>;
  readonly costOf: (configuration: Record<string, unknown>) => Promise<Cost>;
}

export async function withBenchEnvironment(
  run: (environment: BenchEnvironment) => Promise<void>,
  credentials: Credentials = createCredentials(),
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
  const processes: ChildProcess[] = [];
  try {
    await run(await prepare(folder, processes, credentials));
  } finally {
    await Promise.all(processes.map(end));
    rmSync(folder, { recursive: true, force: true });
  }
}

async function prepare(
  folder: string,
  processes: ChildProcess[],
  credentials: Credentials,
): Promise<BenchEnvironment> {
  const token = createToken(credentials);
  const upstreamPort = await freePort();
  processes.push(startOn(LOAD_CORE, nginxUpstream(folder, upstreamPort)));
  await listening(upstreamPort);
  writeFileSync(join(folder, 'jwks.json'), JSON.stringify(credentials.jwks));
  const { issuer, audience } = credentials;
  const start = (configuration: Record<string, unknown>, main?: string): Promise<Gateway> =>
    startGateway(folder, processes, configuration, main);
  return {
    folder,
    processes,
    token,
    start,
    configuration: (more) => ({
      access_log: false,
      issuers: { bench: { issuer, jwks_file: 'jwks.json', audiences: [audience] } },
      routes: [{ name: 'orders', match: { path_prefix: '/' }, upstream: 'orders' }],
      upstreams: { orders: { targets: [`http://127.0.0.1:${upstreamPort}`] } },
      ...more,
    }),
    costOf: async (configuration) => measureCost(await start(configuration), token),
  };
}

/** Starts a gateway on core 0, on free ports, and waits until it is ready. */
async function startGateway(
  folder: string,
  processes: ChildProcess[],
  configuration: Record<string, unknown>,
  main = new URL('../src/main.ts', import.meta.url).pathname,
): Promise<Gateway> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const file = join(folder, `${randomUUID()}.json`);
  const listeners = [{ host: '127.0.0.1', port }];
  writeFileSync(file, JSON.stringify({ ...configuration, listeners, admin: { port: adminPort } }));
  const sinceMs = performance.now();
  const child = startOn(PROXY_CORE, [process.execPath, main, 'run', '-c', file]);
  processes.push(child);
  for (;;) {
    if (child.exitCode !== null) throw new Error('a gateway has ended at its start');
    const ready = await fetch(`http://127.0.0.1:${adminPort}/readyz`).catch(() => undefined);
    if (ready?.status === 200) break;
    await pause(10);
  }
  const pid = child.pid ?? 0;
  return {
    port,
    adminPort,
    pid,
    readyMs: performance.now() - sinceMs,
    residentMiB: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024,
    stop: () => end(child),
  };
}

/** Measures a gateway that has just started, and stops it. */
async function measureCost(gateway: Gateway, token: string): Promise<Cost> {
  const { pid, port, readyMs } = gateway;
  await pause(SETTLE_MS);
  const residentMiB = gateway.residentMiB();
  await measure(pid, port, { token }, WARM_UP_SECONDS, LOAD_CORE);
  const { cpuMicrosPerRequest: cpuMicros } = await measure(pid, port, { token }, SECONDS, LOAD_CORE);
  await gateway.stop();
  return { readyMs, residentMiB, cpuMicros };
}

/** Prints each pair, and the ratios of CPU a request, `all` over `few`. */
export async function comparePairs(
  few: () => Promise<Cost>,
  all: () => Promise<Cost>,
  more: (few: Cost, all: Cost) => string = () => '',
): Promise<void> {
  const ratios: number[] = [];
  for (let pair = 0; pair < PAIRS; pair++) {
    // In every second pair `all` runs first.
    const early = pair % 2 === 0 ? undefined : await all();
    const one = await few();
    const other = early ?? (await all());
    console.log(`few: ${costText(one)}; all: ${costText(other)}${more(one, other)}`);
    ratios.push(other.cpuMicros / one.cpuMicros);
  }
  const sorted = ratios.sort((a, b) => a - b);
  console.log(
    `CPU a request, all over few, ${PAIRS} pairs: ${sorted.map((ratio) => ratio.toFixed(3)).join(' ')}; ` +
      `median ${sorted[Math.floor(PAIRS / 2)]?.toFixed(3)}`,
  );
}

function costText({ readyMs, residentMiB, cpuMicros }: Cost): string {
  return `ready in ${readyMs.toFixed(0)} ms, ${residentMiB.toFixed(0)} MiB, ${cpuMicros.toFixed(1)} us a request`;
}

// Not awaited: that module imports this one.
if (import.meta.main)
  void import('./compare.ts').then(({ compareCheckouts }) => compareCheckouts(process.argv.slice(2)));

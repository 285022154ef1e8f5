/**
 * What a unary call of gRPC with a token that was seen before costs in Sallyport, and in Envoy with jwt_authn and its cache of tokens;
 * and in Sallyport the same load as HTTP/2 and HTTP/1.1. h2load sends it.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Arena, LOAD_CORE, type Running, type Upstream } from './arena.ts';
import { check } from './checks.ts';
import type { Contestant } from './contestants/contestant.ts';
import { envoyCommand, envoyConfiguration } from './contestants/envoy.ts';
import { sallyport } from './contestants/sallyport.ts';
import { goal, NAMES } from './goals.ts';
import { cpuMicros } from './measure.ts';
import { MESSAGE } from './peers/grpc-upstream.ts';
import { envoyVersion, foundVersion } from './programs.ts';
import { figuresOf, median, type Effort, type Row } from './row.ts';
import { openWallet, type Wallet } from './wallet.ts';

const execute = promisify(execFile);
const PATH = '/shop.Orders/Get';
const SERVER = new URL('./peers/grpc-upstream.ts', import.meta.url).pathname;
const MOST = 1;

const UPSTREAM: Upstream = {
  command: (folder, port) => [process.execPath, SERVER, String(port), join(folder, 'calls')],
  async touch(port, path) {
    const session = connect(`http://127.0.0.1:${port}`);
    await once(session.request({ ':path': path }).resume(), 'end');
    session.close();
  },
};

const gateway = sallyport(NAMES.sallyport, {
  kinds: ['known'],
  more: ({ port, upstreamPort }) => ({
    listeners: [{ host: '127.0.0.1', port, protocols: ['h2c', 'http/1.1'] }],
    upstreams: { orders: { targets: [`h2c://127.0.0.1:${upstreamPort}`] } },
  }),
});

const envoy: Contestant = {
  name: NAMES.envoyCache,
  version: envoyVersion,
  kinds: ['known'],
  blindTo: [],
  warmsUp: false,
  start({ folder, port, adminPort, upstreamPort, credentials }) {
    const authentication = { credentials, cache: true };
    const options = { port, adminPort, upstreamPort, protocol: 'h2', authentication } as const;
    return { command: envoyCommand(folder, envoyConfiguration(options)) };
  },
};

const floor: Contestant = {
  name: NAMES.grpcFloor,
  version: () => process.version.slice(1),
  kinds: ['known'],
  blindTo: undefined,
  onlyHttp2: true,
  warmsUp: true,
  start: ({ port, upstreamPort }) => ({
    command: [
      process.execPath,
      new URL('./peers/grpc-floor.ts', import.meta.url).pathname,
      ...[String(port), String(upstreamPort)],
    ],
  }),
};

/** Of h2load: connections, and streams of each. */
const GRPC = ['-c8', '-m10', '-H', 'content-type: application/grpc', '-H', 'te: trailers'];
const LOADS: readonly { contestant: Contestant; title: string; load: readonly string[] }[] = [
  { contestant: gateway, title: 'a unary call of gRPC', load: GRPC },
  { contestant: envoy, title: 'a unary call of gRPC', load: GRPC },
  { contestant: floor, title: 'a unary call of gRPC', load: GRPC },
  { contestant: gateway, title: 'the same as HTTP/2, 8 connections', load: ['-c8', '-m10'] },
  { contestant: gateway, title: 'the same as HTTP/2, 80 connections', load: ['-c80', '-m1'] },
  { contestant: gateway, title: 'the same as HTTP/1.1, 80 connections', load: ['-c80', '--h1'] },
];

interface Entry {
  readonly name: string;
  readonly title: string;
  readonly running: Running;
  readonly load: readonly string[];
  readonly cpu: number[];
}

export async function measureGrpc(
  effort: Effort,
  wallet: Wallet = openWallet('RS256'),
): Promise<readonly Row[]> {
  return Arena.use(async (arena) => {
    const message = join(arena.folder, 'message');
    writeFileSync(message, MESSAGE);
    const entries = await startAll(arena, wallet);
    const turn = async (entry: Entry, seconds: number): Promise<number> =>
      entry.cpu.push(await measure(entry, wallet.token, message, seconds));
    for (const entry of entries) await turn(entry, effort.warmUpSeconds);
    for (const { cpu } of entries) cpu.length = 0;
    for (let round = 0; round < effort.rounds; round++) {
      console.error(`grpc: round ${round + 1} of ${effort.rounds}`);
      for (const entry of entries) await turn(entry, effort.seconds);
    }
    return rowsOf(entries);
  }, UPSTREAM);
}

async function startAll(arena: Arena, wallet: Wallet): Promise<readonly Entry[]> {
  const started = new Map<Contestant, { running: Running; version: string }>();
  for (const contestant of [gateway, envoy, floor]) {
    const version = foundVersion(contestant);
    if (version === undefined) continue;
    const running = await arena.start(contestant, 'known', wallet);
    if (!contestant.onlyHttp2) await check(arena, running, 'known', wallet);
    started.set(contestant, { running, version });
  }
  return LOADS.flatMap(({ contestant, title, load }) => {
    const at = started.get(contestant);
    if (at === undefined) return [];
    return [{ name: `${contestant.name} (${at.version})`, title, running: at.running, load, cpu: [] }];
  });
}

/** @throws Error where a response was not 200 with a message: refusals are cheap and would look like speed */
async function measure(
  { running, load }: Entry,
  token: string,
  message: string,
  seconds: number,
): Promise<number> {
  const { pid, port } = running;
  const before = cpuMicros(pid);
  const { stdout } = await execute('taskset', [
    ...['-c', String(LOAD_CORE), 'h2load', '-t1', '-D', String(seconds), '-d', message, ...load],
    ...['-H', `authorization: Bearer ${token}`, `http://127.0.0.1:${port}${PATH}`],
  ]);
  const spent = cpuMicros(pid) - before;
  const succeeded = Number(/status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx/.exec(stdout)?.[1]);
  const dataBytes = Number(/\((\d+)\) data/.exec(stdout)?.[1]);
  if (!(succeeded > 0) || dataBytes < succeeded * MESSAGE.length)
    throw new Error(`a round with responses that are not 200, or without a message:\n${stdout}`);
  return spent / succeeded;
}

function rowsOf(entries: readonly Entry[]): readonly Row[] {
  const cpuOf = (wanted: string): number | undefined => {
    const found = entries.find(({ name }) => name.startsWith(wanted));
    return found && median(found.cpu);
  };
  const base = cpuOf(NAMES.envoyCache);
  const floorCpu = cpuOf(NAMES.grpcFloor);
  return entries.map(({ name, title, cpu }, index): Row => {
    const value = base && median(cpu) / base;
    const goals =
      index === 0 && base !== undefined && value !== undefined
        ? [
            goal({
              base: NAMES.envoyCache,
              atMost: MOST,
              wish: false,
              value,
              floor: floorCpu && floorCpu / base,
            }),
          ]
        : [];
    return {
      section: 'CPU a call of gRPC, token seen before, RS256',
      row: title,
      contestant: name,
      unit: 'µs',
      ...figuresOf(cpu),
      ...(value !== undefined && { ratio: { to: NAMES.envoyCache, value } }),
      ...(goals.length > 0 && { goals }),
    };
  });
}

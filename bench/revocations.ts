/**
 * Measures what revocations cost: how many a second one gateway takes through its admin API, and the CPU time that each
 * one costs in Redis, in the gateway that takes it, and in the gateways that learn of it. Runs with few gateways and with
 * more, so that the cost of one more shows. Redis is on core 1 with the load, all gateways are on core 0.
 *
 *   node bench/revocations.ts [--revocations 20000] [--gateways 2,6]
 */
import { execFileSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startOn } from './arena.ts';
import { createCredentials } from './credentials.ts';
import { cpuMicros } from './measure.ts';
import { freePort, listening } from './ports.ts';

const GATEWAY_CORE = 0;
const LOAD_CORE = 1;
const AT_A_TIME = 16;
const ADMIN_TOKEN = 'only-for-the-benchmark';
/** How long the idle cost of Redis is measured: gateways ask it once a second. */
const IDLE_SECONDS = 10;

const { values } = parseArgs({
  options: {
    revocations: { type: 'string', default: '20000' },
    gateways: { type: 'string', default: '2,6' },
  },
});
const revocations = Number(values.revocations);
const agent = new Agent({ keepAlive: true });

interface Running {
  readonly pid: number;
  readonly adminPort: number;
}

interface Fleet {
  readonly redisPort: number;
  readonly redisPid: number;
  readonly gateways: readonly Running[];
}

async function ask(port: number, path: string, body?: object): Promise<{ status: number; text: string }> {
  const outgoing = request({
    agent,
    port,
    path,
    method: body ? 'POST' : 'GET',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, ...(body && { 'content-type': 'application/json' }) },
  });
  outgoing.end(body && JSON.stringify(body));
  const [response] = (await once(outgoing, 'response')) as [AsyncIterable<Buffer> & { statusCode: number }];
  let text = '';
  for await (const chunk of response) text += chunk.toString();
  return { status: response.statusCode, text };
}

async function startGateway(folder: string, redisPort: number, processes: ChildProcess[]): Promise<Running> {
  const { issuer, jwks, audience } = createCredentials();
  const [port, adminPort] = [await freePort(), await freePort()];
  const file = join(folder, `gateway-${adminPort}.json`);
  writeFileSync(
    file,
    JSON.stringify({
      access_log: false,
      listeners: [{ host: '127.0.0.1', port }],
      admin: { port: adminPort, token: ADMIN_TOKEN },
      issuers: { bench: { issuer, jwks, audiences: [audience] } },
      revocation: { store: `redis://127.0.0.1:${redisPort}` },
      routes: [{ name: 'orders', match: { path_prefix: '/' }, upstream: 'orders' }],
      upstreams: { orders: { targets: ['http://127.0.0.1:9'] } },
    }),
  );
  const main = new URL('../src/main.ts', import.meta.url).pathname;
  const child = startOn(GATEWAY_CORE, [process.execPath, main, 'run', '-c', file]);
  processes.push(child);
  for (;;) {
    if (child.exitCode !== null) throw new Error('a gateway has ended at its start');
    // Refused until the gateway listens.
    const ready = await ask(adminPort, '/readyz').catch(() => undefined);
    if (ready?.status === 200) return { pid: child.pid ?? 0, adminPort };
    await pause(50);
  }
}

/** Waits until a gateway has this many entries. */
async function hasEntries({ adminPort }: Running, count: number): Promise<void> {
  for (;;) {
    const { text } = await ask(adminPort, '/metrics');
    if (Number(/^sallyport_revocation_entries (\d+)/m.exec(text)?.[1]) >= count) return;
    await pause(20);
  }
}

/** Revokes one session after the other, a few at a time. @returns seconds */
async function revokeAll({ adminPort }: Running, from: number, count: number): Promise<number> {
  let next = from;
  const sinceMs = performance.now();
  const worker = async (): Promise<void> => {
    while (next < from + count) {
      const body = { issuer: 'bench', session: `session-${next++}` };
      const { status, text } = await ask(adminPort, '/v1/revocations', body);
      if (status !== 201) throw new Error(`the admin API responded with ${status} ${text}`);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  return (performance.now() - sinceMs) / 1000;
}

/** Bytes that Redis uses for its data. */
function redisBytes(port: number): number {
  const text = execFileSync('redis-cli', ['-p', String(port), 'info', 'memory'], { encoding: 'utf8' });
  return Number(/^used_memory_dataset:(\d+)/m.exec(text)?.[1]);
}

async function startAll(folder: string, count: number, processes: ChildProcess[]): Promise<Fleet> {
  const redisPort = await freePort();
  const redis = startOn(LOAD_CORE, [
    ...['redis-server', '--port', String(redisPort), '--bind', '127.0.0.1', '--dir', folder],
    ...['--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec'],
  ]);
  processes.push(redis);
  await listening(redisPort);
  const gateways: Running[] = [];
  while (gateways.length < count) gateways.push(await startGateway(folder, redisPort, processes));
  return { redisPort, redisPid: redis.pid ?? 0, gateways };
}

async function measureFleet({ redisPort, redisPid, gateways }: Fleet): Promise<void> {
  const [first, ...others] = gateways as [Running, ...Running[]];
  const warmUp = Math.ceil(revocations / 4);
  await revokeAll(first, 0, warmUp);
  await Promise.all(gateways.map((each) => hasEntries(each, warmUp)));

  const idleSince = cpuMicros(redisPid);
  await pause(IDLE_SECONDS * 1000);
  const idle = (cpuMicros(redisPid) - idleSince) / IDLE_SECONDS;

  const all = [redisPid, ...gateways.map(({ pid }) => pid)];
  const before = all.map(cpuMicros);
  const bytesBefore = redisBytes(redisPort);
  const seconds = await revokeAll(first, warmUp, revocations);
  await Promise.all(gateways.map((each) => hasEntries(each, warmUp + revocations)));
  const [ofRedis = 0, ofFirst = 0, ...ofOthers] = all.map(
    (pid, index) => (cpuMicros(pid) - (before[index] ?? 0)) / revocations,
  );
  const bytes = (redisBytes(redisPort) - bytesBefore) / revocations;
  const mean = ofOthers.reduce((sum, each) => sum + each, 0) / Math.max(1, others.length);
  console.log(
    `${gateways.length} gateways: ${(revocations / seconds).toFixed(0)} revocations a second through one of them; CPU µs for each: ` +
      `Redis ${ofRedis.toFixed(0)}, the gateway that takes it ${ofFirst.toFixed(0)}, each other one ${mean.toFixed(0)}; ` +
      `${bytes.toFixed(0)} bytes in Redis; Redis without revocations: ${(idle / 1000).toFixed(1)} ms of CPU a second`,
  );
}

async function measureWith(count: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
  const processes: ChildProcess[] = [];
  try {
    await measureFleet(await startAll(folder, count, processes));
  } finally {
    for (const child of processes) child.kill('SIGTERM');
    await Promise.all(
      processes.filter(({ exitCode }) => exitCode === null).map((child) => once(child, 'exit')),
    );
    rmSync(folder, { recursive: true, force: true });
  }
}

for (const count of values.gateways.split(',').map(Number)) await measureWith(count);
agent.destroy();

/**
 * A long revocation list: how long a gateway takes to load it from a local Redis, what it costs in memory, and what it
 * costs a request, side by side with an empty list.
 *
 *   node bench/million.ts [--entries 1000000]
 */
import type { ChildProcess } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/clock.ts';
import { RedisStore } from '../src/revocation/redis-store.ts';
import { nginxUpstream, startOn } from './contestants.ts';
import { createCredentials, createToken } from './credentials.ts';
import { measure } from './measure.ts';
import { freePort, listening } from './ports.ts';

const { values } = parseArgs({ options: { entries: { type: 'string', default: '1000000' } } });
const entries = Number(values.entries);
const ROUNDS = 9;
const SECONDS = 3;

const folder = mkdtempSync(join(tmpdir(), 'sallyport-million-'));
const processes: ChildProcess[] = [];

function residentMiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;
}

try {
  const credentials = createCredentials();
  const token = createToken(credentials);
  const [redisPort, upstreamPort] = [await freePort(), await freePort()];
  processes.push(
    startOn(1, [
      'redis-server',
      '--port',
      String(redisPort),
      '--bind',
      '127.0.0.1',
      '--dir',
      folder,
      '--save',
      '',
    ]),
    startOn(1, nginxUpstream(folder, upstreamPort)),
  );
  await Promise.all([listening(redisPort), listening(upstreamPort)]);
  const location = { url: `redis://127.0.0.1:${redisPort}`, keyPrefix: 'full' };
  const store = new RedisStore(location, systemClock);
  const expiresAt = Math.floor(Date.now() / 1000) + 86_400;
  for (let from = 0; from < entries; from += 1_000) {
    await store.merge(
      Array.from({ length: 1_000 }, (_, index) => ({
        id: createHash('sha256')
          .update(`${from + index}`)
          .digest()
          .toString('base64url', 0, 16),
        revoked: true,
        issuedBefore: null,
        expiresAt,
        version: { timeMs: Date.now(), counter: index },
      })),
    );
  }
  await store.close();
  console.log(`${entries} entries are in Redis`);

  writeFileSync(join(folder, 'jwks.json'), JSON.stringify(credentials.jwks));
  const startGateway = async (prefix: string): Promise<{ port: number; pid: number; readyMs: number }> => {
    const [port, adminPort] = [await freePort(), await freePort()];
    const file = join(folder, `${randomUUID()}.json`);
    writeFileSync(
      file,
      JSON.stringify({
        access_log: false,
        listeners: [{ host: '127.0.0.1', port }],
        admin: { port: adminPort },
        issuers: {
          bench: { issuer: credentials.issuer, jwks_file: 'jwks.json', audiences: [credentials.audience] },
        },
        revocation: { store: location.url, key_prefix: prefix },
        routes: [{ name: 'orders', match: { path_prefix: '/' }, upstream: 'orders' }],
        upstreams: { orders: { targets: [`http://127.0.0.1:${upstreamPort}`] } },
      }),
    );
    const sinceMs = performance.now();
    const child = startOn(0, [
      process.execPath,
      new URL('../src/main.ts', import.meta.url).pathname,
      'run',
      '-c',
      file,
    ]);
    processes.push(child);
    for (;;) {
      const ready = await fetch(`http://127.0.0.1:${adminPort}/readyz`).catch(() => undefined);
      if (ready?.status === 200) break;
      await pause(10);
    }
    return { port, pid: child.pid ?? 0, readyMs: performance.now() - sinceMs };
  };
  const empty = await startGateway('empty');
  const full = await startGateway(location.keyPrefix);
  console.log(
    `start to ready: ${empty.readyMs.toFixed(0)} ms with none, ${full.readyMs.toFixed(0)} ms with all`,
  );
  await pause(5_000);
  const [emptyMiB, fullMiB] = [residentMiB(empty.pid), residentMiB(full.pid)];
  console.log(
    `resident: ${emptyMiB.toFixed(0)} MiB with none, ${fullMiB.toFixed(0)} MiB with all: ${(((fullMiB - emptyMiB) * 2 ** 20) / entries).toFixed(0)} bytes an entry, garbage included`,
  );
  for (const { pid, port } of [empty, full]) await measure(pid, port, { token }, 8, 1);
  const costs: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, { pid, port }] of [empty, full].entries())
      costs[index]?.push((await measure(pid, port, { token }, SECONDS, 1)).cpuMicrosPerRequest);
  }
  const [none, all] = costs.map(median);
  console.log(
    `CPU a request: ${none?.toFixed(1)} us with none, ${all?.toFixed(1)} us with all: ratio ${((all ?? 0) / (none ?? 1)).toFixed(3)}`,
  );
} finally {
  for (const child of processes) child.kill('SIGTERM');
  await Promise.all(
    processes.filter(({ exitCode }) => exitCode === null).map((child) => once(child, 'exit')),
  );
  rmSync(folder, { recursive: true, force: true });
}

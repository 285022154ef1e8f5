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
/** Processes of the same program differ by 5 to 10 % here, for as long as they live: one pair tells nothing. */
const PAIRS = 7;
const SECONDS = 10;
const WARM_UP_SECONDS = 6;
/** After a start, until what was garbage of it is gone. */
const SETTLE_MS = 3_000;

const folder = mkdtempSync(join(tmpdir(), 'sallyport-million-'));
const processes: ChildProcess[] = [];

function residentMiBOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

interface Cost {
  readonly readyMs: number;
  readonly residentMiB: number;
  readonly cpuMicros: number;
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
  /** One gateway, alone: another on the same core would share its caches. */
  const costOf = async (prefix: string): Promise<Cost> => {
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
    const readyMs = performance.now() - sinceMs;
    const pid = child.pid ?? 0;
    await pause(SETTLE_MS);
    const residentMiB = residentMiBOf(pid);
    await measure(pid, port, { token }, WARM_UP_SECONDS, 1);
    const { cpuMicrosPerRequest: cpuMicros } = await measure(pid, port, { token }, SECONDS, 1);
    child.kill('SIGTERM');
    await once(child, 'exit');
    return { readyMs, residentMiB, cpuMicros };
  };
  const ratios: number[] = [];
  for (let pair = 0; pair < PAIRS; pair++) {
    // By turns, the one or the other comes first.
    const full = pair % 2 === 0 ? undefined : await costOf(location.keyPrefix);
    const none = await costOf('empty');
    const all = full ?? (await costOf(location.keyPrefix));
    console.log(
      `none: ready in ${none.readyMs.toFixed(0)} ms, ${none.residentMiB.toFixed(0)} MiB, ${none.cpuMicros.toFixed(1)} us a request; ` +
        `all: ${all.readyMs.toFixed(0)} ms, ${all.residentMiB.toFixed(0)} MiB (${(((all.residentMiB - none.residentMiB) * 2 ** 20) / entries).toFixed(0)} bytes an entry), ${all.cpuMicros.toFixed(1)} us`,
    );
    ratios.push(all.cpuMicros / none.cpuMicros);
  }
  const sorted = [...ratios].sort((x, y) => x - y).map((ratio) => ratio.toFixed(3));
  console.log(
    `CPU a request, all over none, ${PAIRS} pairs: ${sorted.join(' ')}; median ${median(ratios).toFixed(3)}`,
  );
} finally {
  for (const child of processes) child.kill('SIGTERM');
  await Promise.all(
    processes.filter(({ exitCode }) => exitCode === null).map((child) => once(child, 'exit')),
  );
  rmSync(folder, { recursive: true, force: true });
}

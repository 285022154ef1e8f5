/**
 * `npm run bench`: measures what an authenticated request costs in each proxy on this machine. The proxy is alone on
 * core 0; load and upstream are on core 1. All contestants take turns in every round. Prints medians.
 *
 *   npm run bench -- --quick          3 short rounds
 *   npm run bench -- --json FILE      also write the figures as JSON
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CONTESTANTS, nginxUpstream, startOn, type Contestant } from './contestants.ts';
import { createCredentials, createToken } from './credentials.ts';
import { measure, writeTokenScript, type Measurement } from './measure.ts';
import { freePort, listening } from './ports.ts';

const PROXY_CORE = 0;
const LOAD_CORE = 1;

const { values } = parseArgs({ options: { quick: { type: 'boolean' }, json: { type: 'string' } } });
const rounds = values.quick === true ? 3 : 5;
const seconds = values.quick === true ? 4 : 8;
/** More than are in flight at a time: a cache of one entry no longer holds a token when it comes again. */
const NEW_TOKENS = 500;
/** V8 keeps compiling for some 100,000 requests, on the proxy's core. */
const WARM_UP_SECONDS = 10;

async function end(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null) return;
  process.kill('SIGTERM');
  await once(process, 'exit');
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;
}

const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
const processes: ChildProcess[] = [];
try {
  const credentials = createCredentials();
  const known = { token: createToken(credentials) };
  const many = writeTokenScript(
    join(folder, 'tokens.lua'),
    Array.from({ length: NEW_TOKENS }, () => createToken(credentials)),
  );
  const upstreamPort = await freePort();
  processes.push(startOn(LOAD_CORE, nginxUpstream(folder, upstreamPort)));
  await listening(upstreamPort);

  const present: { contestant: Contestant; port: number; pid: number; results: Measurement[] }[] = [];
  for (const contestant of CONTESTANTS) {
    if (contestant.version === undefined) {
      console.log(`left out, not installed: ${contestant.name}`);
      continue;
    }
    const port = await freePort();
    const started = startOn(PROXY_CORE, contestant.command(folder, port, upstreamPort, credentials));
    processes.push(started);
    await listening(port);
    present.push({ contestant, port, pid: started.pid ?? 0, results: [] });
  }
  const load = ({ contestant, port, pid }: (typeof present)[number], lasting: number): Promise<Measurement> =>
    measure(pid, port, contestant.newTokens ? many : known, lasting, LOAD_CORE);
  for (const each of present) await load(each, WARM_UP_SECONDS);
  for (let round = 0; round < rounds; round++) {
    for (const each of present) each.results.push(await load(each, seconds));
  }

  const rows = present.map(({ contestant, results }) => {
    const cpu = results.map(({ cpuMicrosPerRequest }) => cpuMicrosPerRequest);
    return {
      name: contestant.name,
      version: contestant.version,
      authenticates: contestant.authenticates,
      cpuMicrosPerRequest: median(cpu),
      spread: Math.max(...cpu) / Math.min(...cpu) - 1,
      requestsPerSecond: median(results.map(({ requestsPerSecond }) => requestsPerSecond)),
    };
  });
  const ours = rows[0]?.cpuMicrosPerRequest ?? NaN;
  console.log(
    `RS256, token seen before unless it says new; CPU of the proxy for a request; median of ${rounds} rounds of ${seconds} s; Node ${process.versions.node}\n`,
  );
  console.log(
    ['proxy'.padEnd(28), 'version'.padEnd(9), 'CPU µs', 'spread', 'requests/s', 'sallyport / it'].join('  '),
  );
  for (const row of rows) {
    console.log(
      [
        row.name.padEnd(28),
        (row.version ?? '').padEnd(9),
        row.cpuMicrosPerRequest.toFixed(1).padStart(6),
        `${(100 * row.spread).toFixed(0)}%`.padStart(6),
        row.requestsPerSecond.toFixed(0).padStart(10),
        (ours / row.cpuMicrosPerRequest).toFixed(2).padStart(14),
      ].join('  '),
    );
  }
  if (values.json !== undefined)
    writeFileSync(
      values.json,
      `${JSON.stringify({ rounds, seconds, node: process.version, rows }, null, 2)}\n`,
    );
} finally {
  await Promise.all(processes.map(end));
  rmSync(folder, { recursive: true, force: true });
}

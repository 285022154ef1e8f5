/**
 * Measures how long a revocation takes to reach a fleet: from the admin API's 201 to the first refusal on the slowest
 * gateway. Five gateways share one Redis and serve other requests meanwhile; the token is in every cache.
 *
 *   node bench/propagation.ts [--revocations 2000]
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createCredentials, createToken } from './credentials.ts';
import { nginxUpstream } from './arena.ts';
import { freePort } from './ports.ts';

const GATEWAYS = 5;
const AT_A_TIME = 2;
/** Clients that send other requests to each gateway meanwhile. */
const BACKGROUND_PER_GATEWAY = 2;
const ADMIN_TOKEN = 'only-for-the-benchmark';

const { values } = parseArgs({ options: { revocations: { type: 'string', default: '2000' } } });
const revocations = Number(values.revocations);

const agent = new Agent({ keepAlive: true });

async function send(
  port: number,
  path: string,
  token: string,
  body?: object,
): Promise<{ status: number; text: string }> {
  const outgoing = request({
    agent,
    port,
    path,
    method: body ? 'POST' : 'GET',
    headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
  });
  outgoing.end(body && JSON.stringify(body));
  const [response] = (await once(outgoing, 'response')) as [AsyncIterable<Buffer> & { statusCode: number }];
  let text = '';
  for await (const chunk of response) text += chunk.toString();
  return { status: response.statusCode, text };
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;
}

const folder = mkdtempSync(join(tmpdir(), 'sallyport-propagation-'));
const processes: ChildProcess[] = [];
const start = (command: string, args: readonly string[]): void => {
  processes.push(spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] }));
};
let running = true;
try {
  const credentials = createCredentials();
  const [redisPort, upstreamPort] = [await freePort(), await freePort()];
  start('redis-server', ['--port', String(redisPort), '--bind', '127.0.0.1', '--dir', folder, '--save', '']);
  const [nginx = '', ...nginxArgs] = nginxUpstream(folder, upstreamPort);
  start(nginx, nginxArgs);
  writeFileSync(join(folder, 'jwks.json'), JSON.stringify(credentials.jwks));
  const gateways: { port: number; adminPort: number }[] = [];
  for (let index = 0; index < GATEWAYS; index++) {
    const gateway = { port: await freePort(), adminPort: await freePort() };
    gateways.push(gateway);
    const file = join(folder, `gateway-${index}.json`);
    writeFileSync(
      file,
      JSON.stringify({
        access_log: false,
        listeners: [{ host: '127.0.0.1', port: gateway.port }],
        admin: { port: gateway.adminPort, token: ADMIN_TOKEN },
        issuers: {
          bench: { issuer: credentials.issuer, jwks_file: 'jwks.json', audiences: [credentials.audience] },
        },
        revocation: { store: `redis://127.0.0.1:${redisPort}` },
        routes: [{ name: 'orders', match: { path_prefix: '/' }, upstream: 'orders' }],
        upstreams: { orders: { targets: [`http://127.0.0.1:${upstreamPort}`] } },
      }),
    );
    start(process.execPath, [new URL('../src/main.ts', import.meta.url).pathname, 'run', '-c', file]);
  }
  for (const { adminPort } of gateways) {
    for (;;) {
      if (processes.some(({ exitCode }) => exitCode !== null))
        throw new Error('a process has ended at its start');
      const ready = await send(adminPort, '/readyz', ADMIN_TOKEN).catch(() => undefined);
      if (ready?.status === 200) break;
      await pause(50);
    }
  }

  const everyday = createToken(credentials);
  const background = gateways.flatMap(({ port }) =>
    Array.from({ length: BACKGROUND_PER_GATEWAY }, async () => {
      while (running) await send(port, '/', everyday);
    }),
  );
  const slowestMs: number[] = [];
  let acceptedLate = 0;
  const revokeOne = async (index: number): Promise<void> => {
    const token = createToken(credentials);
    await Promise.all(gateways.map(({ port }) => send(port, '/', token)));
    const by = gateways[index % gateways.length];
    const response = await send(by?.adminPort ?? 0, '/v1/revocations', ADMIN_TOKEN, { token });
    if (response.status !== 201)
      throw new Error(`the admin API responded with ${response.status} ${response.text}`);
    const sinceMs = performance.now();
    const took = await Promise.all(
      gateways.map(async ({ port }) => {
        while ((await send(port, '/', token)).status !== 401);
        return performance.now() - sinceMs;
      }),
    );
    slowestMs.push(Math.max(...took));
    const again = await Promise.all(gateways.map(({ port }) => send(port, '/', token)));
    acceptedLate += again.filter(({ status }) => status !== 401).length;
  };
  let next = 0;
  await Promise.all(
    Array.from({ length: AT_A_TIME }, async () => {
      while (next < revocations) await revokeOne(next++);
    }),
  );
  running = false;
  await Promise.all(background);
  slowestMs.sort((a, b) => a - b);
  console.log(
    `${revocations} revocations, ${GATEWAYS} gateways; from 201 to the first refusal on the slowest, in ms`,
  );
  for (const q of [0.5, 0.9, 0.99, 0.999, 1])
    console.log(`p${100 * q}`.padEnd(6), quantile(slowestMs, q).toFixed(1));
  console.log(`accepted after a refusal: ${acceptedLate}`);
} finally {
  running = false;
  agent.destroy();
  for (const child of processes) child.kill('SIGTERM');
  await Promise.all(
    processes.filter(({ exitCode }) => exitCode === null).map((child) => once(child, 'exit')),
  );
  rmSync(folder, { recursive: true, force: true });
}

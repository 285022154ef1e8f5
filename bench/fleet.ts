/** Gateways that share one Redis and serve requests of one upstream, each a process, for measurements of the whole. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { nginxUpstream } from './arena.ts';
import { createCredentials, createToken } from './credentials.ts';
import { freePort } from './ports.ts';

export const ADMIN_TOKEN = 'only-for-the-benchmark';

export interface FleetGateway {
  readonly port: number;
  readonly adminPort: number;
}

export interface BenchFleet {
  readonly gateways: readonly FleetGateway[];
  readonly credentials: ReturnType<typeof createCredentials>;
  /** Clients that send requests with a token in the caches to each gateway, until the fleet is stopped. */
  load(clientsPerGateway: number): void;
  /** Requests that these clients have sent. */
  sent(): number;
  stop(): Promise<void>;
}

const agent = new Agent({ keepAlive: true });

export async function send(
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

export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;
}

/** @param revocation beside the store */
export async function startFleet(count: number, revocation: object = {}): Promise<BenchFleet> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-fleet-'));
  const processes: ChildProcess[] = [];
  const background: Promise<void>[] = [];
  const state = { isRunning: true, sent: 0 };
  const start = (command: string, args: readonly string[]): void => {
    processes.push(spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] }));
  };
  const stop = async (): Promise<void> => {
    state.isRunning = false;
    await Promise.allSettled(background);
    agent.destroy();
    for (const child of processes) child.kill('SIGTERM');
    await Promise.all(
      processes.filter(({ exitCode }) => exitCode === null).map((child) => once(child, 'exit')),
    );
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const credentials = createCredentials();
    const [redisPort, upstreamPort] = [await freePort(), await freePort()];
    start('redis-server', ['--port', `${redisPort}`, '--bind', '127.0.0.1', '--dir', folder, '--save', '']);
    const [nginx = '', ...nginxArgs] = nginxUpstream(folder, upstreamPort);
    start(nginx, nginxArgs);
    writeFileSync(join(folder, 'jwks.json'), JSON.stringify(credentials.jwks));
    const gateways: FleetGateway[] = [];
    for (let index = 0; index < count; index++) {
      const gateway = { port: await freePort(), adminPort: await freePort() };
      gateways.push(gateway);
      const file = join(folder, `gateway-${index}.json`);
      const store = `redis://127.0.0.1:${redisPort}`;
      const own = { name: `gateway-${index + 1}`, revocation: { store, ...revocation } };
      writeFileSync(file, JSON.stringify({ ...own, ...configurationOf(gateway, credentials, upstreamPort) }));
      start(process.execPath, [new URL('../src/main.ts', import.meta.url).pathname, 'run', '-c', file]);
    }
    await allReady(gateways, processes);
    const everyday = createToken(credentials);
    const client = async (port: number): Promise<void> => {
      for (; state.isRunning; state.sent++) await send(port, '/', everyday);
    };
    const load = (clients: number): void => {
      for (const { port } of gateways)
        for (let index = 0; index < clients; index++) background.push(client(port));
    };
    return { gateways, credentials, load, stop, sent: () => state.sent };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function allReady(
  gateways: readonly FleetGateway[],
  processes: readonly ChildProcess[],
): Promise<void> {
  for (const { adminPort } of gateways) {
    for (;;) {
      if (processes.some(({ exitCode }) => exitCode !== null))
        throw new Error('a process has ended at its start');
      const ready = await send(adminPort, '/readyz', ADMIN_TOKEN).catch(() => undefined);
      if (ready?.status === 200) break;
      await pause(50);
    }
  }
}

function configurationOf(
  { port, adminPort }: FleetGateway,
  { issuer, audience }: BenchFleet['credentials'],
  upstreamPort: number,
): object {
  return {
    access_log: false,
    listeners: [{ host: '127.0.0.1', port }],
    admin: { port: adminPort, token: ADMIN_TOKEN },
    issuers: { bench: { issuer, jwks_file: 'jwks.json', audiences: [audience] } },
    routes: [{ name: 'orders', match: { path_prefix: '/' }, upstream: 'orders' }],
    upstreams: { orders: { targets: [`http://127.0.0.1:${upstreamPort}`] } },
  };
}

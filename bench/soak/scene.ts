/** What `npm run soak` runs: a Redis that it can restart, an upstream for each protocol, and the gateway, each on loopback. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { end } from '../arena.ts';
import { createCredentials, type Credentials } from '../credentials.ts';
import { freePort, listening } from '../ports.ts';
import type { Sample } from './probe.ts';

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;
const PROBE = new URL('./probe.ts', import.meta.url).href;
export const ADMIN_TOKEN = 'soak-'.repeat(8);
/** Of idle connections of the upstream: none is left when the load has stopped for longer. */
const UPSTREAM_IDLE_MS = 2_000;
const LARGE = Buffer.alloc(256 * 1024, 'x');
/** Small, so that they are full before the first figure that counts. */
const CACHES = { tokens: { entries: 1_000 }, negatives: { entries: 1_000 } };
const READY_MS = 30_000;

export interface Scene {
  readonly credentials: Credentials;
  readonly port: number;
  readonly adminPort: number;
  sample(): Promise<Sample>;
  /** Kills Redis and starts it again, with what it has on disk. */
  restartRedis(): Promise<void>;
  /** Another configuration, and a signal for it. */
  reload(): void;
  /** @returns whether the gateway still runs */
  alive(): boolean;
}

/** Ends all that was started, whatever happens. */
export async function withScene<T>(play: (scene: Scene) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-soak-'));
  const ends: (() => Promise<unknown>)[] = [];
  const interrupted = (): void => process.exit(130);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, interrupted);
  try {
    return await play(await startScene(folder, ends));
  } finally {
    for (const finish of ends.reverse()) await finish();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startScene(folder: string, ends: (() => Promise<unknown>)[]): Promise<Scene> {
  const credentials = createCredentials('ES256');
  const redisPort = await freePort();
  let redis = await startRedis(folder, redisPort);
  ends.push(() => end(redis));
  const upstream = await listen(createServer(respond), ends);
  const http2 = await listen(createHttp2Server().on('stream', respondGrpc), ends);
  const [port, adminPort] = [await freePort(), await freePort()];
  writeFileSync(join(folder, 'jwks.json'), JSON.stringify(credentials.jwks));
  const file = join(folder, 'sallyport.json');
  let reloads = 0;
  const write = (): void =>
    writeFileSync(
      file,
      JSON.stringify({
        ...configurationOf({ credentials, upstream, http2, redisPort, port, adminPort }),
        realm: `soak-${reloads++ % 2}`,
      }),
    );
  write();
  const gateway = own(
    spawn(process.execPath, ['--expose-gc', '--import', PROBE, MAIN, 'run', '-c', file], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    }),
  );
  ends.push(() => endGateway(gateway));
  await ready(gateway, adminPort);
  return {
    credentials,
    port,
    adminPort,
    alive: () => gateway.exitCode === null && gateway.signalCode === null,
    sample: async () => {
      const reply = once(gateway, 'message') as Promise<[Sample]>;
      gateway.send('sample');
      return (await reply)[0];
    },
    restartRedis: async () => {
      redis.kill('SIGKILL');
      await once(redis, 'exit');
      redis = await startRedis(folder, redisPort);
    },
    reload: () => {
      write();
      gateway.kill('SIGHUP');
    },
  };
}

interface Parts {
  readonly credentials: Credentials;
  readonly upstream: number;
  readonly http2: number;
  readonly redisPort: number;
  readonly port: number;
  readonly adminPort: number;
}

function configurationOf({ credentials, upstream, http2, redisPort, port, adminPort }: Parts): object {
  const { issuer, audience } = credentials;
  return {
    listeners: [{ host: '127.0.0.1', port, protocols: ['http/1.1', 'h2c'] }],
    admin: { port: adminPort, token: ADMIN_TOKEN },
    issuers: { soak: { issuer, jwks_file: 'jwks.json', audiences: [audience] } },
    revocation: { store: `redis://127.0.0.1:${redisPort}/0` },
    caches: CACHES,
    sessions: { entries: 100 },
    routes: [
      { name: 'grpc', match: { path_prefix: '/soak.Echo' }, upstream: 'grpc' },
      { name: 'orders', match: { path_prefix: '/' }, upstream: 'orders' },
    ],
    upstreams: {
      orders: { targets: [`http://127.0.0.1:${upstream}`] },
      grpc: { targets: [`h2c://127.0.0.1:${http2}`] },
    },
  };
}

/** Ends with this process, however that ends. */
function own(child: ChildProcess): ChildProcess {
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  return child;
}

async function startRedis(folder: string, port: number): Promise<ChildProcess> {
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''];
  const redis = own(spawn('redis-server', [...options, '--appendonly', 'yes'], { stdio: 'ignore' }));
  await listening(port);
  return redis;
}

async function listen(server: Server, ends: (() => Promise<unknown>)[]): Promise<number> {
  const sockets = new Set<{ destroy(): void }>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  if ('keepAliveTimeout' in server) server.keepAliveTimeout = UPSTREAM_IDLE_MS;
  ends.push(async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

/** The path says how: it resets the connection before or within the response, is slow, large, or none of these. */
function respond(request: IncomingMessage, response: ServerResponse): void {
  const { url = '/' } = request;
  if (url.startsWith('/reset')) return void request.socket.resetAndDestroy();
  request.resume();
  if (url.startsWith('/broken')) {
    response.writeHead(200, { 'content-length': LARGE.length });
    response.write(LARGE.subarray(0, 1_000), () => request.socket.resetAndDestroy());
  } else if (url.startsWith('/slow')) setTimeout(() => response.end('slow'), 200);
  else if (url.startsWith('/large')) response.end(LARGE);
  else request.on('end', () => response.end('{"orders":[]}'));
}

/** Sends each message back, as a call of gRPC. */
function respondGrpc(stream: ServerHttp2Stream): void {
  stream.on('error', () => undefined);
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.pipe(stream);
}

async function ready(gateway: ChildProcess, adminPort: number): Promise<void> {
  const untilMs = performance.now() + READY_MS;
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${adminPort}/readyz`).catch(() => undefined);
    if (response?.ok === true) return;
    if (gateway.exitCode !== null || performance.now() > untilMs)
      throw new Error('the gateway does not get ready');
    await pause(50);
  }
}

/** A gateway that does not end by itself is a finding, and is ended. */
async function endGateway(gateway: ChildProcess): Promise<void> {
  if (gateway.exitCode !== null || gateway.signalCode !== null) return;
  gateway.disconnect();
  const exit = once(gateway, 'exit');
  gateway.kill('SIGTERM');
  const late = setTimeout(() => gateway.kill('SIGKILL'), READY_MS);
  const [code] = (await exit) as [number | null];
  clearTimeout(late);
  if (code !== 0) throw new Error('the gateway did not end by itself after SIGTERM');
}

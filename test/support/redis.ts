/** A real redis-server that the test starts, kills and cuts off. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { until } from './gateway.ts';

export interface TestRedis {
  readonly url: string;
  readonly port: number;
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Stops the process (SIGSTOP): connections stay open, and no command is run until `thaw`. */
  freeze(): void;
  thaw(): void;
  command(...words: string[]): Promise<string>;
}

/** Below the ports that systems assign to outgoing connections. */
const FIRST_PORT = 10_000;
const PORTS = 20_000;

/** The one of these ports that fetch refuses to connect to (Fetch Standard, “bad port”). */
const BAD_PORT = 10_080;

/**
 * A port on which nothing listens, for a server that stops and starts again on the same port.
 *
 * Port 0 would give a port that outgoing connections get as well: another connection, or even an attempt to connect to
 * that port (TCP lets it connect to itself), could hold it when the server starts again.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + randomInt(PORTS);
    if (port === BAD_PORT) continue;
    const server = createServer();
    const free = Promise.withResolvers<boolean>();
    server.once('listening', () => free.resolve(true));
    server.once('error', () => free.resolve(false));
    server.listen(port, '127.0.0.1');
    if (!(await free.promise)) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** Starts a Redis that keeps everything on disk, unless `persistent` is false. */
export async function startRedis(
  t: Test,
  { running = true, options = [] as readonly string[], persistent = true } = {},
): Promise<TestRedis> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-redis-'));
  const port = await freePort();
  let server: ChildProcess | undefined;
  const kill = async (): Promise<void> => {
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    server.kill('SIGKILL');
    await once(server, 'exit');
  };
  const start = async (): Promise<void> => {
    const config = join(folder, 'redis.conf');
    // A file: Sentinel rewrites its configuration.
    writeFileSync(
      config,
      [
        `port ${port}`,
        'bind 127.0.0.1',
        `dir ${folder}`,
        ...(persistent ? ['appendonly yes', 'appendfsync always'] : []),
        'save ""',
        ...options,
      ].join('\n'),
    );
    server = spawn('redis-server', [config, ...(options.some(isSentinelLine) ? ['--sentinel'] : [])], {
      stdio: 'ignore',
    });
    await replying(port, server);
  };
  t.teardown(async () => {
    server?.kill('SIGCONT');
    await kill();
    rmSync(folder, { recursive: true, force: true });
  });
  if (running) await start();
  return {
    url: `redis://127.0.0.1:${port}/0`,
    port,
    kill,
    start,
    freeze: () => void server?.kill('SIGSTOP'),
    thaw: () => void server?.kill('SIGCONT'),
    command: (...words) => redisCommand(port, words),
  };
}

const isSentinelLine = (line: string): boolean => line.startsWith('sentinel ');

/** Sends one command. Returns the reply as Redis wrote it, or an empty string if there was none. */
async function redisCommand(port: number, words: readonly string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  socket.end(`*${words.length}\r\n${parts.join('')}*1\r\n$4\r\nQUIT\r\n`);
  let response = '';
  socket.on('data', (chunk) => (response += chunk.toString('latin1')));
  // A Redis that starts or stops sends no reply.
  socket.on('error', () => undefined);
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  socket.on('close', resolve);
  await closed;
  return response.replace(/\+OK\r\n$/, '');
}

async function replying(port: number, server: ChildProcess): Promise<void> {
  await until(async () => {
    if (server.exitCode !== null) throw new Error(`redis-server on port ${port} ended at once`);
    return (await redisCommand(port, ['PING'])).startsWith('+PONG');
  });
}

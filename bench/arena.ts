/**
 * Where contestants run: a folder of its own, an upstream that counts its calls, the proxy alone on one core, load and upstream on the
 * other. Everything ends with the benchmark.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Contestant } from './contestants/contestant.ts';
import type { KindName } from './kinds.ts';
import { freePort, listening } from './ports.ts';
import type { Wallet } from './wallet.ts';

export const PROXY_CORE = 0;
export const LOAD_CORE = 1;

const UPSTREAM_BODY = '{"orders":[{"id":1,"item":"cookies","n":12}]}';
/** What is kept of what a contestant says. */
const PRINTED_CHARACTERS = 4_000;
/** Calls below this path are counted. */
const COUNTED = '/counted/';

/** Starts a command pinned to a core. */
export function startOn(
  core: number,
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
  stderr: 'inherit' | 'pipe' = 'inherit',
): ChildProcess {
  return spawn('taskset', ['-c', String(core), ...command], {
    stdio: ['ignore', 'ignore', stderr],
    env: { ...process.env, NODE_ENV: 'production', ...env },
  });
}

export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

/** A server that notes the calls below /counted/ in the file `calls`, one a line. */
export interface Upstream {
  /** @param folder for its files, and the notes */
  readonly command: (folder: string, port: number) => readonly string[];
  /** Sends a request that comes after all that it has got. */
  readonly touch: (port: number, path: string) => Promise<unknown>;
}

const NGINX: Upstream = {
  command: nginxUpstream,
  touch: (port, path) => statusOf(port, path, {}),
};

/** nginx with a fixed response. */
export function nginxUpstream(folder: string, port: number): readonly string[] {
  const file = join(folder, 'upstream.conf');
  writeFileSync(
    file,
    `worker_processes 1; daemon off; pid ${folder}/upstream.pid; error_log /dev/null;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; default_type application/json;
  log_format call escape=json '{"path":"$request_uri","user":"$http_x_user_id","scopes":"$http_x_scopes","authorization":"$http_authorization"}';
  server { listen 127.0.0.1:${port} reuseport;
    location / { return 200 '${UPSTREAM_BODY}'; }
    location ${COUNTED} { access_log ${folder}/calls call; return 200 '${UPSTREAM_BODY}'; } } }
`,
  );
  return ['nginx', '-c', file, '-p', folder, '-e', '/dev/null'];
}

/** What the upstream saw of one request. */
export interface Call {
  readonly path: string;
  readonly user: string;
  readonly scopes: string;
  readonly authorization: string;
}

export interface Running {
  readonly contestant: Contestant;
  readonly port: number;
  readonly adminPort: number;
  readonly pid: number;
  stop(): Promise<void>;
}

export class Arena {
  readonly folder: string;
  readonly upstreamPort: number;
  readonly #children: ChildProcess[];
  readonly #upstream: Upstream;
  #names = 0;

  private constructor(folder: string, upstreamPort: number, upstream: Upstream) {
    this.folder = folder;
    this.upstreamPort = upstreamPort;
    this.#upstream = upstream;
    this.#children = [startOn(LOAD_CORE, upstream.command(folder, upstreamPort))];
  }

  /** Opens one, and ends whatever was started in it. */
  static async use<T>(play: (arena: Arena) => Promise<T>, upstream: Upstream = NGINX): Promise<T> {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
    const arena = new Arena(folder, await freePort(), upstream);
    try {
      await listening(arena.upstreamPort);
      return await play(arena);
    } finally {
      await Promise.all(arena.#children.map(end));
      rmSync(folder, { recursive: true, force: true });
    }
  }

  async start(contestant: Contestant, kind: KindName, { credentials }: Wallet): Promise<Running> {
    const folder = join(this.folder, String(this.#names++));
    mkdirSync(folder);
    const [port, adminPort] = [await freePort(), await freePort()];
    const { upstreamPort } = this;
    const place = { folder, port, adminPort, upstreamPort, credentials, kind };
    const { command, env } = contestant.start(place);
    const child = startOn(PROXY_CORE, command, env, 'pipe');
    this.#children.push(child);
    let printed = '';
    child.stderr?.on(
      'data',
      (chunk: Buffer) => (printed = (printed + chunk.toString()).slice(-PRINTED_CHARACTERS)),
    );
    await listening(port, () => {
      if (child.exitCode !== null) throw new Error(`${contestant.name} has ended at its start: ${printed}`);
    });
    if (!contestant.onlyHttp2) await routed(port);
    return { contestant, port, adminPort, pid: child.pid ?? 0, stop: () => end(child) };
  }

  /** A path that is counted. */
  countedPath(): string {
    return `${COUNTED}${this.#names++}`;
  }

  /** What the upstream has seen of requests for the path so far. */
  async callsFor(path: string): Promise<readonly Call[]> {
    // The upstream does one thing after the other, so that when it has noted this call, it has noted all before it.
    const last = this.countedPath();
    await this.#upstream.touch(this.upstreamPort, last);
    for (;;) {
      const calls = readFileSync(join(this.folder, 'calls'), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Call);
      if (calls.some((call) => call.path === last)) return calls.filter((call) => call.path === path);
    }
  }
}

/** Some listen before they have read their routes, and respond with 404 until then. The checks say so if it stays like that. */
async function routed(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const status = await statusOf(port, '/', {});
    if (status !== 404 && status < 500) return;
    await pause(50);
  }
}

/** Over a connection of its own. */
export async function statusOf(port: number, path: string, headers: Record<string, string>): Promise<number> {
  const sent = request({ host: '127.0.0.1', port, path, headers, agent: false });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  await once(response.resume(), 'end');
  return response.statusCode ?? 0;
}

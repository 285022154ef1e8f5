/** gRPC for Python (grpcio) as a server and as a client, in an environment of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Test } from 'tap';
import { freePort } from '../../support/redis.ts';
import { installed, run, sourceOf } from '../support/installed.ts';

/** The interpreter that has grpcio. */
export function python(): string {
  const requirements = sourceOf('grpcio/requirements.txt');
  const folder = installed('grpcio', [requirements], (folder) => {
    run('python3', ['-m', 'venv', folder], folder);
    run(join(folder, 'bin/python3'), ['-m', 'pip', 'install', '-q', '-r', requirements], folder);
  });
  return join(folder, 'bin/python3');
}

export interface PythonServer {
  readonly port: number;
  /** Ends it in the midst of what it does, and starts another one at its port. */
  restart(): Promise<void>;
}

/** @param maxAgeMs after which it tells each connection to go (GOAWAY); 0: never */
export async function startPythonServer(t: Test, maxAgeMs = 0): Promise<PythonServer> {
  const port = await freePort();
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const args = [sourceOf('grpcio/server.py'), String(port), String(maxAgeMs)];
    const started = spawn(python(), args, { stdio: ['ignore', 'pipe', 'inherit'] });
    child = started;
    await Promise.race([once(started.stdout, 'data'), once(started, 'exit')]);
    if (started.exitCode !== null) throw new Error(`the server ended with ${started.exitCode}`);
  };
  const kill = async (): Promise<void> => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  t.teardown(kill);
  await start();
  return {
    port,
    restart: async () => {
      await kill();
      await start();
    },
  };
}

export interface PythonCalls {
  readonly targets: readonly { readonly address: string; readonly ca: string | null }[];
  readonly token: string;
  readonly calls: number;
  readonly workers: number;
  readonly seed: number;
  /** Kinds of calls to leave out. */
  readonly without: readonly string[];
}

export interface PythonOutcome {
  readonly kinds: Readonly<Record<string, number>>;
  /** Calls that ended with INTERNAL or UNAVAILABLE, by kind and status. */
  readonly failures: Readonly<Record<string, number>>;
  readonly wrong: readonly string[];
}

/** Resolves when all calls were made. */
export async function callFromPython(job: PythonCalls): Promise<PythonOutcome> {
  const child = spawn(python(), [sourceOf('grpcio/client.py'), JSON.stringify(job)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(await text(child.stdout)) as PythonOutcome;
}

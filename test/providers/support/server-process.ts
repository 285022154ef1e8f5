/** An authorization server in a process group of its own, which ends with the test, however the test ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Test } from 'tap';

export interface ServerOptions {
  readonly cwd: string;
  readonly env: Record<string, string>;
  /** Responds with 2xx as soon as the server is there; or a function that is true from then on. */
  readonly readyUrl: string | (() => Promise<boolean>);
}

/** How often a server that starts is asked whether it is there. */
const ASK_EVERY_MS = 100;
/** For a server that hangs, not for one that is slow. */
const AT_MOST_MS = 300_000;
const PRINTED_CHARACTERS = 20_000;

/**
 * The server runs below a shell that reads its standard input until it ends, which is when this process is gone, and then
 * ends the whole group. So a test run that is killed leaves no server behind. The group ends too when the server does.
 */
const SCRIPT = '("$@" </dev/null; kill -9 0) & cat >/dev/null; kill -9 0';

/** Resolves when the server is ready; throws what it printed if it ends before. */
export async function startServerProcess(
  t: Test,
  command: readonly string[],
  { cwd, env, readyUrl }: ServerOptions,
): Promise<void> {
  const child = spawn('sh', ['-c', SCRIPT, 'sh', ...command], {
    cwd,
    env: { ...process.env, ...env },
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let printed = '';
  for (const output of [child.stdout, child.stderr])
    output.on('data', (chunk: Buffer) => {
      printed = (printed + chunk.toString()).slice(-PRINTED_CHARACTERS);
    });
  let ended = false;
  const end = once(child, 'close').then(() => (ended = true));
  t.teardown(async () => {
    child.stdin.end();
    await end;
  });
  for (const begun = Date.now(); !(await responds(readyUrl));) {
    if (ended || Date.now() - begun > AT_MOST_MS) throw new Error(`${command.join(' ')}: ${printed}`);
    const { promise, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, ASK_EVERY_MS);
    await promise;
  }
}

async function responds(url: ServerOptions['readyUrl']): Promise<boolean> {
  try {
    return typeof url === 'string' ? (await fetch(url)).ok : await url();
  } catch {
    return false;
  }
}

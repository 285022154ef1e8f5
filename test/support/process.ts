/** A gateway in its own process, for what only a process can show: signals, memory, kill -9. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import type { Result } from './command.ts';
import { withTestPorts } from './gateway.ts';

export interface GatewayProcess {
  readonly url: string;
  readonly port: number;
  readonly adminUrl: string;
  readonly pid: number;
  /** All that it has printed so far. */
  output(): string;
  kill(signal: NodeJS.Signals): void;
  /** Sends a message to its process, and resolves with the reply: for code that `nodeArguments` have loaded. */
  ask(message: string): Promise<unknown>;
  /** Resolves with the exit code, or the signal that ended it. */
  exited: Promise<number | NodeJS.Signals>;
}

export const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** Node's compile cache: with it a process starts in half the time. */
const COMPILED = {
  NODE_COMPILE_CACHE: fileURLToPath(new URL('../../node_modules/.cache/compile', import.meta.url)),
};

export function temporaryFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs a command as people do. What does not need a process of its own is quicker in test/support/command.ts. */
export async function sallyportProcess(
  args: readonly string[],
  { input = '', cwd = process.cwd() } = {},
): Promise<Result> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd,
    env: { PATH: process.env['PATH'], NO_COLOR: '1', ...COMPILED },
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number];
  return { code, out, err };
}

/** Starts `sallyport run` and waits until it has logged `awaited`. */
export async function startGatewayProcess(
  t: Test,
  configuration: Record<string, unknown>,
  folder: string = temporaryFolder(t),
  awaited = '"msg":"ready"',
  /** Runs when the configuration is written, before the process starts. */
  beforeStart: () => void = () => undefined,
  /** Of Node itself, such as `--import`. */
  nodeArguments: readonly string[] = [],
): Promise<GatewayProcess> {
  const file = join(folder, 'sallyport.json');
  writeFileSync(file, JSON.stringify(withTestPorts(configuration)), { mode: 0o600 });
  beforeStart();
  const child = spawn(process.execPath, [...nodeArguments, MAIN, 'run', '-c', file], {
    stdio: ['ignore', 'pipe', 'pipe', ...(nodeArguments.length > 0 ? (['ipc'] as const) : [])],
    env: { ...process.env, ...COMPILED },
  });
  let output = '';
  const ready = Promise.withResolvers<void>();
  const onData = (chunk: Buffer): void => {
    output += chunk.toString();
    if (output.includes(awaited)) ready.resolve();
  };
  child.stdout?.on('data', onData);
  child.stderr?.on('data', onData);
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
  void exited.then(() => ready.reject(new Error(`the gateway ended: ${output}`)));
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exited;
    if (/eyJ[\w-]{8,}\.[\w-]{8,}/.test(output)) throw new Error('A5: the text of a token is in the log');
  });
  await ready.promise;
  return {
    ...addressesIn(output),
    pid: child.pid ?? 0,
    output: () => output,
    kill: (signal) => void child.kill(signal),
    async ask(message) {
      const reply = once(child, 'message') as Promise<[unknown]>;
      child.send(message);
      return (await reply)[0];
    },
    exited,
  };
}

/** The addresses in the log line that says where it listens. */
function addressesIn(output: string): Pick<GatewayProcess, 'url' | 'port' | 'adminUrl'> {
  const line = output.split('\n').find((each) => each.includes('"msg":"listening"')) ?? '{}';
  const { listeners, admin } = JSON.parse(line) as { listeners: string[]; admin: string };
  return {
    url: `http://${listeners[0]}`,
    port: Number(listeners[0]?.split(':').at(-1)),
    adminUrl: `http://${admin}`,
  };
}

/** Resident memory of a process in bytes: now, and at its highest. */
export function memoryOf(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
  return { now: kib('VmRSS') * 1024, peak: kib('VmHWM') * 1024 };
}

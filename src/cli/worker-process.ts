/**
 * Starts worker processes: this program again, with a pipe for messages, and another for its log, whose lines this process
 * writes. So lines of several processes never run into each other.
 */
import { fork, type ChildProcess, type SendHandle } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Pipe } from '../workers/channel.ts';
import type { WorkerProcess } from '../workers/worker-link.ts';
import { LineSplitter } from './line-splitter.ts';
import type { LogOutput } from './log-output.ts';
import { PROGRAM } from '../version.ts';

const MAIN = fileURLToPath(new URL(`main${extname(import.meta.url)}`, PROGRAM));

export function startWorkerProcess(id: number, relay: LogOutput['relay']): WorkerProcess {
  const child = fork(MAIN, ['worker', String(id)], {
    // What Node itself says of a crash goes to standard error at once.
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    serialization: 'advanced',
  });
  const lines = new LineSplitter(relay);
  child.stdout?.on('data', (bytes: Buffer) => lines.add(bytes));
  const { promise: ended, resolve } = Promise.withResolvers<number | string>();
  // It could not be started at all: there is no end to wait for.
  child.on('error', (error: NodeJS.ErrnoException) => {
    if (child.pid === undefined) resolve(error.code ?? error.message);
  });
  child.on('close', (code, signal) => {
    lines.end();
    resolve(signal ?? code ?? 'unknown');
  });
  return { pid: child.pid ?? 0, pipe: pipeTo(child), kill: () => void child.kill('SIGKILL'), ended };
}

function pipeTo(child: ChildProcess): Pipe {
  return {
    send(message, socket) {
      if (child.connected)
        child.send(message as object, socket as SendHandle | undefined, {}, () => undefined);
    },
    open(received) {
      child.on('message', (message) => received(message, undefined));
    },
  };
}

import { systemClock } from '../clock.ts';
import { loadTracing } from '../telemetry/trace-context.ts';
import type { SocketHandle } from '../server/shared-sockets.ts';
import type { Pipe } from '../workers/channel.ts';
import { Worker } from '../workers/worker.ts';
import { UsageError, type Command } from './command.ts';
import { openLog } from './log-output.ts';

/** Not for people: `run` starts it, and tells it what to do. */
export const worker: Command = {
  name: 'worker',
  summary: 'serves requests for the "run" that started it',
  usage: 'ID',
  options: {},
  positionals: { min: 1, max: 1 },
  async run({ positionals }) {
    if (process.send === undefined) throw new UsageError('only "sallyport run" starts workers; set workers');
    process.title = `sallyport worker ${positionals[0]}`;
    // Without the primary there is no list of revocations, and nothing that would ever end this process.
    process.on('disconnect', () => process.exit(1));
    // A terminal and a service manager signal all processes of a group: the primary drains, and tells its workers.
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
    const mark = `,"worker":${Number(positionals[0])}}\n`;
    // Each line is an object of JSON.
    const { log, flush } = await openLog((line) => line.slice(0, -2) + mark);
    const { drained } = new Worker({
      pipe: parentPipe(),
      log,
      clock: systemClock,
      tracing: await loadTracing(),
    });
    await drained;
    flush();
    process.exit(0);
  },
};

function parentPipe(): Pipe {
  return {
    send(message) {
      if (process.connected) process.send?.(message, undefined, {}, () => undefined);
    },
    open(received) {
      process.on('message', (message, socket) => received(message, socket as SocketHandle | undefined));
    },
  };
}

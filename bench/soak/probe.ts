/** Loaded into the gateway of `npm run soak` (`node --expose-gc --import`): reports on its memory when it is asked. */
import { setTimeout as pause } from 'node:timers/promises';

export interface Sample {
  readonly heapMiB: number;
  readonly residentMiB: number;
  /** Of what is open: sockets, files, watchers. How many of each kind. */
  readonly handles: Readonly<Record<string, number>>;
}

const MIB = 2 ** 20;
/** They come and go with what is done just now, and no handle of the system belongs to one. */
const PASSING = /^(?:Timeout|Immediate|TickObject)$|Req(?:Wrap|Callback|Promise)?$|Request$/;

/** What became garbage together with what waits for its end goes in the next collection. */
async function collect(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    // By itself V8 keeps the pages of garbage, and what is resident would say how much there once was.
    globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    await pause(20);
  }
}

async function sample(): Promise<Sample> {
  await collect();
  const { heapUsed, rss } = process.memoryUsage();
  const handles: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo())
    if (!PASSING.test(kind)) handles[kind] = (handles[kind] ?? 0) + 1;
  return { heapMiB: heapUsed / MIB, residentMiB: rss / MIB, handles };
}

process.on('message', () => void sample().then((reply) => process.send?.(reply)));
// A soak that was killed leaves no gateway behind.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
// It is no reason to go on.
process.channel?.unref();

/**
 * `npm run soak`: mixed load on a gateway, with aborts, resets, restarts of Redis and reloads. Afterwards as much must be
 * alive, resident and open as once it was warm. See docs/performance.md.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Load, type Counts } from './soak/load.ts';
import type { Sample } from './soak/probe.ts';
import { withScene, type Scene } from './soak/scene.ts';

const HELP = `npm run soak -- [options]

Sends mixed load to a gateway on loopback for 20 minutes, and compares the memory after a forced collection at the end with
that at minute 5. It needs redis-server. Exit code 0: nothing has grown; 1: it has, or a response was wrong.

  --hours N, --minutes N   how long; the first quarter of it, at most five minutes, is not counted
  --rate N                 requests a second (default: 200)
`;

const MOST_HEAP_MIB = 2;
const MOST_RESIDENT_MIB = 16;
const MINUTE_MS = 60_000;
const WARM_MS = 5 * MINUTE_MS;
/** Until connections of both sides that nothing uses are closed. */
const QUIET_MS = 8_000;
const EVENTS_MS = { redis: 47_000, reload: 19_000, revoke: 3_000 } as const;

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h' },
    hours: { type: 'string' },
    minutes: { type: 'string' },
    rate: { type: 'string', default: '200' },
  },
});

/** @throws Error for what is no number above zero */
function positive(name: string, text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new Error(`--${name}: "${text}" is no number above zero`);
  return number;
}

function totalMs(): number {
  if (values.hours !== undefined) return positive('hours', values.hours) * 60 * MINUTE_MS;
  return positive('minutes', values.minutes ?? '20') * MINUTE_MS;
}

/** What happens beside the requests. @returns what ends it */
function disturb(scene: Scene, load: Load): () => Promise<void> {
  const timers: NodeJS.Timeout[] = [];
  const running = new Set<Promise<void>>();
  const often = (everyMs: number, play: () => Promise<void>): void => {
    const once = (): void => {
      const played = play().finally(() => running.delete(played));
      running.add(played);
    };
    timers.push(setInterval(once, everyMs));
  };
  often(EVENTS_MS.redis, () => scene.restartRedis());
  often(EVENTS_MS.reload, async () => scene.reload());
  often(EVENTS_MS.revoke, () => load.revokeOne());
  return async () => {
    timers.forEach(clearInterval);
    await Promise.all(running);
  };
}

/** Load for a while, and then a look at the gateway that has nothing to do. */
async function stretch(
  scene: Scene,
  load: Load,
  { ms, rate }: { ms: number; rate: number },
): Promise<Sample> {
  load.start(rate);
  const calm = disturb(scene, load);
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs) {
    await pause(Math.min(MINUTE_MS, untilMs - performance.now()));
    if (!scene.alive()) throw new Error('the gateway has ended');
  }
  await calm();
  await load.stop();
  await pause(QUIET_MS);
  return scene.sample();
}

/** Load is sent for an hour at most before the next look. */
const LONGEST_MS = 60 * MINUTE_MS;
const LEAST_PARTS = 4;

async function soak(): Promise<boolean> {
  const ms = totalMs();
  const rate = positive('rate', values.rate);
  const warmMs = Math.min(WARM_MS, ms / LEAST_PARTS);
  return withScene(async (scene) => {
    const load = new Load(scene);
    const samples: Sample[] = [];
    const look = async (forMs: number, atMs: number): Promise<void> => {
      const sample = await stretch(scene, load, { ms: forMs, rate });
      samples.push(sample);
      console.log(lineOf(`minute ${(atMs / MINUTE_MS).toFixed(1)}`, sample));
    };
    await look(warmMs, warmMs);
    const parts = Math.max(LEAST_PARTS, Math.ceil((ms - warmMs) / LONGEST_MS));
    const rest = (ms - warmMs) / parts;
    for (let part = 1; part <= parts; part++) await look(rest, warmMs + part * rest);
    return verdict(samples, load.counts);
  });
}

function lineOf(name: string, { heapMiB, residentMiB, handles }: Sample): string {
  return `${name.padEnd(14)} live heap ${heapMiB.toFixed(1)} MiB, resident ${residentMiB.toFixed(1)} MiB, open: ${handlesText(handles)}`;
}

function handlesText(handles: Sample['handles']): string {
  const kinds = Object.entries(handles).sort(([a], [b]) => a.localeCompare(b));
  return kinds.map(([kind, count]) => `${count} ${kind}`).join(', ');
}

/** Prints what was sent, and what of the promises holds. @returns whether all do */
function verdict(samples: readonly Sample[], { sent, wrong, leftOut }: Counts): boolean {
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last) return false;
  console.log('');
  for (const [kind, count] of sent) console.log(`${kind.padEnd(22)} ${count}`);
  for (const [what, count] of wrong) console.log(`WRONG ${what.padEnd(22)} ${count}`);
  if (leftOut > 0) console.log(`${leftOut} requests were left out, since too many were open`);
  const grown = (key: 'heapMiB' | 'residentMiB'): number => last[key] - first[key];
  const promises: readonly (readonly [text: string, holds: boolean])[] = [
    [
      `live heap grew by ${grown('heapMiB').toFixed(2)} MiB, at most ${MOST_HEAP_MIB}`,
      grown('heapMiB') <= MOST_HEAP_MIB,
    ],
    [
      `resident memory grew by ${grown('residentMiB').toFixed(1)} MiB, at most ${MOST_RESIDENT_MIB}`,
      grown('residentMiB') <= MOST_RESIDENT_MIB,
    ],
    ['what is open is the same', handlesText(first.handles) === handlesText(last.handles)],
    ['each response was what it must be', wrong.size === 0],
    ['no kind of request was missing', [...sent.values()].length >= 14],
  ];
  console.log('');
  for (const [text, holds] of promises) console.log(`${holds ? 'holds ' : 'FAILS '} ${text}`);
  return promises.every(([, holds]) => holds);
}

if (values.help === true) console.log(HELP);
else process.exitCode = (await soak()) ? 0 : 1;

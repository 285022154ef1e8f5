/**
 * Frees the memory that bodies and long lists leave behind.
 *
 * Each read from a socket leaves a spent buffer of up to 64 KiB outside of V8's heap. V8 collects the young
 * generation when that is full, and bodies hardly fill it: it would let some 64 MiB of spent buffers pile up
 * first. So after every few MiB of bodies the young generation is collected, which costs a fraction of a
 * millisecond, since little of it is alive.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Half of what a transfer may add to the process, so that the other half is left for what is alive. */
const COLLECT_EVERY_BYTES = 8 * 1024 * 1024;

type Collector = (options: { type: 'minor' } | { type: 'major'; flavor: 'last-resort' }) => void;

let collect: Collector | undefined;
let passedBytes = 0;

/** Counts bytes of a body that came from a socket. */
export function collectAfterBody(bytes: number): void {
  passedBytes += bytes;
  if (passedBytes < COLLECT_EVERY_BYTES) return;
  passedBytes = 0;
  collect ??= collector();
  collect({ type: 'minor' });
}

/** After a list has been read, collects the garbage of a long one. It takes some milliseconds. */
export function collectAfterList(entries: number): void {
  if (entries < LONG_LIST) return;
  collect ??= collector();
  // By itself V8 keeps the pages until something asks for them: 110 MiB after half a million entries.
  collect({ type: 'major', flavor: 'last-resort' });
}

/** Shorter ones leave a few MiB. */
const LONG_LIST = 100_000;

function collector(): Collector {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as Collector;
}

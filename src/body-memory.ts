/**
 * Keeps the memory of bodies that pass through low.
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

type Collector = (options: { type: 'minor' }) => void;

let collect: Collector | undefined;
let passedBytes = 0;

/** So many bytes of a body have come in from a socket. */
export function bodyBytesPassed(bytes: number): void {
  passedBytes += bytes;
  if (passedBytes < COLLECT_EVERY_BYTES) return;
  passedBytes = 0;
  collect ??= youngCollector();
  collect({ type: 'minor' });
}

function youngCollector(): Collector {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as Collector;
}

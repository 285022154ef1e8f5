/** The signals that end `run`: the first one drains, a second one ends the process at once. */
import type { Clock } from '../clock.ts';

/**
 * A second signal this soon is an echo of the first: Ctrl-C reaches both npm and the gateway, and npm passes its own on.
 */
const ECHO_MS = 500;

/** Resolves with the name of the first signal. */
export async function awaitTermination(clock: Clock): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let firstAtMs: number | undefined;
  const handle = (signal: string): void => {
    if (firstAtMs === undefined) {
      firstAtMs = clock.monotonicMs();
      resolve(signal);
    } else if (clock.monotonicMs() - firstAtMs > ECHO_MS) process.exit(1);
  };
  process.on('SIGTERM', handle);
  process.on('SIGINT', handle);
  return promise;
}

/** Signals that mean something to other servers: SIGUSR1 makes nginx open its log again, SIGUSR2 starts a new version of it. */
import type { Logger } from '../telemetry/logger.ts';

const UNUSED = ['SIGUSR1', 'SIGUSR2'] as const;

/** From now on the log has a line about each. That they do nothing else is seen to as soon as the process starts (main.ts). */
export function explainUnusedSignals(logger: Logger): void {
  for (const signal of UNUSED)
    process.on(signal, () =>
      logger.warn(
        { signal },
        'this signal does nothing here: SIGHUP reloads the configuration, and the log goes to standard output, so that there is no file to open again',
      ),
    );
}

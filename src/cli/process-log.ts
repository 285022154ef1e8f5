/**
 * What the process itself has to say while the gateway runs, as lines of the log: warnings of Node, and the exception that
 * ends it. Node would print both as text of many lines, which a collector of JSON lines cannot read.
 */
import type { Logger } from '../telemetry/logger.ts';

/** What Node's own handler would exit with. */
const EXIT_UNCAUGHT = 1;

/** From now on; for the life of the process. */
export function watchProcess(logger: Logger, flush: () => void): void {
  // Node's own listener prints to standard error.
  process.removeAllListeners('warning');
  process.on('warning', ({ name, message, stack }) =>
    logger.warn({ name, warning: message, stack }, 'a warning of Node'),
  );
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'a bug ended the gateway: please report it with this stack');
    flush();
    process.exit(EXIT_UNCAUGHT);
  });
}

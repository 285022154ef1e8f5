import { pino } from 'pino';
import { Instance } from '../assemble.ts';
import { systemClock } from '../clock.ts';
import { loadTracing } from '../telemetry/trace-context.ts';
import { configurationWarnings } from '../config/warnings.ts';
import { Reloader } from '../reloader.ts';
import { createLog, describeError, type Log } from '../telemetry/logger.ts';
import { CommandFailed, CONFIG_OPTION, configurationOf, print, printError, type Command } from './command.ts';
import { routeTable } from './routes.ts';

/** Log lines are written in blocks of about this size, or after the pause below: one write for many requests. */
const LOG_BLOCK_BYTES = 8 * 1024;
const LOG_FLUSH_MS = 100;

export const run: Command = {
  name: 'run',
  summary: 'starts the gateway',
  usage:
    '[-c FILE]\n\n  -c, --config FILE   the configuration (default: sallyport.yaml)\n\nSIGHUP, or a change of the file or of one that it names, loads it anew; SIGTERM drains and ends.',
  options: CONFIG_OPTION,
  async run(args) {
    const loaded = configurationOf(args);
    const { log, flush } = await openLog();
    const { logger } = log;
    const instance = new Instance(loaded, log, systemClock, await loadTracing());
    print(routeTable(loaded.configuration));
    for (const warning of configurationWarnings(loaded)) printError(`warning: ${warning}`);
    try {
      await instance.start();
    } catch (error) {
      await instance.stop();
      flush();
      throw new CommandFailed(`it cannot start: ${describeError(error)}`);
    }
    const addresses = instance.listeners.map(({ address }) => `${address.address}:${address.port}`);
    const { address, port } = instance.admin.address;
    logger.info({ listeners: addresses, admin: `${address}:${port}` }, 'listening');
    const reloader = new Reloader(instance, loaded, () => configurationOf(args), logger);
    const hangUp = (): void => void reloader.reload('SIGHUP');
    process.on('SIGHUP', hangUp);
    const terminated = termination();
    // A gateway that waits for its store must be as easy to stop as any other.
    await Promise.race([instance.ready().then(() => logger.info('ready')), terminated]);
    const signal = await terminated;
    reloader.close();
    process.off('SIGHUP', hangUp);
    logger.info({ signal }, 'draining');
    await instance.stop();
    logger.info('stopped');
    flush();
    return 0;
  },
};

/** JSON lines, or readable ones on a terminal. */
async function openLog(): Promise<{ log: Log; flush: () => void }> {
  if (process.stdout.isTTY) {
    const { default: pretty } = await import('pino-pretty');
    const colorize = !process.env['NO_COLOR'];
    return { log: createLog(pretty({ colorize, sync: true, singleLine: true })), flush: () => undefined };
  }
  const destination = pino.destination({ fd: 1, sync: false, minLength: LOG_BLOCK_BYTES });
  // Whoever read the log has gone: no reason for the gateway to go, too.
  destination.on('error', () => undefined);
  setInterval(() => destination.flush(), LOG_FLUSH_MS).unref();
  const flush = (): void => {
    // Not yet open, or its reader has gone: then there is nobody to tell.
    try {
      destination.flushSync();
    } catch {
      return;
    }
  };
  process.on('exit', flush);
  return { log: createLog(destination), flush };
}

/** The first signal drains; a second one ends the process at once. */
async function termination(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      process.once(signal, () => process.exit(1));
      resolve(signal);
    });
  }
  return promise;
}

import { Instance } from '../assembly/instance.ts';
import { systemClock } from '../clock.ts';
import { loadTracing, offerMetrics } from '../telemetry/trace-context.ts';
import { offerExplanations } from '../explain/explain-running.ts';
import { loadConfiguration, type LoadedConfiguration } from '../config/load.ts';
import { configurationWarnings } from '../config/warnings.ts';
import { workerCount } from '../config/worker-count.ts';
import { Reloader, type Reloadable } from '../assembly/reloader.ts';
import { describeError, type Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { WorkerProcess } from '../workers/worker-link.ts';
import { CommandFailed, CONFIG_OPTION, configurationOf, print, printError, type Command } from './command.ts';
import { catchHangUps } from './hang-up.ts';
import { openLog, type LogOutput } from './log-output.ts';
import { npmParentEnded } from './npm-parent.ts';
import { watchProcess } from './process-log.ts';
import { routeRows, routeTable } from './routes.ts';
import { awaitTermination } from './termination.ts';
import { explainUnusedSignals } from './unused-signals.ts';
import { startWorkerProcess } from './worker-process.ts';

export const run: Command = {
  name: 'run',
  summary: 'starts the gateway',
  usage:
    '[-c FILE]\n\n  -c, --config FILE   the configuration (default: sallyport.yaml)\n\nSIGHUP, or a change of the file or of one that it names, reloads the configuration; SIGTERM drains and ends.\nStarted by npm or npx, it also drains and ends when they end.',
  options: CONFIG_OPTION,
  async run(args) {
    const terminated = Promise.race([
      awaitTermination(systemClock),
      npmParentEnded(systemClock).then(() => 'the end of the npm that started it'),
    ]);
    const onHangUp = catchHangUps();
    const output = await openLog();
    const { log, flush, settled, isTerminal } = output;
    const { logger } = log;
    watchProcess(logger, flush);
    explainUnusedSignals(logger);
    const loaded = configurationOf(args);
    const gateway = await gatewayOf(loaded, output);
    await offerMetrics(gateway.metrics);
    // The same file: while it is away, one in another of the usual places must not count.
    const again = (): LoadedConfiguration => loadConfiguration(loaded.file);
    const reloader = new Reloader(gateway, loaded, again, logger, systemClock);
    if (isTerminal) introduceToPeople(loaded);
    else introduceToCollectors(loaded, logger);
    // A gateway that waits for keys or for its store must be as easy to stop as any other.
    const started = start(gateway, reloader, logger);
    onHangUp(() => void reloader.reload('SIGHUP'));
    try {
      await Promise.race([started, terminated]);
      const signal = await terminated;
      logger.info({ signal }, 'draining');
    } catch (error) {
      throw new CommandFailed(`it cannot start: ${describeError(error)}`);
    } finally {
      onHangUp(() => logger.warn('SIGHUP reloads nothing: the gateway is about to end'));
      reloader.close();
      await gateway.stop();
      await settled();
      flush();
    }
    logger.info('stopped');
    flush();
    return 0;
  },
};

/** A gateway, of one process or of several. */
interface Gateway extends Reloadable {
  readonly addresses: { readonly listeners: readonly string[]; readonly admin: string };
  readonly metrics: Metrics;
  start(): Promise<boolean>;
  ready(): Promise<void>;
  stop(): Promise<void>;
}

async function gatewayOf(loaded: LoadedConfiguration, { log, relay }: LogOutput): Promise<Gateway> {
  const count = workerCount(loaded.configuration);
  if (count === 1) {
    const instance = new Instance(loaded, log, systemClock, await loadTracing());
    offerExplanations(instance);
    return instance;
  }
  const { Primary } = await import('../workers/primary.ts');
  const startProcess = (id: number): WorkerProcess => startWorkerProcess(id, relay);
  const primary = new Primary(loaded, { log, clock: systemClock, count, startProcess });
  offerExplanations(primary.instance);
  return primary;
}

/** Resolves when it is ready; the configuration is watched from when it listens. */
async function start(gateway: Gateway, reloader: Reloader, logger: Logger): Promise<void> {
  if (!(await gateway.start())) return;
  logger.info(gateway.addresses, 'listening');
  reloader.start();
  await gateway.ready();
  logger.info('ready');
}

function introduceToPeople(loaded: LoadedConfiguration): void {
  print(routeTable(loaded.configuration));
  for (const warning of configurationWarnings(loaded)) printError(`warning: ${warning}`);
}

/** The same as lines of the log: a line for each route, since collectors cut long ones. */
function introduceToCollectors(loaded: LoadedConfiguration, logger: Logger): void {
  for (const { name, headers, ...about } of routeRows(loaded.configuration))
    // A member of the name `headers` is redacted.
    logger.info({ route: name, ...about, identity_headers: headers }, 'route');
  for (const warning of configurationWarnings(loaded))
    logger.warn({ warning }, 'the configuration has a weakness');
}

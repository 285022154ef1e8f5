/**
 * Reloads the configuration when told to, or when its file or one that it names has changed. A configuration that
 * cannot be used changes nothing, and is reported.
 */
import { resolve } from 'node:path';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Clock } from '../clock.ts';
import { ConfigurationError, type LoadedConfiguration } from '../config/load.ts';
import { loadedFiles } from '../config/named-files.ts';
import { contentsOf, FileWatch } from './file-watch.ts';
import { describeError, type Logger } from '../telemetry/logger.ts';

/** A configuration that was found fit, and is not in place yet. One of the two must be called. */
export interface PreparedReload {
  commit(): void;
  discard(): void;
}

/** A gateway, of one process or of several. */
export interface Reloadable {
  readonly metrics: Metrics;
  /** @throws ConfigurationError where the configuration cannot be used; then nothing has changed */
  reload(loaded: LoadedConfiguration): Promise<void>;
}

export class Reloader {
  readonly #instance: Reloadable;
  readonly #load: () => LoadedConfiguration;
  readonly #logger: Logger;
  readonly #watch: FileWatch;
  /** What is watched: files of the configuration in place, and of one that could not be used. */
  #files: readonly string[];

  /**
   * @param loaded what the instance was made from, just read
   * @param load reads the configuration as it is now; throws ConfigurationError
   */
  constructor(
    instance: Reloadable,
    loaded: LoadedConfiguration,
    load: () => LoadedConfiguration,
    logger: Logger,
    clock: Clock,
  ) {
    this.#instance = instance;
    this.#load = load;
    this.#logger = logger;
    this.#files = filesOf(loaded);
    this.#watch = new FileWatch(contentsOf(this.#files), clock, (files) =>
      this.reload('a file has changed', files),
    );
  }

  /** Watches the files from now on, and tells of what has changed since the configuration was read. */
  start(): void {
    this.#watch.start();
  }

  /** Resolves when the new configuration is in place, or was refused. Never rejects. */
  async reload(trigger: string, changed?: readonly string[]): Promise<void> {
    const { metrics } = this.#instance;
    // As they are before they are read: a change while they are, or while keys are fetched, leads to another reload.
    const contents = new Map(contentsOf(this.#files));
    const note = (files: readonly string[]): void => {
      for (const [file, content] of contentsOf(files.filter((file) => !contents.has(file))))
        contents.set(file, content);
    };
    try {
      const loaded = this.#load();
      const files = filesOf(loaded);
      note(files);
      await this.#instance.reload(loaded);
      for (const file of [...contents.keys()]) if (!files.includes(file)) contents.delete(file);
      metrics.lastReloadSuccessful = true;
      metrics.reloads.child('success').value++;
      this.#logger.info({ trigger, changed }, 'the configuration is reloaded');
    } catch (error) {
      metrics.lastReloadSuccessful = false;
      metrics.reloads.child('failure').value++;
      const isKnown = error instanceof ConfigurationError;
      // The remedy may be in a file that only the new configuration names.
      if (isKnown) note(error.files);
      const problems = isKnown ? error.problems : [describeError(error)];
      this.#logger.error(
        { trigger, changed, problems },
        'the new configuration cannot be used; the one before stays',
      );
    }
    this.#files = [...contents.keys()];
    this.#watch.use(contents);
  }

  close(): void {
    this.#watch.close();
  }
}

function filesOf({ configuration, folder, file }: LoadedConfiguration): string[] {
  return [resolve(file), ...loadedFiles(configuration, folder)];
}

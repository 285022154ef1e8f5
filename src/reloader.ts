/**
 * Loads the configuration anew when told to, or when its file or one that it names has changed. A configuration that
 * cannot be used changes nothing, and is told of.
 */
import { createHash } from 'node:crypto';
import { readFileSync, watch, type FSWatcher } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Instance } from './assemble.ts';
import { ConfigurationError, type LoadedConfiguration } from './config/load.ts';
import { describeError, type Logger } from './telemetry/logger.ts';

/** Editors and Kubernetes change several things at a time: this long nothing more must happen. */
const QUIET_MS = 150;

export class Reloader {
  readonly #instance: Instance;
  readonly #load: () => LoadedConfiguration;
  readonly #logger: Logger;
  readonly #watchers = new Map<string, FSWatcher>();
  #loaded: LoadedConfiguration;
  #fingerprint: string;
  #quiet: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** @param load reads the configuration as it is now; throws ConfigurationError */
  constructor(
    instance: Instance,
    loaded: LoadedConfiguration,
    load: () => LoadedConfiguration,
    logger: Logger,
  ) {
    this.#instance = instance;
    this.#loaded = loaded;
    this.#load = load;
    this.#logger = logger;
    this.#fingerprint = fingerprintOf(loaded);
    this.#watch();
  }

  /** Resolves when the new configuration is in place, or was refused. */
  async reload(trigger: string): Promise<void> {
    const { metrics } = this.#instance;
    try {
      const loaded = this.#load();
      await this.#instance.reload(loaded);
      this.#loaded = loaded;
      metrics.lastReloadSuccessful = true;
      metrics.reloads.child('success').value++;
      this.#logger.info({ trigger }, 'the configuration is loaded anew');
    } catch (error) {
      metrics.lastReloadSuccessful = false;
      metrics.reloads.child('failure').value++;
      const problems = error instanceof ConfigurationError ? error.problems : [describeError(error)];
      this.#logger.error({ trigger, problems }, 'the new configuration cannot be used; the one before stays');
    }
    this.#fingerprint = fingerprintOf(this.#loaded);
    this.#watch();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#quiet);
    for (const watcher of this.#watchers.values()) watcher.close();
  }

  /** Folders, not files: a file that is replaced, or a link that is turned elsewhere, is another file. */
  #watch(): void {
    const folders = new Set(filesOf(this.#loaded).map((file) => dirname(file)));
    for (const [folder, watcher] of this.#watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of folders) {
      if (this.#isClosed || this.#watchers.has(folder)) continue;
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#changed());
        watcher.on('error', (error) => this.#notWatched(folder, error));
        this.#watchers.set(folder, watcher);
      } catch (error) {
        this.#notWatched(folder, error);
      }
    }
  }

  #notWatched(folder: string, error: unknown): void {
    this.#logger.warn(
      { folder, error: describeError(error) },
      'changes in this folder go unnoticed; reload with SIGHUP',
    );
  }

  #changed(): void {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => {
      // Other files lie in these folders, too: a database, for one.
      if (this.#isClosed || fingerprintOf(this.#loaded) === this.#fingerprint) return;
      void this.reload('a file has changed');
    }, QUIET_MS);
    this.#quiet.unref();
  }
}

/** The configuration's file, and every file that it names by a key that ends in `_file`. */
function filesOf({ configuration, folder, file }: LoadedConfiguration): string[] {
  const named = (value: unknown): string[] =>
    typeof value !== 'object' || value === null
      ? []
      : Object.entries(value).flatMap(([key, member]: [string, unknown]) =>
          key.endsWith('_file') && typeof member === 'string' ? [member] : named(member),
        );
  return [resolve(file), ...named(configuration).map((name) => resolve(folder, name))];
}

function fingerprintOf(loaded: LoadedConfiguration): string {
  const digest = createHash('sha256');
  for (const file of filesOf(loaded)) digest.update(contentOf(file)).update('\0');
  return digest.digest('base64url');
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, 'base64');
  } catch {
    // It is being replaced, or is gone: whoever loads it will say so.
    return '';
  }
}

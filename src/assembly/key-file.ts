/**
 * The API keys of a file, which is read again when it has changed. While it cannot be used, the keys that were read last stay, and the
 * log and a metric say so. It outlives reloads: what a key has opened is looked at with the keys of now.
 */
import { readFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import type { ApiKeyEntry, ApiKeySource } from '../api-keys/api-key.ts';
import { KeyTable } from '../api-keys/key-table.ts';
import type { Clock } from '../clock.ts';
import { readingKeys, readKeys } from '../config/api-key-file.ts';
import { ConfigurationError, errorCode } from '../config/problem.ts';
import { describeError } from '../telemetry/logger.ts';
import { contentsOf, FileWatch } from './file-watch.ts';

export interface KeyFileObserver {
  apiKeysRead(issuer: string, count: number): void;
  /** @param problems lines that say what is wrong, where, and what to do */
  apiKeysFailed(issuer: string, problems: readonly string[]): void;
  /** @param ids of keys that expire within some days */
  apiKeysExpire(issuer: string, ids: readonly string[]): void;
}

export class KeyFile implements ApiKeySource {
  readonly isCurrent = true;
  readonly issuerName: string;
  readonly file: string;
  readonly #clock: Clock;
  readonly #observer: KeyFileObserver;
  readonly #watch: FileWatch;
  #table: KeyTable;
  #isUsable = true;
  #isStarted = false;
  #isStopped = false;

  /** @throws ConfigurationError with every problem of the file */
  constructor(issuerName: string, file: string, clock: Clock, observer: KeyFileObserver) {
    this.issuerName = issuerName;
    this.file = file;
    this.#clock = clock;
    this.#observer = observer;
    // Before it is read: a change meanwhile is told as one.
    const contents = contentsOf([file]);
    this.#table = new KeyTable(readKeys(textOf(file), file, clock.nowMs() / 1000));
    this.#watch = new FileWatch(contents, clock, () => this.#readAgain());
  }

  /** Is the file, as it is now, in use? */
  get isUsable(): boolean {
    return this.#isUsable;
  }

  get entries(): readonly ApiKeyEntry[] {
    return this.#table.entries;
  }

  find(digest: string): ApiKeyEntry | undefined {
    return this.#table.find(digest);
  }

  start(): void {
    if (!this.#isStarted) this.#watch.start();
    this.#isStarted = true;
  }

  /** No route takes its keys from now on: what they have opened ends. */
  stop(): void {
    this.#isStopped = true;
    this.#watch.close();
    this.#table = new KeyTable();
  }

  /** Requests are served in between. Never rejects. */
  async #readAgain(): Promise<void> {
    const contents = contentsOf([this.file]);
    try {
      const reading = readingKeys(await textLater(this.file), this.file, this.#clock.nowMs() / 1000);
      let step = reading.next();
      while (step.done !== true) {
        await turn();
        step = reading.next();
      }
      if (this.#isStopped) return;
      this.#use(step.value);
      this.#isUsable = true;
      this.#observer.apiKeysRead(this.issuerName, step.value.length);
    } catch (error) {
      this.#isUsable = false;
      const problems = error instanceof ConfigurationError ? error.problems : [describeError(error)];
      this.#observer.apiKeysFailed(this.issuerName, problems);
    }
    this.#watch.use(contents);
  }

  /** An entry that has not changed stays the same object, with all that was made of it. */
  #use(entries: readonly ApiKeyEntry[]): void {
    const before = new Map(this.entries.map((entry) => [entry.sha256, entry]));
    this.#table = new KeyTable(
      entries.map((entry) => {
        const known = before.get(entry.sha256);
        return known && JSON.stringify(known) === JSON.stringify(entry) ? known : entry;
      }),
    );
  }
}

/** @throws ConfigurationError */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw unreadable(file, error);
  }
}

async function textLater(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, error: unknown): ConfigurationError {
  return new ConfigurationError([
    `${file}: cannot be read (${errorCode(error)}); create it, or fix its name or permissions (api_keys.file)`,
  ]);
}

/**
 * Notices when files have other content. It looks at each file by its name, through every link, a few times a second:
 * a file that is replaced, a link that is turned, a folder that vanishes and comes back, and file systems that tell
 * nothing of changes are all the same to it. Other files in their folders cost nothing.
 */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Clock } from '../clock.ts';

/** How often files are looked at: one stat each, outside the event loop. */
const LOOK_MS = 250;
/** Writers change several things at a time: a change is told once nothing moves between two looks, or after this. */
const MAX_WAIT_MS = 500;
/** A file that is missing is most likely being replaced. With LOOK_MS this makes one second. */
const MISSING_WAIT_MS = 750;
/** Two changes within one tick of the file system's clock have the same times: contents are compared for this long. */
const TICK_DOUBT_MS = 1_000;

const MISSING = 'missing';

/** By file: a digest of its content; empty for one that cannot be read. */
export type Contents = ReadonlyMap<string, string>;

export class FileWatch {
  readonly #clock: Clock;
  readonly #changed: (files: readonly string[]) => Promise<void>;
  #contents: Contents;
  /** By file: what the file system said of it at the last look. */
  #traits: ReadonlyMap<string, string> = new Map();
  /** Since when a change waits to be told, on the monotonic clock. */
  #movingSinceMs: number | undefined;
  #doubtfulUntilMs: number;
  #cancel: () => void = () => undefined;
  #isClosed = false;

  /**
   * @param contents the files, as they were read
   * @param changed told of the files that have other content than that; awaited; must not reject
   */
  constructor(contents: Contents, clock: Clock, changed: (files: readonly string[]) => Promise<void>) {
    this.#contents = contents;
    this.#clock = clock;
    this.#changed = changed;
    this.#doubtfulUntilMs = clock.monotonicMs() + TICK_DOUBT_MS;
  }

  start(): void {
    if (!this.#isClosed) this.#lookLater();
  }

  /** Other files, or other contents, are in use from now on. */
  use(contents: Contents): void {
    this.#contents = contents;
    this.#doubtfulUntilMs = this.#clock.monotonicMs() + TICK_DOUBT_MS;
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  #lookLater(): void {
    this.#cancel = this.#clock.after(LOOK_MS, () => void this.#look());
  }

  async #look(): Promise<void> {
    const files = [...this.#contents.keys()];
    const traits = new Map(await Promise.all(files.map(traitsOf)));
    if (this.#isClosed) return;
    const moved = files.some((file) => traits.get(file) !== this.#traits.get(file));
    this.#traits = traits;
    if (this.#isToBeCompared(moved, [...traits.values()].includes(MISSING))) {
      this.#movingSinceMs = undefined;
      const now = contentsOf(files);
      const other = files.filter((file) => now.get(file) !== this.#contents.get(file));
      if (other.length > 0) await this.#changed(other);
    }
    this.start();
  }

  #isToBeCompared(moved: boolean, isAnyMissing: boolean): boolean {
    const nowMs = this.#clock.monotonicMs();
    if (moved) {
      this.#movingSinceMs ??= nowMs;
      this.#doubtfulUntilMs = nowMs + TICK_DOUBT_MS;
    }
    if (this.#movingSinceMs === undefined) return nowMs < this.#doubtfulUntilMs && !isAnyMissing;
    const waitedMs = nowMs - this.#movingSinceMs;
    return isAnyMissing ? waitedMs >= MISSING_WAIT_MS : !moved || waitedMs >= MAX_WAIT_MS;
  }
}

async function traitsOf(file: string): Promise<[file: string, traits: string]> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
    return [file, [dev, ino, size, mtimeNs, ctimeNs].join(' ')];
  } catch {
    return [file, MISSING];
  }
}

/** The files as they are now. */
export function contentsOf(files: readonly string[]): Contents {
  return new Map(files.map((file) => [file, digestOf(file)]));
}

function digestOf(file: string): string {
  try {
    // Reading a pipe would wait for its writer.
    if (!statSync(file).isFile()) return '';
    return createHash('sha256').update(readFileSync(file)).digest('base64url');
  } catch {
    // It is being replaced, or is gone: loading the configuration tells.
    return '';
  }
}

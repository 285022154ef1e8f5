/**
 * A file of the gateway's own, for a start while what it is a copy of is away.
 *
 * What is in it decides who may pass. So it is read only if no other user can have written it: a regular file of mode 0600
 * that we own, in a folder that only its owner may write to.
 */
import { randomUUID } from 'node:crypto';
import { constants, statSync, type Stats } from 'node:fs';
import { mkdir, open, rename, stat, unlink } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';

/** A disk that does not respond must not hold up the start. */
const LOAD_TIMEOUT_MS = 2_000;
const GROUP_AND_OTHERS = 0o077;
const WRITABLE_BY_OTHERS = 0o022;

export interface PrivateFileOptions {
  readonly folder: string;
  /** Its name in the folder. */
  readonly name: string;
  /** A larger one is not read. */
  readonly maxBytes: number;
  readonly clock: Clock;
  /** Told of each failure: what is wrong, and with which file. */
  readonly failed: (file: string, problem: string) => void;
}

/** Why the file is not used: fixed text, or what the system said. */
export class Unsafe extends Error {
  override readonly name = 'Unsafe';
}

export class PrivateFile {
  readonly file: string;
  readonly #options: PrivateFileOptions;
  /** What is to be written next; only the latest counts. */
  #pending: (() => string) | undefined;
  #writing = false;
  #told: string | undefined;

  constructor(options: PrivateFileOptions) {
    this.#options = options;
    this.file = join(options.folder, options.name);
  }

  /**
   * @param read of what is in it; may throw Unsafe
   * @returns undefined where there is none, or it cannot be used
   */
  async load<T>(read: (bytes: Buffer) => T): Promise<T | undefined> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const cancel = this.#options.clock.after(LOAD_TIMEOUT_MS, () => {
      this.#fail(new Error('the disk does not respond'));
      resolve(undefined);
    });
    try {
      return await Promise.race([this.#load().then(read), promise]);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#fail(error);
      return undefined;
    } finally {
      cancel();
    }
  }

  /** @param content asked for when it is written */
  save(content: () => string): void {
    this.#pending = content;
    if (!this.#writing) void this.#writeAll();
  }

  async #load(): Promise<Buffer> {
    await checkFolder(this.#options.folder);
    // Not through a link, and not waiting for the writer of a pipe.
    const handle = await open(this.file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      checkFile(await handle.stat(), this.#options.maxBytes);
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  }

  async #writeAll(): Promise<void> {
    this.#writing = true;
    for (let content = this.#take(); content !== undefined; content = this.#take()) {
      try {
        await this.#write(content());
        this.#told = undefined;
      } catch (error) {
        this.#fail(error);
        // What is there may hold what has been withdrawn since.
        await unlink(this.file).catch(() => undefined);
      }
    }
    this.#writing = false;
  }

  #take(): (() => string) | undefined {
    const content = this.#pending;
    this.#pending = undefined;
    return content;
  }

  /** Complete or not at all: under another name first, on the disk, then in place of the one before. */
  async #write(text: string): Promise<void> {
    const { folder } = this.#options;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await checkFolder(folder);
    const draft = join(folder, `.${randomUUID()}.tmp`);
    try {
      const handle = await open(draft, 'wx', 0o600);
      try {
        await handle.writeFile(text);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(draft, this.file);
    } catch (error) {
      await unlink(draft).catch(() => undefined);
      throw error;
    }
  }

  /** Once for the same failure: it comes back with every refresh. */
  #fail(error: unknown): void {
    const { code, message } = error as NodeJS.ErrnoException;
    const problem = error instanceof Unsafe ? message : (code ?? message);
    if (problem === this.#told) return;
    this.#told = problem;
    this.#options.failed(this.file, problem);
  }
}

/** @throws Unsafe where others than its owner, us or root, may put files there; Error where it cannot be looked at */
async function checkFolder(folder: string): Promise<void> {
  const problem = folderProblem(await stat(folder));
  if (problem !== undefined) throw new Unsafe(problem);
}

/** What is wrong with a folder; undefined where nothing is. */
function folderProblem(stats: Stats): string | undefined {
  if (!stats.isDirectory()) return 'its folder is not a folder';
  if ((stats.mode & WRITABLE_BY_OTHERS) !== 0) return 'its folder may be written to by others; chmod 700 it';
  return isOurs(stats.uid) || stats.uid === 0 ? undefined : 'its folder belongs to another user; chown it';
}

function checkFile(stats: Stats, maxBytes: number): void {
  if (!stats.isFile()) throw new Unsafe('it is not a regular file');
  if (!isOurs(stats.uid)) throw new Unsafe('it belongs to another user; remove it');
  if ((stats.mode & GROUP_AND_OTHERS) !== 0) throw new Unsafe('others may use it; chmod 600 it');
  if (stats.size > maxBytes) throw new Unsafe('it is too large');
}

function isOurs(uid: number): boolean {
  const ours = ourUserId();
  // Windows has no user ids: the rights of the folder are all that there is.
  return ours === -1 || uid === ours;
}

function ourUserId(): number {
  try {
    return userInfo().uid;
  } catch {
    // A container's user need not be in its list of users.
    return statSync('/proc/self').uid;
  }
}

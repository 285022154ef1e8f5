/**
 * The last good key set of one issuer, in a file: for a gateway that starts while the authorization server is down.
 *
 * What is in the file decides who may pass. So it is read only if no other user can have written it: a regular file of
 * mode 0600 that we own, in a folder that only its owner may write to. It holds public keys, and stands for one issuer
 * and one source: under another configuration it is not read. Rules K0, K3, J7.
 */
import { createHash, randomUUID } from 'node:crypto';
import { constants, statSync, type Stats } from 'node:fs';
import { mkdir, open, rename, stat, unlink } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import type { KeyStorage } from './remote-key-set.ts';
import { parseStrictJson } from './strict-json.ts';

/** Larger than any key set that is fetched. */
const MAX_FILE_BYTES = 2 * 1024 * 1024;
/** A disk that does not respond must not hold up the start. */
const LOAD_TIMEOUT_MS = 2_000;
const GROUP_AND_OTHERS = 0o077;
const WRITABLE_BY_OTHERS = 0o022;
const FORMAT = 1;

export interface KeyCacheOptions {
  readonly folder: string;
  readonly issuerName: string;
  /** The exact iss. */
  readonly issuer: string;
  /** Where the keys come from; undefined: by discovery. May hold a secret, so that only its digest is written. */
  readonly url: string | undefined;
  readonly clock: Clock;
  /** Told of each failure: what is wrong, and with which file. */
  readonly failed: (file: string, problem: string) => void;
}

/** Why the file is not used: fixed text, or what the system said. */
class Unsafe extends Error {
  override readonly name = 'Unsafe';
}

export class KeyCacheFile implements KeyStorage {
  readonly file: string;
  readonly #options: KeyCacheOptions;
  readonly #source: string;
  /** What is to be written next; only the latest set counts. */
  #pending: readonly object[] | undefined;
  #writing = false;
  #told: string | undefined;

  constructor(options: KeyCacheOptions) {
    const { folder, issuerName, issuer, url } = options;
    this.#options = options;
    this.#source = createHash('sha256')
      .update(JSON.stringify([issuer, url ?? null]))
      .digest('hex');
    this.file = join(folder, `${issuerName}-${this.#source.slice(0, 16)}.json`);
  }

  async load(): Promise<{ document: unknown; ageMs: number } | undefined> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const cancel = this.#options.clock.after(LOAD_TIMEOUT_MS, () => {
      this.#fail(new Error('the disk does not respond'));
      resolve(undefined);
    });
    try {
      return await Promise.race([this.#load(), promise]);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#fail(error);
      return undefined;
    } finally {
      cancel();
    }
  }

  save(keys: readonly object[]): void {
    this.#pending = keys;
    if (!this.#writing) void this.#writeAll();
  }

  async #load(): Promise<{ document: unknown; ageMs: number }> {
    await checkFolder(this.#options.folder);
    // Not through a link, and not waiting for the writer of a pipe.
    const handle = await open(this.file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    let bytes: Buffer;
    try {
      checkFile(await handle.stat());
      bytes = await handle.readFile();
    } finally {
      await handle.close();
    }
    return this.#read(bytes);
  }

  #read(bytes: Buffer): { document: unknown; ageMs: number } {
    let content: Partial<Record<'format' | 'source' | 'saved_at_ms' | 'keys', unknown>>;
    try {
      content = parseStrictJson(bytes) as typeof content;
    } catch {
      throw new Unsafe('it is not strict JSON');
    }
    const { format, source, saved_at_ms: savedAtMs, keys } = content ?? {};
    if (format !== FORMAT || !Array.isArray(keys) || typeof savedAtMs !== 'number')
      throw new Unsafe('it is not a key set that this version has saved');
    if (source !== this.#source) throw new Unsafe('it is of another issuer or another source of keys');
    const ageMs = this.#options.clock.nowMs() - savedAtMs;
    if (ageMs < 0) throw new Unsafe('it was saved in the future');
    return { document: { keys }, ageMs };
  }

  async #writeAll(): Promise<void> {
    this.#writing = true;
    for (let keys = this.#take(); keys !== undefined; keys = this.#take()) {
      try {
        await this.#write(keys);
        this.#told = undefined;
      } catch (error) {
        this.#fail(error);
        // What is there may hold a key that has been withdrawn since.
        await unlink(this.file).catch(() => undefined);
      }
    }
    this.#writing = false;
  }

  #take(): readonly object[] | undefined {
    const keys = this.#pending;
    this.#pending = undefined;
    return keys;
  }

  /** Complete or not at all: under another name first, on the disk, then in place of the one before. */
  async #write(keys: readonly object[]): Promise<void> {
    const { folder, clock } = this.#options;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await checkFolder(folder);
    const text = JSON.stringify({
      format: FORMAT,
      source: this.#source,
      saved_at_ms: Math.floor(clock.nowMs()),
      keys: keys.map(publicMembers),
    });
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

/** What makes a public key of each kty (RFC 7518 section 6, RFC 8037 section 2, RFC 9964 section 3). */
const PUBLIC_NUMBERS: Readonly<Record<string, readonly string[]>> = {
  RSA: ['n', 'e'],
  EC: ['crv', 'x', 'y'],
  OKP: ['crv', 'x'],
  AKP: ['pub'],
};
/** What decides how a key may be used (RFC 7517 section 4), and for whose tokens. */
const COMMON_MEMBERS = ['kty', 'kid', 'alg', 'use', 'key_ops', 'issuer'];

/** A key without any member that has no part in verifying: whatever else its server publishes does not reach the disk. */
function publicMembers(jwk: object): object {
  const { kty } = jwk as { kty?: unknown };
  const kept = [...COMMON_MEMBERS, ...(PUBLIC_NUMBERS[String(kty)] ?? [])];
  return Object.fromEntries(Object.entries(jwk).filter(([name]) => kept.includes(name)));
}

/** @throws Unsafe where others than its owner, us or root, may put files there; Error where it cannot be looked at */
async function checkFolder(folder: string): Promise<void> {
  const problem = folderProblem(await stat(folder));
  if (problem !== undefined) throw new Unsafe(problem);
}

/** What is wrong with a folder for keys; undefined where nothing is. */
function folderProblem(stats: Stats): string | undefined {
  if (!stats.isDirectory()) return 'its folder is not a folder';
  if ((stats.mode & WRITABLE_BY_OTHERS) !== 0) return 'its folder may be written to by others; chmod 700 it';
  return isOurs(stats.uid) || stats.uid === 0 ? undefined : 'its folder belongs to another user; chown it';
}

function checkFile(stats: Stats): void {
  if (!stats.isFile()) throw new Unsafe('it is not a regular file');
  if (!isOurs(stats.uid)) throw new Unsafe('it belongs to another user; remove it');
  if ((stats.mode & GROUP_AND_OTHERS) !== 0) throw new Unsafe('others may use it; chmod 600 it');
  if (stats.size > MAX_FILE_BYTES) throw new Unsafe('it is too large');
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

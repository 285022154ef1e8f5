/**
 * The last good key set of one issuer, in a file: for a gateway that starts while the authorization server is down.
 *
 * What is in the file decides who may pass: private-file.ts says when it is read. It holds public keys, and stands for one issuer
 * and one source: under another configuration it is not read. Rules K0, K3, J7.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { PrivateFile, Unsafe } from './private-file.ts';
import type { KeyStorage } from './remote-key-set.ts';
import { parseStrictJson } from './strict-json.ts';

/** Larger than any key set that is fetched. */
const MAX_FILE_BYTES = 2 * 1024 * 1024;
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

export class KeyCacheFile implements KeyStorage {
  readonly #clock: Clock;
  readonly #file: PrivateFile;
  readonly #source: string;

  constructor({ folder, issuerName, issuer, url, clock, failed }: KeyCacheOptions) {
    this.#clock = clock;
    this.#source = createHash('sha256')
      .update(JSON.stringify([issuer, url ?? null]))
      .digest('hex');
    const name = `${issuerName}-${this.#source.slice(0, 16)}.json`;
    this.#file = new PrivateFile({ folder, name, maxBytes: MAX_FILE_BYTES, clock, failed });
  }

  get file(): string {
    return this.#file.file;
  }

  load(): Promise<{ document: unknown; ageMs: number } | undefined> {
    return this.#file.load((bytes) => this.#read(bytes));
  }

  save(keys: readonly object[]): void {
    const content = {
      format: FORMAT,
      source: this.#source,
      saved_at_ms: Math.floor(this.#clock.nowMs()),
      keys: keys.map(publicMembers),
    };
    this.#file.save(() => JSON.stringify(content));
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
    const ageMs = this.#clock.nowMs() - savedAtMs;
    if (ageMs < 0) throw new Unsafe('it was saved in the future');
    return { document: { keys }, ageMs };
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

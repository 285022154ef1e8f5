/**
 * Makes, ends and rotates the keys that are in the store. What is made is shown once, to the one who asked; what is ended stays ended.
 * Rules V7, V13, X1, X3.
 */
import { randomBytes } from 'node:crypto';
import { nextVersion, type Version } from '../revocation/mark.ts';
import type { ApiKeyEntry } from './api-key.ts';
import { keySha256, makeKey } from './key-text.ts';
import type { StoredKeys } from './stored-keys.ts';
import { stateOf, type StoredKey } from './stored-key.ts';

const ID_BYTES = 9;
const NEVER: Version = { timeMs: 0, counter: 0 };

/** What the one who asks decides of a new key. */
export type KeyRights = Omit<ApiKeyEntry, 'id' | 'sha256' | 'created'> & {
  /** Undefined: made up. */
  readonly id: string | undefined;
};

export interface NewKey {
  /** The key itself: shown once, and kept nowhere. */
  readonly secret: string;
  readonly key: StoredKey;
}

export interface RotatedKey extends NewKey {
  readonly before: StoredKey;
}

export interface RotateOptions {
  /** How long the key before it still works, in seconds. */
  readonly overlap: number;
  /** Of the new key, in seconds since 1970; undefined: as long from now as that of the key before it was from its making. */
  readonly expires: number | undefined;
  readonly by: string;
}

/** It makes no sense as things are; `message` is fixed text for the caller. */
export class KeyChangeRefused extends Error {
  override readonly name = 'KeyChangeRefused';
}

export class KeyChanges {
  readonly #keys: StoredKeys;

  constructor(keys: StoredKeys) {
    this.#keys = keys;
  }

  /**
   * Each of these resolves once the store has the change, and all that serve here know it.
   *
   * @throws KeyChangeRefused; any other Error where the store is unavailable
   */
  async create(issuer: string, { id = newId(), ...rights }: KeyRights, by: string): Promise<NewKey> {
    const secret = makeKey();
    const sha256 = keySha256(secret);
    const key = await this.#keys.change(issuer, id, (known, nowMs) =>
      known === undefined
        ? {
            issuer,
            entry: { ...rights, id, sha256, created: Math.floor(nowMs / 1000) },
            createdBy: by,
            end: undefined,
            replacedBy: undefined,
            keptUntil: rights.expires,
            version: nextVersion(NEVER, nowMs),
          }
        : undefined,
    );
    if (key?.entry.sha256 !== sha256)
      throw new KeyChangeRefused('there is a key with this id, or was one; choose another id, or rotate it');
    return { secret, key };
  }

  /** @returns undefined where there is no such key; `changed` is false where it was revoked before */
  async revoke(
    issuer: string,
    id: string,
    by: string,
    reason: string | undefined,
  ): Promise<{ readonly key: StoredKey; readonly changed: boolean } | undefined> {
    let changed = false;
    const key = await this.#keys.change(issuer, id, (known, nowMs) => {
      changed = known !== undefined && known.end === undefined;
      if (known === undefined || !changed) return undefined;
      const version = nextVersion(known.version, nowMs);
      return { ...known, end: { at: Math.floor(nowMs / 1000), by, reason }, version };
    });
    return key && { key, changed };
  }

  /** A new key with the same rights; the one before it expires after the overlap. Undefined where there is no such key. */
  async rotate(
    issuer: string,
    id: string,
    { overlap, expires, by }: RotateOptions,
    /** Resolves when all gateways know the new key: only then the end of the one before it is set. */
    known: (key: StoredKey) => Promise<void>,
  ): Promise<RotatedKey | undefined> {
    await this.#keys.sync();
    const before = this.#keys.book.get(issuer, id);
    if (!before) return undefined;
    const nowSeconds = Math.floor((await this.#keys.nowMs()) / 1000);
    refuseUnfit(before, nowSeconds);
    const rights = { ...before.entry, id: undefined, expires: expires ?? sameLife(before.entry, nowSeconds) };
    const made = await this.create(issuer, rights, by);
    try {
      await known(made.key);
      const ending = await this.#keys.change(issuer, id, (last, nowMs) =>
        last?.end === undefined && last?.replacedBy === undefined
          ? last && replaced(last, made.key.entry.id, overlap, nowMs)
          : undefined,
      );
      if (ending?.replacedBy !== made.key.entry.id)
        throw new KeyChangeRefused(
          'another operator has revoked or rotated this key at the same time; list the keys',
        );
      return { ...made, before: ending };
    } catch (error) {
      // The new key was not shown yet: it must not stay.
      await this.revoke(issuer, made.key.entry.id, by, 'its rotation failed').catch(() => undefined);
      throw error;
    }
  }
}

/** It expires after the overlap, or before that where it would anyway. */
function replaced(key: StoredKey, by: string, overlap: number, nowMs: number): StoredKey {
  const expires = Math.min(key.entry.expires ?? Infinity, Math.floor(nowMs / 1000) + overlap);
  return {
    ...key,
    entry: { ...key.entry, expires },
    replacedBy: by,
    version: nextVersion(key.version, nowMs),
  };
}

function refuseUnfit(key: StoredKey, nowSeconds: number): void {
  const state = stateOf(key, nowSeconds);
  if (state !== 'active') throw new KeyChangeRefused(`this key is ${state}; create a new one`);
  if (key.replacedBy !== undefined)
    throw new KeyChangeRefused(
      `this key was rotated before: ${key.replacedBy} has taken its place; rotate that one`,
    );
}

function sameLife({ created, expires }: ApiKeyEntry, now: number): number | undefined {
  return expires === undefined || created === undefined ? expires : now + (expires - created);
}

/** Begins with a letter or digit, as an id must. */
function newId(): string {
  return `k${randomBytes(ID_BYTES).toString('base64url')}`;
}

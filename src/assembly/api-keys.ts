/** The API keys of the store, as a process has them: kept current, told of in metrics and log, with when each was last used. */
import { resolve } from 'node:path';
import type { ApiKeySource } from '../api-keys/api-key.ts';
import type { ApiKeyStore } from '../api-keys/api-key-store.ts';
import type { ToldKeys } from '../api-keys/copied-keys.ts';
import type { KeySeals } from '../api-keys/key-book.ts';
import { KeyCopyFiles } from '../api-keys/key-copy-file.ts';
import type { KeyHolder } from '../api-keys/key-holder.ts';
import { LastUses } from '../api-keys/last-uses.ts';
import { MemoryApiKeyStore } from '../api-keys/memory-api-key-store.ts';
import { RedisApiKeyStore } from '../api-keys/redis-api-key-store.ts';
import { integritySecrets, KeySeal } from '../api-keys/signed-keys.ts';
import { SqliteApiKeyStore } from '../api-keys/sqlite-api-key-store.ts';
import { StoredKeys } from '../api-keys/stored-keys.ts';
import type { Clock } from '../clock.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import { redisLocation } from '../config/redis-location.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { keyEvents } from './api-key-reports.ts';
import type { Place } from './place.ts';

/** A use is known to all within a minute, and a gateway writes no more often than that, whatever comes. */
const WRITE_USES_MS = 45_000;
/** Of a worker, to its primary. */
const TELL_USES_MS = 10_000;

/** Nothing is opened before the first key. */
export function openApiKeyStore({ configuration, folder }: LoadedConfiguration, clock: Clock): ApiKeyStore {
  const { store } = configuration.revocation;
  const location = redisLocation(configuration.revocation);
  if (location) return new RedisApiKeyStore(location, clock);
  if (typeof store !== 'string') throw new TypeError('unknown kind of revocation store');
  if (store === 'memory:') return new MemoryApiKeyStore(clock);
  return new SqliteApiKeyStore(resolve(folder, store.slice('sqlite:'.length)), clock);
}

export interface ApiKeysParts {
  readonly place: Place;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
}

export class ApiKeys {
  readonly uses: LastUses;
  /** Where the store itself is at hand; undefined in a worker. */
  readonly stored: { readonly keys: StoredKeys; readonly store: ApiKeyStore } | undefined;
  readonly #holder: KeyHolder;
  readonly #copies: KeyCopyFiles;
  readonly #parts: ApiKeysParts;
  #cancel: () => void = () => undefined;

  constructor(parts: ApiKeysParts) {
    const { place, metrics, logger, clock } = parts;
    this.#parts = parts;
    this.uses = new LastUses(clock);
    this.#copies = new KeyCopyFiles({
      clock,
      failed: (file, problem) =>
        logger.warn(
          { file, problem },
          'the copy of the API keys on disk cannot be used; the store is not affected',
        ),
    });
    if ('copied' in place.apiKeys) {
      this.#holder = place.apiKeys.copied;
      return;
    }
    const { store, told } = place.apiKeys;
    const events = keyEvents(metrics, logger, told);
    const keys = new StoredKeys({ store, clock, copy: this.#copies, events });
    this.stored = { keys, store };
    this.#holder = keys;
  }

  /** The keys of an issuer, as they are at each look-up. */
  source(issuer: string): ApiKeySource {
    return this.#holder.source(issuer);
  }

  /** For a worker: all that is known here. */
  get all(): ToldKeys {
    const keys = this.stored?.keys;
    return { texts: keys ? [...keys.book.texts()] : [], isCurrent: keys?.isCurrent ?? false };
  }

  /** This configuration is in place. */
  use(loaded: LoadedConfiguration): void {
    const { metrics } = this.#parts;
    const seals = keySeals(loaded);
    for (const issuer of seals.keys()) metrics.apiKeyEntriesIgnored.child(issuer);
    this.#copies.use(copyFolders(loaded));
    this.uses.use(new Set(seals.keys()));
    this.#holder.use(seals);
  }

  /** Resolves when the stored keys were asked for once: until then a good key is not known. */
  get asked(): Promise<void> {
    return this.#holder.asked;
  }

  /** @param loaded is in place first */
  start(loaded: LoadedConfiguration): void {
    this.use(loaded);
    this.#holder.start();
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#cancel();
    await this.#holder.stop();
    await this.writeUses().catch(() => undefined);
    await this.stored?.store.close();
  }

  /** In one batch. What is not taken is tried again with the next one. */
  async writeUses(): Promise<void> {
    const uses = this.uses.take();
    if (uses.length === 0) return;
    const { apiKeys } = this.#parts.place;
    try {
      await ('copied' in apiKeys ? apiKeys.noteUses(uses) : apiKeys.store.noteUses(uses));
    } catch (error) {
      this.uses.add(uses);
      throw error;
    }
  }

  #schedule(): void {
    this.#cancel = this.#parts.clock.after(this.stored ? WRITE_USES_MS : TELL_USES_MS, () => {
      // The store is lost: that is logged where its entries are followed.
      void this.writeUses().catch(() => undefined);
      this.#schedule();
    });
  }
}

/** Issuers whose keys are in the store. */
export function keySeals({ configuration }: LoadedConfiguration): KeySeals {
  return new Map(
    Object.entries(configuration.issuers).flatMap(([name, { api_keys: keys }]) =>
      keys?.store === true ? [[name, new KeySeal(integritySecrets(keys.integrity_key ?? ''))] as const] : [],
    ),
  );
}

function copyFolders({ configuration, folder }: LoadedConfiguration): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(configuration.issuers).flatMap(([name, { api_keys: keys }]) =>
      keys?.cache_dir === undefined ? [] : [[name, resolve(folder, keys.cache_dir)] as const],
    ),
  );
}

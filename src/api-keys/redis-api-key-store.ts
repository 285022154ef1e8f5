/**
 * API keys in Redis: the store of a fleet. A connection of its own: a look at what changed does not wait behind a page of the
 * revocation list. Rules V5, V6, V9, X3.
 */
import type { Clock } from '../clock.ts';
import type { RedisLocation } from '../revocation/redis-connection.ts';
import { RedisLink } from '../revocation/redis-link.ts';
import { PositionLost, type Position } from '../revocation/revocation-store.ts';
import type { ApiKeyStore, Changes, KeyUse, NamedText, Replacement } from './api-key-store.ts';
import {
  API_KEY_NAMES,
  KEY_CHANGES_SCRIPT,
  NOTE_USES_SCRIPT,
  REPLACE_KEYS_SCRIPT,
} from './redis-key-scripts.ts';

const SCAN_COUNT = '1000';
/** Redis does nothing else while a script runs: some milliseconds for so many. */
const BATCH_NAMES = 500;

export class RedisApiKeyStore implements ApiKeyStore {
  readonly #link: RedisLink;
  /** All of them, in the order in which the scripts expect them. */
  readonly #keys: readonly string[];
  readonly #texts: string;
  readonly #used: string;

  /** Connects when it is first asked. */
  constructor(location: RedisLocation, clock: Clock) {
    this.#link = new RedisLink(location, clock);
    // Braces make a hash tag: all keys share one slot of a cluster, so that one script can use them.
    const [texts, order, counts, used] = API_KEY_NAMES.map(
      (name) => `{${location.keyPrefix}}:api-keys:${name}`,
    );
    this.#keys = [texts, order, counts, used].map(String);
    this.#texts = String(texts);
    this.#used = String(used);
  }

  async nowMs(): Promise<number> {
    const [seconds, microseconds] = await this.#link.run((redis) => redis.time());
    return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
  }

  async changes(after: Position | undefined): Promise<Changes> {
    const [last, count, checksum, readTo, found] = (await this.#run(KEY_CHANGES_SCRIPT, [after ?? ''])) as [
      last: string,
      count: number,
      checksum: string,
      readTo: string,
      found: string[],
    ];
    if (Number(after ?? 0) > Number(last)) throw new PositionLost('the order ends before the position');
    const position = after === undefined ? last : readTo;
    return {
      texts: pairsOf(found),
      position,
      complete: position === last ? { count, checksum: Number(checksum) } : undefined,
    };
  }

  async *snapshot(): AsyncGenerator<readonly NamedText[]> {
    for (let cursor = '0'; ;) {
      const [next, found] = await this.#link.run((redis) =>
        redis.hscan(this.#texts, cursor, 'COUNT', SCAN_COUNT),
      );
      yield pairsOf(found);
      if (next === '0') return;
      cursor = next;
    }
  }

  async replace(replacements: readonly Replacement[]): Promise<readonly boolean[]> {
    const done: boolean[] = [];
    for (const batch of batchesOf(replacements)) {
      const args = batch.flatMap(({ name, before, text }) => [name, before ?? '', text ?? '']);
      const flags = (await this.#run(REPLACE_KEYS_SCRIPT, args)) as number[];
      done.push(...flags.map((flag) => flag === 1));
    }
    return done;
  }

  async noteUses(uses: readonly KeyUse[]): Promise<void> {
    for (const batch of batchesOf(uses)) {
      const args = batch.flatMap(({ name, usedAt }) => [name, String(usedAt)]);
      await this.#run(NOTE_USES_SCRIPT, args);
    }
  }

  async lastUses(names: readonly string[]): Promise<readonly (number | undefined)[]> {
    // Redis refuses a HMGET without fields.
    if (names.length === 0) return [];
    const found = await this.#link.run((redis) => redis.hmget(this.#used, ...names));
    return found.map((seconds) => (seconds === null ? undefined : Number(seconds)));
  }

  async close(): Promise<void> {
    this.#link.close();
  }

  #run(script: string, args: readonly string[]): Promise<unknown> {
    return this.#link.run((redis) => redis.eval(script, this.#keys.length, ...this.#keys, ...args));
  }
}

function* batchesOf<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < all.length; from += BATCH_NAMES) yield all.slice(from, from + BATCH_NAMES);
}

/** Names and texts in turn, as Redis has them. */
function pairsOf(flat: readonly string[]): NamedText[] {
  return Array.from({ length: flat.length / 2 }, (_, index) => ({
    name: flat[2 * index] ?? '',
    text: flat[2 * index + 1] ?? '',
  }));
}

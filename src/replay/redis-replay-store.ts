/**
 * Used proofs in Redis: the memory of a fleet. One command a proof, which Redis does whole or not at all.
 *
 * A connection of its own, which is made by the first call: a proof does not wait behind a page of the revocation list. Keys have
 * no hash tag, unlike those of the list: in a cluster they spread over all nodes. Rules D14, V9.
 */
import type { Clock } from '../clock.ts';
import type { RedisLocation } from '../revocation/redis-connection.ts';
import { RedisLink } from '../revocation/redis-link.ts';
import { ReplayStoreFull, type ReplayStore } from './replay-store.ts';
import { keptMs, RESPONSE_MS } from './used-proofs.ts';

export class RedisReplayStore implements ReplayStore {
  readonly #link: RedisLink;
  readonly #prefix: string;

  /** Connects when it is first asked. */
  constructor(location: RedisLocation, clock: Clock) {
    this.#link = new RedisLink(location, clock);
    this.#prefix = `${location.keyPrefix}:used`;
  }

  async firstUse(namespace: string, id: string, ttlMs: number): Promise<boolean> {
    const key = `${this.#prefix}:${namespace}:${id}`;
    const lifeMs = keptMs(ttlMs);
    try {
      // No call waits for the response to the one before it. Those that wait are as many as there are requests.
      const reply = await this.#link.run((redis) => redis.set(key, '1', 'PX', lifeMs, 'NX'), RESPONSE_MS);
      return reply === 'OK';
    } catch (error) {
      if (error instanceof Error && error.message.startsWith('OOM '))
        throw new ReplayStoreFull({ cause: error });
      throw error;
    }
  }

  async isUsed(namespace: string, id: string): Promise<boolean> {
    const key = `${this.#prefix}:${namespace}:${id}`;
    return (await this.#link.run((redis) => redis.exists(key), RESPONSE_MS)) === 1;
  }

  resize(): void {
    // Redis counts bytes, of all that it has.
  }

  async close(): Promise<void> {
    this.#link.close();
  }
}

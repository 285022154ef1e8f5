/**
 * Buckets in Redis: a fleet counts together. One number a key, until the bucket is full: then Redis forgets it. The time is Redis' own.
 *
 * A connection of its own, which is made by the first call: what limits ask does not wait behind a page of the revocation list or
 * behind proofs, and these not behind a batch of buckets. In a cluster the keys spread over 64 hash tags, and each tag of a batch
 * is a call of its own. Rules L1, L2, V9.
 */
import type { Clock } from '../clock.ts';
import type { RedisLocation, ScriptedRedis } from '../revocation/redis-connection.ts';
import { RedisLink } from '../revocation/redis-link.ts';
import { RESPONSE_MS, type LeaseAsk, type LeaseReply, type LeaseStore } from './lease-store.ts';

export class RedisLeaseStore implements LeaseStore {
  readonly #link: RedisLink;
  readonly #prefix: string;
  readonly #isCluster: boolean;

  /** Connects when it is first asked. */
  constructor(location: RedisLocation, clock: Clock) {
    this.#link = new RedisLink(location, clock);
    this.#prefix = `${location.keyPrefix}:limit`;
    this.#isCluster = 'cluster' in location;
  }

  async ask(asks: readonly LeaseAsk[]): Promise<readonly LeaseReply[]> {
    const replies: LeaseReply[] = new Array<LeaseReply>(asks.length);
    const groups = this.#isCluster ? byTag(asks) : [asks.map((_, index) => index)];
    await this.#link.run(async (redis) => {
      await Promise.all(groups.map((group) => this.#run(redis, asks, group, replies)));
    }, RESPONSE_MS);
    return replies;
  }

  async close(): Promise<void> {
    this.#link.close();
  }

  /** @param group indexes of the asks that go together */
  async #run(
    redis: ScriptedRedis,
    asks: readonly LeaseAsk[],
    group: readonly number[],
    replies: LeaseReply[],
  ): Promise<void> {
    const keys: string[] = [];
    const numbers: string[] = [];
    for (const index of group) {
      const { key, rate, passed, wanted, aheadMs, maxAheadMs } = asks[index] as LeaseAsk;
      keys.push(`${this.#prefix}:{${tagOf(key)}}:${key}`);
      numbers.push(`${rate.emissionMs} ${rate.burst} ${passed} ${wanted} ${aheadMs} ${maxAheadMs}`);
    }
    const texts = await redis.sallyportLease(String(keys.length), ...keys, ...numbers);
    for (const [at, index] of group.entries()) {
      const [granted, aheadMs] = (texts[at] ?? '').split(' ').map(Number);
      if (granted === undefined || aheadMs === undefined || Number.isNaN(granted + aheadMs))
        throw new Error('Redis gave no reply for a bucket');
      replies[index] = { granted, aheadMs };
    }
  }
}

/** A digest begins with one of 64 characters. */
function tagOf(key: string): string {
  return key.slice(0, 1);
}

function byTag(asks: readonly LeaseAsk[]): number[][] {
  const groups = new Map<string, number[]>();
  for (const [index, { key }] of asks.entries()) {
    const group = groups.get(tagOf(key));
    if (group) group.push(index);
    else groups.set(tagOf(key), [index]);
  }
  return [...groups.values()];
}

/** The board in Redis, under keys of the same hash tag as the list. */
import { BOX_KEPT_MS, HEARTBEAT_KEPT_MS, type FleetBoard, type Heartbeat } from './fleet-board.ts';
import type { RedisLink } from './redis-link.ts';

export class RedisBoard implements FleetBoard {
  readonly #link: RedisLink;
  /** {id → milliseconds since 1970|text} */
  readonly #gateways: string;
  readonly #boxPrefix: string;

  /** @param prefix of all keys of the list */
  constructor(link: RedisLink, prefix: string) {
    this.#link = link;
    this.#gateways = `${prefix}:gateways`;
    this.#boxPrefix = `${prefix}:box:`;
  }

  async beat(id: string, text: string): Promise<void> {
    await this.#link.run((redis) => redis.sallyportBeat(this.#gateways, id, text, String(HEARTBEAT_KEPT_MS)));
  }

  async leave(id: string): Promise<void> {
    await this.#link.run((redis) => redis.hdel(this.#gateways, id));
  }

  async heartbeats(): Promise<readonly Heartbeat[]> {
    const [[seconds, microseconds], beats] = await this.#link.run((redis) =>
      Promise.all([redis.time(), redis.hgetall(this.#gateways)]),
    );
    const nowMs = Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000);
    return Object.entries(beats).flatMap(([id, beat]) => {
      const bar = beat.indexOf('|');
      const ageMs = Math.max(0, nowMs - Number(beat.slice(0, bar)));
      return ageMs <= HEARTBEAT_KEPT_MS ? [{ id, text: beat.slice(bar + 1), ageMs }] : [];
    });
  }

  async put(box: string, text: string): Promise<void> {
    const key = this.#boxPrefix + box;
    await this.#link.run((redis) => redis.sallyportPut(key, text, String(BOX_KEPT_MS)));
  }

  async read(box: string, from: number): Promise<readonly string[]> {
    return this.#link.run((redis) => redis.lrange(this.#boxPrefix + box, from, -1));
  }
}

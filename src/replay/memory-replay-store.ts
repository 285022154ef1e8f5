/**
 * Used proofs in the memory of this process. A restart forgets them, and no other gateway knows them.
 *
 * A call costs the same however many there are: it looks into one table, and removes a few ids whose time is over. The tables are
 * many and small, since a table that grows is copied whole while all requests wait.
 */
import type { Clock } from '../clock.ts';
import { ReplayStoreFull, type ReplayStore } from './replay-store.ts';
import { DEFAULT_ENTRIES, keptMs } from './used-proofs.ts';

const TABLES = 64;
/** Removed by each call: more than the one that it may add, so that those whose time is over become fewer. */
const FORGOTTEN_PER_CALL = 2;

export class MemoryReplayStore implements ReplayStore {
  readonly #clock: Clock;
  #entries: number;
  /**
   * The second in which an id ends, rounded up, on the monotonic clock: a wall clock that is set forward forgets nothing. Whole
   * seconds: small integers take no memory of their own.
   */
  readonly #tables = Array.from({ length: TABLES }, () => new Map<string, number>());
  /** The same ids by their end. */
  readonly #byEnd = new Map<number, string[]>();
  #nextEnd = Infinity;
  #size = 0;

  /** @param entries beyond which it is full */
  constructor(clock: Clock, entries = DEFAULT_ENTRIES) {
    this.#clock = clock;
    this.#entries = entries;
  }

  /** How many it holds. Those whose time is over are removed by later calls. */
  get size(): number {
    return this.#size;
  }

  async firstUse(namespace: string, id: string, ttlMs: number): Promise<boolean> {
    const nowMs = this.#clock.monotonicMs();
    const end = Math.ceil((nowMs + keptMs(ttlMs)) / 1_000);
    const now = Math.floor(nowMs / 1_000);
    for (let each = 0; each < FORGOTTEN_PER_CALL; each++) this.#forgetOne(now);
    const key = `${namespace}:${id}`;
    const table = this.#tableOf(id);
    const endBefore = table.get(key);
    if (endBefore !== undefined && endBefore > now) return false;
    if (endBefore === undefined && this.#size >= this.#entries) throw new ReplayStoreFull();
    if (endBefore === undefined) this.#size++;
    table.set(key, end);
    this.#keysOf(end).push(key);
    return true;
  }

  async isUsed(namespace: string, id: string): Promise<boolean> {
    const end = this.#tableOf(id).get(`${namespace}:${id}`);
    return end !== undefined && end > Math.floor(this.#clock.monotonicMs() / 1_000);
  }

  resize(entries: number): void {
    this.#entries = entries;
  }

  async close(): Promise<void> {
    for (const table of this.#tables) table.clear();
    this.#byEnd.clear();
    this.#nextEnd = Infinity;
    this.#size = 0;
  }

  /** Ids are digests: any characters of them spread. */
  #tableOf(id: string): Map<string, number> {
    const number = (31 * (id.charCodeAt(0) || 0) + (id.charCodeAt(1) || 0)) % TABLES;
    return this.#tables[number] as Map<string, number>;
  }

  #keysOf(end: number): string[] {
    let keys = this.#byEnd.get(end);
    if (!keys) {
      keys = [];
      this.#byEnd.set(end, keys);
      this.#nextEnd = Math.min(this.#nextEnd, end);
    }
    return keys;
  }

  #forgetOne(now: number): void {
    if (this.#nextEnd > now) return;
    const keys = this.#byEnd.get(this.#nextEnd) ?? [];
    const key = keys.pop();
    if (key !== undefined) {
      const table = this.#tableOf(key.slice(key.indexOf(':') + 1));
      // It may have been used again since.
      if (table.get(key) === this.#nextEnd) {
        table.delete(key);
        this.#size--;
      }
    }
    if (keys.length > 0) return;
    this.#byEnd.delete(this.#nextEnd);
    this.#nextEnd = Math.min(...this.#byEnd.keys());
  }
}

/**
 * The buckets of one limit in this process, bounded. A bucket is forgotten only when it is full again, so that forgetting it
 * changes nothing; where there is no room, all new keys share one. An attacker with random keys gains no requests and no memory.
 * Rule L1.
 *
 * Buckets wait in a wheel of slots for the time at which they are full. One that was used meanwhile is put back when its slot is
 * over, so that each request pays for at most one such move: adding and forgetting cost the same however many buckets there are.
 */
import { FULL } from './gcra.ts';

export interface Bucket {
  readonly key: string;
  /** When it is full again, as gcra.ts has it. */
  tatMs: number;
}

/** How finely the time is divided in which a bucket fills up: a full one is found at most that part of it late. */
const SLOTS = 256;
/** One that has begun, and one for rounding. */
const RING = SLOTS + 2;
/** For each bucket that comes, so many are looked at that may go. */
const SWEPT_FOR_EACH = 2;

/** How many buckets all tables of a process may have together. */
export class KeyBudget {
  max: number;
  #used = 0;
  readonly #tables = new Set<BucketTable>();

  constructor(max: number) {
    this.max = max;
  }

  get used(): number {
    return this.#used;
  }

  join(table: BucketTable): void {
    this.#tables.add(table);
  }

  /** Its buckets are forgotten with it. */
  leave(table: BucketTable): void {
    if (this.#tables.delete(table)) this.#used -= table.size;
  }

  /** Claims the place of one bucket. A table that has none to forget may get that of another. */
  claim(nowMs: number): boolean {
    if (this.#used >= this.max && !this.#makeRoom(nowMs)) return false;
    this.#used++;
    return true;
  }

  release(): void {
    this.#used--;
  }

  #makeRoom(nowMs: number): boolean {
    for (const table of this.#tables) if (table.forgetOne(nowMs)) return this.#used < this.max;
    return false;
  }
}

export class BucketTable {
  /** Of the keys that found no room. */
  readonly overflow: Bucket = { key: '', tatMs: FULL };
  readonly #budget: KeyBudget;
  readonly #slotMs: number;
  readonly #buckets = new Map<string, Bucket>();
  readonly #slots: Bucket[][] = Array.from({ length: RING }, () => []);
  /** Number of the first slot that is not over. */
  #current: number | undefined;
  /** Of slots that are over: full, unless they were used meanwhile. */
  readonly #due: Bucket[][] = [];

  /** @param fillMs how long an empty bucket needs to be full again */
  constructor(budget: KeyBudget, fillMs: number) {
    this.#budget = budget;
    this.#slotMs = Math.max(1, fillMs / SLOTS);
    budget.join(this);
  }

  get size(): number {
    return this.#buckets.size;
  }

  find(key: string): Bucket | undefined {
    return this.#buckets.get(key);
  }

  /** @returns false where there is no room */
  add(key: string, tatMs: number, nowMs: number): boolean {
    this.#turn(nowMs);
    for (let swept = 0; swept < SWEPT_FOR_EACH; swept++) this.#lookAtDue(nowMs);
    if (!this.#budget.claim(nowMs)) return false;
    const bucket = { key, tatMs };
    this.#buckets.set(key, bucket);
    this.#queue(bucket);
    return true;
  }

  /** Forgets one bucket that is full. */
  forgetOne(nowMs: number): boolean {
    this.#turn(nowMs);
    for (;;) {
      const isForgotten = this.#lookAtDue(nowMs);
      if (isForgotten !== false) return isForgotten === true;
    }
  }

  /** @returns undefined where none is due */
  #lookAtDue(nowMs: number): boolean | undefined {
    const due = this.#due.at(-1);
    const bucket = due?.pop();
    if (due?.length === 0) this.#due.pop();
    if (bucket === undefined) return undefined;
    if (bucket.tatMs > nowMs) {
      this.#queue(bucket);
      return false;
    }
    this.#buckets.delete(bucket.key);
    this.#budget.release();
    return true;
  }

  /** Into the slot that is over when the bucket is full. */
  #queue(bucket: Bucket): void {
    const first = this.#current ?? 0;
    const slot = Math.min(Math.max(Math.floor(bucket.tatMs / this.#slotMs), first), first + RING - 1);
    this.#slots[slot % RING]?.push(bucket);
  }

  /** What is over becomes due. */
  #turn(nowMs: number): void {
    const current = Math.floor(nowMs / this.#slotMs);
    const from = (this.#current ??= current);
    // After a whole turn each slot was there once.
    for (let slot = from; slot < current && slot < from + RING; slot++) {
      const over = this.#slots[slot % RING];
      if (over === undefined || over.length === 0) continue;
      this.#due.push(over);
      this.#slots[slot % RING] = [];
    }
    if (current > from) this.#current = current;
  }
}

/**
 * Which callers met something most often lately, so that an operator sees at once who it is. Bounded: where there is no room, of some
 * that are next the one with the fewest requests gives way, so that those with many stay. Counts from its place on: a caller who was
 * pushed out begins from none. Rule A5.
 */
import type { Clock } from '../clock.ts';

/** Plain data. */
export interface Counts {
  readonly requests: number;
  /** Milliseconds since 1970. */
  readonly lastMs: number;
}

/** One caller, what was last noted of it, and how often it came. */
export interface CountedCaller<I> extends Counts {
  readonly identity: I;
  readonly note: string;
}

interface Entry<I> {
  readonly key: string;
  readonly identity: I;
  note: string;
  /** In this window, and in the one before it. */
  count: number;
  before: number;
  window: number;
  lastMs: number;
}

const ENTRIES = 1_000;
const COMPARED = 8;
/** Longer names that clients choose are cut. */
export const MAX_NAME_CHARACTERS = 256;

/** Identities are plain data whose members always stand in one order. */
export class CountedCallers<I extends object> {
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #byKey = new Map<string, Entry<I>>();
  readonly #entries: Entry<I>[] = [];
  #next = 0;

  /** @param windowMs requests are told of for one to two of these */
  constructor(clock: Clock, windowMs: number) {
    this.#clock = clock;
    this.#windowMs = windowMs;
  }

  count(identity: I, note: string): void {
    const key = JSON.stringify(identity);
    const window = this.#window();
    const entry = this.#byKey.get(key) ?? this.#added(key, identity, window);
    turn(entry, window);
    entry.count++;
    entry.note = note;
    entry.lastMs = this.#clock.nowMs();
  }

  /** Those with the most requests of the last one to two windows come first. */
  most(limit: number): CountedCaller<I>[] {
    const window = this.#window();
    return this.#entries
      .map((entry) => {
        turn(entry, window);
        const { identity, note, count, before, lastMs } = entry;
        return { identity, note, requests: count + before, lastMs };
      })
      .filter(({ requests }) => requests > 0)
      .sort(byRequests)
      .slice(0, limit);
  }

  #window(): number {
    return Math.floor(this.#clock.monotonicMs() / this.#windowMs);
  }

  #added(key: string, identity: I, window: number): Entry<I> {
    const entry = { key, identity, note: '', count: 0, before: 0, window, lastMs: 0 };
    this.#byKey.set(key, entry);
    const place = this.#entries.length < ENTRIES ? this.#entries.length : this.#leastOfNext(window);
    const gone = this.#entries[place];
    if (gone) this.#byKey.delete(gone.key);
    this.#entries[place] = entry;
    return entry;
  }

  #leastOfNext(window: number): number {
    let least = this.#next;
    for (let step = 0; step < COMPARED; step++, this.#next = (this.#next + 1) % ENTRIES)
      if (requestsOf(this.#entries[this.#next], window) < requestsOf(this.#entries[least], window))
        least = this.#next;
    return least;
  }
}

export function byRequests(one: Counts, other: Counts): number {
  return other.requests - one.requests || other.lastMs - one.lastMs;
}

function requestsOf<I>(entry: Entry<I> | undefined, window: number): number {
  if (entry) turn(entry, window);
  return entry ? entry.count + entry.before : 0;
}

/** The windows that have passed since it was looked at last are over for the entry, too. */
function turn<I>(entry: Entry<I>, window: number): void {
  if (window === entry.window) return;
  entry.before = window === entry.window + 1 ? entry.count : 0;
  entry.count = 0;
  entry.window = window;
}

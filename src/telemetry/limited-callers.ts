/**
 * Which callers met a limit most often lately, so that an operator sees at once who it is. Bounded: where there is no room, of some that are
 * next the one with the fewest requests gives way, so that those with many stay. Counts from its place on: a caller who was pushed out
 * begins from none. Rule A5.
 */
import type { Clock } from '../clock.ts';

/** Who met which limit. Nothing of a token but what refusals tell of it, too. */
export interface LimitedIdentity {
  readonly limit: string;
  readonly mode: 'enforced' | 'reported';
  /** The configured name; undefined where the request was counted by its address. */
  readonly issuer: string | undefined;
  readonly clientId: string | undefined;
  readonly subjectHash: string | undefined;
  /** Of a request without a verified token. */
  readonly clientIp: string | undefined;
}

/** Plain data. */
export interface LimitedCaller extends LimitedIdentity {
  readonly route: string;
  readonly requests: number;
  /** Milliseconds since 1970. */
  readonly lastMs: number;
}

interface Entry {
  readonly key: string;
  readonly identity: LimitedIdentity;
  route: string;
  /** In this window, and in the one before it. */
  count: number;
  before: number;
  window: number;
  lastMs: number;
}

const ENTRIES = 1_000;
const COMPARED = 8;
/** Requests are told of for one to two of these. */
const WINDOW_MS = 1_800_000;
const MAX_CHARACTERS = 256;

export class LimitedCallers {
  readonly #clock: Clock;
  readonly #byKey = new Map<string, Entry>();
  readonly #entries: Entry[] = [];
  #next = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(identity: LimitedIdentity, route: string): void {
    const { limit, mode, issuer, subjectHash, clientIp } = identity;
    const clientId = identity.clientId?.slice(0, MAX_CHARACTERS);
    const key = JSON.stringify([limit, mode, issuer, clientId, subjectHash, clientIp]);
    const window = this.#window();
    const entry = this.#byKey.get(key) ?? this.#added(key, { ...identity, clientId }, window);
    turn(entry, window);
    entry.count++;
    entry.route = route;
    entry.lastMs = this.#clock.nowMs();
  }

  /** Those with the most requests of the last half to whole hour come first. */
  top(limit: number): LimitedCaller[] {
    const window = this.#window();
    return this.#entries
      .map((entry) => {
        turn(entry, window);
        const { identity, route, count, before, lastMs } = entry;
        return { ...identity, route, requests: count + before, lastMs };
      })
      .filter(({ requests }) => requests > 0)
      .sort(byRequests)
      .slice(0, limit);
  }

  #window(): number {
    return Math.floor(this.#clock.monotonicMs() / WINDOW_MS);
  }

  #added(key: string, identity: LimitedIdentity, window: number): Entry {
    const entry = {
      key,
      identity,
      route: '',
      count: 0,
      before: 0,
      window,
      lastMs: 0,
    };
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

export function byRequests(one: LimitedCaller, other: LimitedCaller): number {
  return other.requests - one.requests || other.lastMs - one.lastMs;
}

function requestsOf(entry: Entry | undefined, window: number): number {
  if (entry) turn(entry, window);
  return entry ? entry.count + entry.before : 0;
}

/** The windows that have passed since it was looked at last are over for the entry, too. */
function turn(entry: Entry, window: number): void {
  if (window === entry.window) return;
  entry.before = window === entry.window + 1 ? entry.count : 0;
  entry.count = 0;
  entry.window = window;
}

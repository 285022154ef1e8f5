/** Asks again and again which servers a target has, as often as DNS says that what it said holds, within limits. */
import type { Clock } from '../clock.ts';
import type { FoundServers } from './server-finder.ts';

/** Not more often, whatever the TTL: a TTL of 0 must not make a flood of questions. */
const SHORTEST_MS = 1_000;
const LONGEST_MS = 60_000;
/** Where no source says how long its response holds: /etc/hosts, search domains, SRV records. */
const UNTOLD_MS = 5_000;

export interface WatchEvents {
  found(found: FoundServers): void;
  failed(error: Error): void;
}

export class NameWatch {
  /** Settles when the first attempt is over. */
  readonly first: Promise<void>;
  readonly #find: () => Promise<FoundServers>;
  readonly #events: WatchEvents;
  readonly #clock: Clock;
  /** Failed attempts in a row. */
  #failures = 0;
  #cancel: () => void = () => undefined;
  #isClosed = false;

  /** Begins to ask. */
  constructor(find: () => Promise<FoundServers>, events: WatchEvents, clock: Clock) {
    this.#find = find;
    this.#events = events;
    this.#clock = clock;
    this.first = this.#ask();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  async #ask(): Promise<void> {
    let againMs: number;
    try {
      const found = await this.#find();
      if (this.#isClosed) return;
      this.#failures = 0;
      againMs = Math.min(Math.max(found.ttlMs ?? UNTOLD_MS, SHORTEST_MS), LONGEST_MS);
      this.#events.found(found);
    } catch (error) {
      if (this.#isClosed) return;
      againMs = Math.min(SHORTEST_MS * 2 ** this.#failures++, UNTOLD_MS);
      this.#events.failed(error as Error);
    }
    this.#cancel = this.#clock.after(againMs, () => void this.#ask());
  }
}

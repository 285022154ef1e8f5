/**
 * Addresses by getaddrinfo: /etc/hosts, search domains and whatever else the system is set up for. Each call holds a thread
 * of Node's pool for as long as the system waits for DNS servers, which nothing can cut short. Node gives such calls half of
 * its four threads. So one call at a time goes out for names that are known to resolve fast, and one for all others: file
 * reads are not touched, and other lookups of the process find a thread soon.
 */
import { ADDRCONFIG } from 'node:dns';
import { lookup } from 'node:dns/promises';
import type { Clock } from '../clock.ts';
import { codeOf, UnresolvedName } from './name-resolver.ts';

/** The system's own limit is 10 seconds for each server and search domain. */
const LIMIT_MS = 5_000;
/** A name that takes longer than this goes with the slow ones the next time. */
const SLOW_MS = 500;
const MAX_SLOW_NAMES = 10_000;

/** Does one piece of work after the other. */
class Line {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

export type AskSystem = (name: string) => Promise<readonly string[]>;

/** Families without an address of this host are left out, as in a connect by name. */
const askSystem: AskSystem = async (name) =>
  (await lookup(name, { all: true, hints: ADDRCONFIG })).map(({ address }) => address);

export class SystemLookup {
  readonly #fast = new Line();
  readonly #slow = new Line();
  readonly #slowNames = new Set<string>();
  readonly #clock: Clock;
  readonly #ask: AskSystem;

  constructor(clock: Clock, ask: AskSystem = askSystem) {
    this.#clock = clock;
    this.#ask = ask;
  }

  /**
   * @param mayBeSlow DNS servers do not respond for this name
   * @throws UnresolvedName
   */
  async addresses(name: string, mayBeSlow: boolean): Promise<readonly string[]> {
    const line = mayBeSlow || this.#slowNames.has(name) ? this.#slow : this.#fast;
    const { promise: late, reject } = Promise.withResolvers<never>();
    let isLate = false;
    const cancel = this.#clock.after(LIMIT_MS, () => {
      isLate = true;
      reject(new UnresolvedName(name, 'ETIMEOUT'));
    });
    // It may wait in line for longer than anyone waits for it.
    const found = line.run(async () => (isLate ? [] : this.#timed(name)));
    found.catch(() => undefined);
    try {
      return [...new Set(await Promise.race([found, late]))];
    } catch (error) {
      throw error instanceof UnresolvedName ? error : new UnresolvedName(name, codeOf(error));
    } finally {
      cancel();
    }
  }

  async #timed(name: string): Promise<readonly string[]> {
    const startMs = this.#clock.monotonicMs();
    try {
      return await this.#ask(name);
    } finally {
      if (this.#slowNames.size >= MAX_SLOW_NAMES) this.#slowNames.clear();
      if (this.#clock.monotonicMs() - startMs > SLOW_MS) this.#slowNames.add(name);
      else this.#slowNames.delete(name);
    }
  }
}

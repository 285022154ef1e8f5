/**
 * Requests that wait for a key which was just rotated in: few, from few clients, and not for long. Rules K0, K2.
 *
 * The waiting request holds a slot and a timer, nothing of its body. A request beyond the bounds is told so at once: it
 * becomes 503 with Retry-After, never 401, since its token may be good.
 */
import type { Clock } from '../clock.ts';
import { clientNetwork } from '../http/client-address.ts';
import type { TokenCaller } from './token-verifier.ts';

/** One fetch interval, and time for the fetch itself. */
const MAX_WAIT_MS = 6_000;

export interface WaiterLimits {
  readonly all: number;
  readonly perClient: number;
}

/** One client must not take the places of all others. */
const FOR_A_KEY: WaiterLimits = { all: 64, perClient: 4 };

interface Waiter {
  /** The number of fetches that had begun when it came: a later one decides. */
  readonly begun: number;
  readonly isFound: () => boolean;
  settle(isDecided: boolean): void;
}

export class KeyWaiters {
  readonly #clock: Clock;
  readonly #waiters = new Set<Waiter>();
  readonly #byClient = new Map<string, number>();

  readonly #limits: WaiterLimits;

  constructor(clock: Clock, limits = FOR_A_KEY) {
    this.#clock = clock;
    this.#limits = limits;
  }

  get size(): number {
    return this.#waiters.size;
  }

  /**
   * Waits for the end of a fetch.
   *
   * @param begun number of fetches that have begun so far
   * @param isFound is what the request needs there now?
   * @returns true once it is found, or a fetch that began later has succeeded without it; false where the authorization
   *          server could not be asked, or not in time. Undefined where too many wait already.
   */
  join({ clientIp }: TokenCaller, begun: number, isFound: () => boolean): Promise<boolean> | undefined {
    const client = clientNetwork(clientIp);
    const ofClient = this.#byClient.get(client) ?? 0;
    if (this.#waiters.size >= this.#limits.all || ofClient >= this.#limits.perClient) return undefined;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const waiter: Waiter = {
      begun,
      isFound,
      settle: (isDecided) => {
        cancel();
        this.#waiters.delete(waiter);
        this.#leave(client);
        resolve(isDecided);
      },
    };
    const cancel = this.#clock.after(MAX_WAIT_MS, () => waiter.settle(false));
    this.#waiters.add(waiter);
    this.#byClient.set(client, ofClient + 1);
    return promise;
  }

  /** The fetch with this number has brought a key set. Requests that it cannot decide wait on. */
  fetched(number: number): void {
    for (const waiter of [...this.#waiters])
      if (waiter.begun < number || waiter.isFound()) waiter.settle(true);
  }

  /** The authorization server could not be asked, or nothing is fetched any more. */
  failed(): void {
    for (const waiter of [...this.#waiters]) waiter.settle(waiter.isFound());
  }

  #leave(client: string): void {
    const left = (this.#byClient.get(client) ?? 1) - 1;
    if (left > 0) this.#byClient.set(client, left);
    else this.#byClient.delete(client);
  }
}

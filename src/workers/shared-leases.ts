/**
 * What counts requests for all workers of a gateway, at the primary: a memory for what the gateway counts for itself, and the store
 * that the fleet shares. It alone has a connection to that. Rule L2.
 */
import { LeasedLimits } from '../assembly/leased-limits.ts';
import { openLeaseStore } from '../assembly/lease-store.ts';
import type { Place } from '../assembly/place.ts';
import type { Clock } from '../clock.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import type { LeaseStore } from '../limits/lease-store.ts';
import { MemoryLeaseStore } from '../limits/memory-lease-store.ts';
import type { RateLimit } from '../limits/rate-limit.ts';
import type { LeaseOutcome, PrimaryCalls } from './calls.ts';
import type { Handlers } from './channel.ts';

export class SharedLeases {
  /** For the primary itself, which looks how limits stand, and knows how many processes there are. */
  readonly limits: LeasedLimits;
  readonly #stores: Readonly<Record<RateLimit['scope'], LeaseStore>>;

  /**
   * @param fleet undefined: the gateway shares its store with no other
   * @param gateway for the workers of this gateway alone
   */
  constructor(fleet: LeaseStore | undefined, gateway: LeaseStore, clock: Clock, workers: number) {
    this.#stores = { fleet: fleet ?? gateway, gateway };
    this.limits = new LeasedLimits(clock, this.#stores, workers);
  }

  /** @param loaded the configuration in place */
  static open(loaded: () => LoadedConfiguration, clock: Clock, workers: number): SharedLeases {
    const memory = new MemoryLeaseStore(clock, () => loaded().configuration.limits.rate_limit_keys);
    return new SharedLeases(openLeaseStore(loaded(), clock), memory, clock, workers);
  }

  get place(): Pick<Place, 'leases' | 'limiterOf'> {
    return { leases: this.limits, limiterOf: this.limits.limiterOf };
  }

  /** What workers may ask. */
  get handlers(): Handlers<Pick<PrimaryCalls, 'leases'>> {
    return { leases: ({ scope, asks }) => this.#outcomeOf(this.#stores[scope].ask(asks)) };
  }

  /** A worker must know how many there are above all while the store is lost. */
  async #outcomeOf(replies: ReturnType<LeaseStore['ask']>): Promise<LeaseOutcome> {
    try {
      return { replies: await replies, gateways: this.limits.processes() };
    } catch (error) {
      const { message, code } = error as NodeJS.ErrnoException;
      return { failed: message, code, gateways: this.limits.processes() };
    }
  }
}

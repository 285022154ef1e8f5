/**
 * What counts requests for all workers of a gateway, at the primary: a memory for what the gateway counts for itself, and the store
 * that the fleet shares. It alone has a connection to that. Rule L2.
 */
import { LeasedLimits } from '../assembly/leased-limits.ts';
import { openLeaseStore } from '../assembly/lease-store.ts';
import type { Clock } from '../clock.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import type { LeaseStore } from '../limits/lease-store.ts';
import { MemoryLeaseStore } from '../limits/memory-lease-store.ts';
import type { RateLimit } from '../limits/rate-limit.ts';
import type { LeaseOutcome, PrimaryCalls } from './calls.ts';
import type { Handlers } from './channel.ts';

export interface SharedLeasesParts {
  /** Undefined: the gateway shares its store with no other. */
  readonly fleet: LeaseStore | undefined;
  /** For the workers of this gateway alone. */
  readonly gateway: LeaseStore;
  /** How many processes of the fleet count together, as far as is known. */
  readonly gateways: () => number;
}

export class SharedLeases {
  readonly #parts: SharedLeasesParts;

  constructor(parts: SharedLeasesParts) {
    this.#parts = parts;
  }

  /** @param keys how many buckets the memory may have */
  static open(
    loaded: LoadedConfiguration,
    clock: Clock,
    keys: () => number,
    gateways: () => number,
  ): SharedLeases {
    const gateway = new MemoryLeaseStore(clock, keys);
    return new SharedLeases({ fleet: openLeaseStore(loaded, clock), gateway, gateways });
  }

  /** What workers may ask. */
  get handlers(): Handlers<Pick<PrimaryCalls, 'leases'>> {
    return { leases: ({ scope, asks }) => this.#outcomeOf(this.#storeOf(scope).ask(asks)) };
  }

  /** For the primary itself, which looks how limits stand. */
  limits(clock: Clock): LeasedLimits {
    const { gateways } = this.#parts;
    return new LeasedLimits(clock, {
      fleet: { store: this.#storeOf('fleet'), gateways },
      gateway: { store: this.#storeOf('gateway'), gateways },
    });
  }

  /** A worker must know how many there are above all while the store is lost. */
  async #outcomeOf(replies: ReturnType<LeaseStore['ask']>): Promise<LeaseOutcome> {
    const { gateways } = this.#parts;
    try {
      return { replies: await replies, gateways: gateways() };
    } catch (error) {
      const { message, code } = error as NodeJS.ErrnoException;
      return { failed: message, code, gateways: gateways() };
    }
  }

  #storeOf(scope: RateLimit['scope']): LeaseStore {
    const { fleet, gateway } = this.#parts;
    return scope === 'fleet' ? (fleet ?? gateway) : gateway;
  }
}

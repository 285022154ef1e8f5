/**
 * Limits that this process counts together with others: those of scope fleet over the store that gateways share, and those of scope
 * gateway over the primary that workers share. Where there is no such store, the process counts for itself. Rules L2, L4.
 */
import type { Clock } from '../clock.ts';
import { LeaseDesk } from '../limits/lease-desk.ts';
import type { LeaseStore } from '../limits/lease-store.ts';
import { LeasedLimiter } from '../limits/leased-limiter.ts';
import type { RateLimit } from '../limits/rate-limit.ts';
import type { LimiterFactory } from './limiters.ts';

export interface SharedStore {
  readonly store: LeaseStore;
  /** How many processes count together there, this one too, as far as is known. */
  readonly gateways: () => number;
}

type Scope = RateLimit['scope'];

export class LeasedLimits {
  readonly #clock: Clock;
  readonly #desks: Readonly<Partial<Record<Scope, LeaseDesk>>>;

  constructor(clock: Clock, stores: Readonly<Partial<Record<Scope, SharedStore | undefined>>>) {
    const deskOf = (shared: SharedStore | undefined): LeaseDesk | undefined =>
      shared && new LeaseDesk({ ...shared, clock });
    this.#clock = clock;
    const [fleet, gateway] = [deskOf(stores.fleet), deskOf(stores.gateway)];
    this.#desks = { ...(fleet && { fleet }), ...(gateway && { gateway }) };
  }

  /** To the store that the fleet shares. */
  get fleet(): LeaseDesk | undefined {
    return this.#desks.fleet;
  }

  get limiterOf(): LimiterFactory {
    return (limit, local, kind, budget) => {
      const desk = this.#desks[limit.scope];
      if (!desk) return local();
      return new LeasedLimiter({ limit, kind, budget, desk, monotonicMs: () => this.#clock.monotonicMs() });
    };
  }

  async close(): Promise<void> {
    await Promise.all(Object.values(this.#desks).map((desk) => desk.close()));
  }
}

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

type Scope = RateLimit['scope'];

export class LeasedLimits {
  /** How many processes of the fleet serve, this one too, as far as is known. Set where it is known. */
  processes: () => number;
  readonly #clock: Clock;
  readonly #desks: Readonly<Partial<Record<Scope, LeaseDesk>>>;

  /**
   * @param stores undefined: the process counts limits of this scope for itself
   * @param workers processes of this gateway
   */
  constructor(clock: Clock, stores: Readonly<Record<Scope, LeaseStore | undefined>>, workers: number) {
    this.#clock = clock;
    this.processes = () => workers;
    const { fleet, gateway } = stores;
    this.#desks = {
      ...(fleet && { fleet: new LeaseDesk({ store: fleet, clock, gateways: () => this.processes() }) }),
      ...(gateway && { gateway: new LeaseDesk({ store: gateway, clock, gateways: () => workers }) }),
    };
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

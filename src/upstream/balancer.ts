/**
 * Chooses among the targets of an upstream. Pure.
 */

export interface Weighted {
  readonly weight: number;
  /** Requests in flight. */
  inFlight: number;
  /** May it get requests? */
  readonly available: boolean;
}

export type Balance = 'round_robin' | 'least_requests';

export class Balancer<T extends Weighted> {
  readonly #targets: readonly T[];
  readonly #balance: Balance;
  /** Smooth weighted round robin: the credit of each target. */
  readonly #credits: number[];

  /** @param targets at least one */
  constructor(targets: readonly T[], balance: Balance) {
    this.#targets = targets;
    this.#balance = balance;
    this.#credits = targets.map(() => 0);
  }

  /**
   * An available target; any target if none is available, since a try may still succeed.
   *
   * @param avoid a target that has just failed; chosen only if there is no other
   */
  next(avoid?: T): T {
    const [only] = this.#targets;
    if (this.#targets.length === 1 && only) return only;
    const others = this.#targets.filter((target) => target !== avoid);
    const available = others.filter((target) => target.available);
    const candidates = available.length > 0 ? available : others;
    return this.#balance === 'least_requests' ? leastLoaded(candidates) : this.#roundRobin(candidates);
  }

  #roundRobin(candidates: readonly T[]): T {
    let best = -1;
    for (let index = 0; index < this.#targets.length; index++) {
      const target = this.#targets[index];
      // A target that cannot be chosen gains no credit: it must not be flooded once it is back.
      if (!target || !candidates.includes(target)) continue;
      const credit = (this.#credits[index] ?? 0) + target.weight;
      this.#credits[index] = credit;
      if (best < 0 || credit > (this.#credits[best] ?? 0)) best = index;
    }
    const total = candidates.reduce((sum, { weight }) => sum + weight, 0);
    this.#credits[best] = (this.#credits[best] ?? 0) - total;
    return this.#targets[best] as T;
  }
}

function leastLoaded<T extends Weighted>(targets: readonly T[]): T {
  return targets.reduce((best, target) =>
    target.inFlight / target.weight < best.inFlight / best.weight ? target : best,
  );
}

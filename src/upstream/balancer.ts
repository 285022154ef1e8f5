/**
 * Chooses among the targets of an upstream. Pure.
 */

export interface Weighted {
  readonly weight: number;
  /** Requests under way. */
  inFlight: number;
}

export type Balance = 'round_robin' | 'least_requests';

export class Balancer<T extends Weighted> {
  readonly #targets: readonly T[];
  readonly #balance: Balance;
  /** Smooth weighted round robin: what each target is owed. */
  readonly #credits: number[];
  readonly #totalWeight: number;

  /** @param targets at least one */
  constructor(targets: readonly T[], balance: Balance) {
    this.#targets = targets;
    this.#balance = balance;
    this.#credits = targets.map(() => 0);
    this.#totalWeight = targets.reduce((total, { weight }) => total + weight, 0);
  }

  /** @param avoid a target that has just failed; taken only where there is no other */
  next(avoid?: T): T {
    const [only] = this.#targets;
    if (this.#targets.length === 1 && only) return only;
    const candidates = this.#targets.filter((target) => target !== avoid);
    return this.#balance === 'least_requests' ? leastLoaded(candidates) : this.#roundRobin(avoid);
  }

  #roundRobin(avoid: T | undefined): T {
    let best = -1;
    for (let index = 0; index < this.#targets.length; index++) {
      const credit = (this.#credits[index] ?? 0) + (this.#targets[index]?.weight ?? 0);
      this.#credits[index] = credit;
      if (this.#targets[index] !== avoid && (best < 0 || credit > (this.#credits[best] ?? 0))) best = index;
    }
    this.#credits[best] = (this.#credits[best] ?? 0) - this.#totalWeight;
    return this.#targets[best] as T;
  }
}

function leastLoaded<T extends Weighted>(targets: readonly T[]): T {
  return targets.reduce((best, target) =>
    target.inFlight / target.weight < best.inFlight / best.weight ? target : best,
  );
}

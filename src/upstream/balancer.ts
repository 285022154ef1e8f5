/**
 * Chooses among the servers of an upstream. Pure. Nothing is allocated for a choice, since every request makes one.
 */

export interface Weighted {
  readonly weight: number;
  /** Only if none of a lower priority is available does it get requests. */
  readonly priority: number;
  /** Requests in flight. */
  inFlight: number;
  /** May it get requests? */
  readonly available: boolean;
}

export type Balance = 'round_robin' | 'least_requests';

export class Balancer<T extends Weighted> {
  #targets: readonly T[];
  readonly #balance: Balance;
  /** Smooth weighted round robin: the credit of each target. */
  #credits: number[];
  /** Where the search for the least load begins: servers of the same load get requests in turn. */
  #start = 0;

  /** @param targets at least one */
  constructor(targets: readonly T[], balance: Balance) {
    this.#targets = targets;
    this.#balance = balance;
    this.#credits = targets.map(() => 0);
  }

  /**
   * From now on, among these. Those that stay keep their turn.
   *
   * @param targets at least one
   */
  use(targets: readonly T[]): void {
    const credits = new Map(this.#targets.map((target, index) => [target, this.#credits[index] ?? 0]));
    this.#targets = targets;
    this.#credits = targets.map((target) => credits.get(target) ?? 0);
  }

  /**
   * An available target; any target if none is available, since a try may still succeed.
   *
   * @param avoid a target that has just failed; chosen only if there is no other
   */
  next(avoid?: T): T {
    const targets = this.#targets;
    const [first] = targets;
    if (targets.length === 1 && first) return first;
    let available = Infinity;
    let any = Infinity;
    for (const target of targets) {
      if (target === avoid) continue;
      const { priority } = target;
      if (priority < any) any = priority;
      if (priority < available && target.available) available = priority;
    }
    const mustBeAvailable = available !== Infinity;
    const priority = mustBeAvailable ? available : any;
    return this.#balance === 'least_requests'
      ? this.#leastLoaded(avoid, priority, mustBeAvailable)
      : this.#inTurn(avoid, priority, mustBeAvailable);
  }

  #inTurn(avoid: T | undefined, priority: number, mustBeAvailable: boolean): T {
    const targets = this.#targets;
    const credits = this.#credits;
    let best = -1;
    let bestCredit = 0;
    let total = 0;
    for (let index = 0; index < targets.length; index++) {
      const target = targets[index] as T;
      // A target that cannot be chosen gains no credit: it must not be flooded once it is back.
      if (target === avoid || target.priority !== priority) continue;
      if (mustBeAvailable && !target.available) continue;
      const { weight } = target;
      const credit = (credits[index] ?? 0) + weight;
      credits[index] = credit;
      total += weight;
      if (best >= 0 && credit <= bestCredit) continue;
      best = index;
      bestCredit = credit;
    }
    credits[best] = bestCredit - total;
    return targets[best] as T;
  }

  #leastLoaded(avoid: T | undefined, priority: number, mustBeAvailable: boolean): T {
    const targets = this.#targets;
    const { length } = targets;
    const start = this.#start;
    let best: T | undefined;
    for (let step = 0; step < length; step++) {
      const index = (start + step) % length;
      const target = targets[index] as T;
      if (target === avoid || target.priority !== priority) continue;
      if (mustBeAvailable && !target.available) continue;
      if (best && target.inFlight / target.weight >= best.inFlight / best.weight) continue;
      best = target;
      // The next search begins behind it.
      this.#start = index + 1;
    }
    return best as T;
  }
}

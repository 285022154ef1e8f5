/**
 * What counts by each limit, over reloads: a limit with the same name and definition goes on with its buckets. This is the only place
 * that opens a limiter.
 */
import { KeyBudget } from '../limits/bucket-table.ts';
import type { Limiter } from '../limits/limiter.ts';
import { LocalLimiter } from '../limits/local-limiter.ts';
import { definitionOf, type RateLimit } from '../limits/rate-limit.ts';
import type { Limiters } from '../token/placed-limits.ts';

/**
 * Opens what counts by a limit: in a store that a fleet shares, or for all workers of a gateway.
 *
 * @param local opens what counts in this process alone
 */
export type LimiterFactory = (limit: RateLimit, local: () => Limiter) => Limiter;

export class OpenLimiters {
  readonly #budget = new KeyBudget(0);
  readonly #factory: LimiterFactory;
  readonly #byDefinition = new Map<string, { readonly limit: RateLimit; readonly limiter: Limiter }>();

  /** @param factory undefined: each process counts for itself */
  constructor(factory: LimiterFactory = (_, local) => local()) {
    this.#factory = factory;
  }

  /** How many buckets are remembered in this process. */
  get keys(): number {
    return this.#budget.used;
  }

  /** How many may be. */
  get maxKeys(): number {
    return this.#budget.max;
  }

  /** For a configuration that may come into place. */
  of(limits: readonly RateLimit[], maxKeys: number): Limiters {
    // The first configuration has nothing before it.
    if (this.#budget.max === 0) this.#budget.max = maxKeys;
    return new Map(limits.map((limit) => [limit.name, this.#opened(limit)]));
  }

  /** The configuration with these limits is in place: the others are over. */
  use(limits: readonly RateLimit[], maxKeys: number): void {
    this.#budget.max = maxKeys;
    const used = new Set(limits.map(definitionOf));
    for (const [definition, { limiter }] of this.#byDefinition) {
      if (used.has(definition)) continue;
      this.#byDefinition.delete(definition);
      limiter.close();
    }
  }

  /** By the name of each limit: how many requests have found no bucket of their own. */
  get overflowed(): readonly (readonly [limit: string, requests: number])[] {
    return [...this.#byDefinition.values()].map(({ limit, limiter }) => [limit.name, limiter.overflowed]);
  }

  #opened(limit: RateLimit): Limiter {
    const definition = definitionOf(limit);
    const known = this.#byDefinition.get(definition);
    if (known) return known.limiter;
    const limiter = this.#factory(limit, () => new LocalLimiter(limit.rate, this.#budget));
    this.#byDefinition.set(definition, { limit, limiter });
    return limiter;
  }
}

/**
 * What counts by each limit, over reloads: a limit with the same name and definition goes on with its buckets. This is the only place
 * that opens a limiter.
 */
import type { Clock } from '../clock.ts';
import { KeyBudget } from '../limits/bucket-table.ts';
import type { Limiter } from '../limits/limiter.ts';
import { LocalLimiter } from '../limits/local-limiter.ts';
import { definitionOf, type RateLimit } from '../limits/rate-limit.ts';
import type { Policy } from '../policy.ts';
import { FailureLimit } from '../token/failure-limit.ts';
import type { Limiters } from '../token/placed-limits.ts';

/**
 * Opens what counts by a limit: in a store that a fleet shares, or for all workers of a gateway.
 *
 * @param local opens what counts in this process alone
 * @param kind what is counted
 * @param budget of the memory for its buckets
 */
export type LimiterFactory = (
  limit: RateLimit,
  local: () => Limiter,
  kind: CountedKind,
  budget: KeyBudget,
) => Limiter;

/** What is counted: each has its own share of memory, so that addresses, which need no token, never take that of callers. */
export const COUNTED = ['callers', 'addresses'] as const;
export type CountedKind = (typeof COUNTED)[number];

interface Opened<L extends Limiter> {
  readonly limit: RateLimit;
  readonly limiter: L;
}

export class OpenLimiters {
  readonly #budgets: Record<CountedKind, KeyBudget> = {
    callers: new KeyBudget(0),
    addresses: new KeyBudget(0),
  };
  readonly #factory: LimiterFactory;
  readonly #open = new Map<string, Opened<Limiter>>();
  readonly #ofProcess = new Map<string, Opened<LocalLimiter>>();

  /** @param factory undefined: each process counts for itself */
  constructor(factory: LimiterFactory = (_, local) => local()) {
    this.#factory = factory;
  }

  /** How many buckets are remembered in this process, and how many may be. */
  keys(kind: CountedKind): { readonly used: number; readonly max: number } {
    return this.#budgets[kind];
  }

  /** For a configuration that may come into place. */
  of({ limits }: Policy, maxKeys: number): Limiters {
    // The first configuration has nothing before it.
    for (const kind of COUNTED) this.#budgets[kind].max ||= maxKeys;
    const opened = (kind: CountedKind, some: readonly RateLimit[]): Map<string, Limiter> =>
      new Map(some.map((limit) => [limit.name, this.#opened(limit, kind)]));
    return {
      callers: opened(
        'callers',
        limits.filter(({ by }) => by !== 'ip'),
      ),
      addresses: opened('addresses', limits),
    };
  }

  /** What counts refused credentials. It must be known without a wait, so that each process counts for itself. */
  failuresOf({ failureLimit }: Policy, clock: Clock): FailureLimit | undefined {
    if (!failureLimit) return undefined;
    const { limit } = failureLimit;
    const { limiter } = held(this.#ofProcess, definitionOf(limit), () => ({
      limit,
      limiter: new LocalLimiter(limit.rate, this.#budgets.addresses),
    }));
    return new FailureLimit(failureLimit, limiter, clock);
  }

  /** The configuration with these limits is in place: the others are over. */
  use({ limits, failureLimit }: Policy, maxKeys: number): void {
    for (const kind of COUNTED) this.#budgets[kind].max = maxKeys;
    const used = new Set([...limits, ...(failureLimit ? [failureLimit.limit] : [])].map(definitionOf));
    for (const open of [this.#open, this.#ofProcess])
      for (const [place, { limit, limiter }] of open) {
        if (used.has(definitionOf(limit))) continue;
        open.delete(place);
        limiter.close();
      }
  }

  /** By the name of each limit: how many requests have found no bucket of their own. */
  get overflowed(): readonly (readonly [limit: string, requests: number])[] {
    const sums = new Map<string, number>();
    for (const { limit, limiter } of [...this.#open.values(), ...this.#ofProcess.values()])
      sums.set(limit.name, (sums.get(limit.name) ?? 0) + limiter.overflowed);
    return [...sums];
  }

  #opened(limit: RateLimit, kind: CountedKind): Limiter {
    const budget = this.#budgets[kind];
    const local = (): Limiter => new LocalLimiter(limit.rate, budget);
    return held(this.#open, `${kind} ${definitionOf(limit)}`, () => ({
      limit,
      limiter: this.#factory(limit, local, kind, budget),
    })).limiter;
  }
}

function held<T>(map: Map<string, T>, key: string, make: () => T): T {
  const known = map.get(key) ?? make();
  map.set(key, known);
  return known;
}

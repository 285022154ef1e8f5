/** Compiles `rate_limits` into the limits of each route. Pure. */
import type { RateLimitConfiguration, FailureLimitConfiguration } from '../config/rate-limit-schema.ts';
import { FAILURE_LIMIT } from '../config/rate-limit-problems.ts';
import type { Configuration } from '../config/schema.ts';
import { LimitRefusals } from '../limits/limit-refusals.ts';
import type { RateLimit } from '../limits/rate-limit.ts';
import type { RouteLimits } from '../policy.ts';
import { LimitKeys } from '../token/limit-keys.ts';
import type { PlacedLimit } from '../token/placed-limits.ts';

/** Each limit once, however many routes have it: what it has computed is for all of them. */
export class CompiledLimits {
  readonly #byName = new Map<string, PlacedLimit>();
  readonly #global: readonly RateLimitConfiguration[];

  constructor({ rate_limits: global }: Pick<Configuration, 'rate_limits'>) {
    this.#global = global;
  }

  get all(): RateLimit[] {
    return [...this.#byName.values()].map(({ limit }) => limit);
  }

  /** Those of every route come first. */
  of(own: readonly RateLimitConfiguration[]): RouteLimits {
    const placed = [...this.#global, ...own].map((each) => this.#placed(each));
    return {
      address: placed.filter(({ limit }) => limit.by === 'ip'),
      caller: placed.filter(({ limit }) => limit.by !== 'ip'),
    };
  }

  #placed(configured: RateLimitConfiguration): PlacedLimit {
    const known = this.#byName.get(configured.name);
    if (known) return known;
    const placed = placedLimit(compiled(configured));
    this.#byName.set(configured.name, placed);
    return placed;
  }
}

function compiled({ name, by, rate, burst, scope, report_only }: RateLimitConfiguration): RateLimit {
  return {
    name,
    by: typeof by === 'string' ? by : 'claim',
    claim: typeof by === 'string' ? undefined : by.claim,
    ...rate,
    rate: { emissionMs: rate.windowMs / rate.count, burst: burst ?? rate.count },
    scope,
    reportOnly: report_only,
  };
}

function placedLimit(limit: RateLimit): PlacedLimit {
  return { limit, keys: new LimitKeys(limit), refusals: new LimitRefusals(limit) };
}

/** The limit of refused credentials; each process counts for itself. */
export function compileFailureLimit(configured: FailureLimitConfiguration): PlacedLimit {
  return placedLimit(compiled({ ...configured, name: FAILURE_LIMIT, by: 'ip', scope: 'gateway' }));
}

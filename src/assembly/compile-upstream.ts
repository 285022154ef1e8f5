/** Compiles where a route's requests go. Pure. */
import type { RouteConfiguration } from '../config/schema.ts';
import type { PathTemplate } from '../http/path-template.ts';
import type { TrafficSplit } from '../policy.ts';
import { compileClaimRules } from '../token/claim-rules.ts';

/** A list of one entry is its name: such a route costs what a name costs. */
export function compileUpstream(
  { upstream, sticky }: RouteConfiguration,
  template: PathTemplate | undefined,
): string | TrafficSplit {
  if (typeof upstream === 'string') return upstream;
  const [first] = upstream;
  if (first && upstream.length === 1) return first.name;
  // Of a single entry without claims the weight is no share of anything, and it need not have one.
  const inUse = upstream
    .map(({ name, weight = 1, claims }) => ({ name, weight, claims }))
    .filter(({ weight }) => weight > 0);
  const rules = inUse.flatMap(({ name, claims }) =>
    claims === undefined ? [] : [{ name, claims: compileClaimRules(claims, template) }],
  );
  const shares = inUse.flatMap(({ name, weight, claims }) =>
    claims === undefined ? [{ name, weight }] : [],
  );
  const names = [...new Set(inUse.map(({ name }) => name))];
  const total = shares.reduce((sum, { weight }) => sum + weight, 0);
  return { rules, shares, total, sticky: sticky !== undefined, names };
}

/** The shape of a route's `upstream` in the configuration file: a name, or several to choose from. Pure. */
import { z } from 'zod';
import { routeClaimRules } from './claim-rule-schema.ts';
import { count, name } from './scalars.ts';

const ENTRY = 'must be { name, weight } or { name, claims }';

const entry = z.strictObject(
  {
    name: name.describe('Name of the upstream: a key of upstreams.'),
    weight: count
      .max(1_000_000, 'must be 1000000 or less')
      .optional()
      .describe(
        'Share of the requests among the entries without claims: of weights 95 and 5, the second gets 5 of 100. 0 takes the entry out, also one with claims. Needed where several entries have no claims.',
      ),
    claims: routeClaimRules
      .optional()
      .describe(
        'Rules as in auth.claims. A caller whose verified claims fit all of them goes to this upstream, whatever the weights. The first such entry takes the request. A caller without a token fits none. Put these entries first.',
      ),
  },
  ENTRY,
);

export const routeUpstream = z.union(
  [name, z.array(entry).min(1)],
  `must be the name of an upstream, or a list of entries; each ${ENTRY}`,
);

export const sticky = z.literal('subject', 'must be subject');

type Entry = z.output<typeof entry>;

/** The upstreams of a route, however they are written. */
export function upstreamEntries(upstream: z.output<typeof routeUpstream>): readonly Entry[] {
  return typeof upstream === 'string' ? [{ name: upstream }] : upstream;
}

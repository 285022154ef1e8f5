/** What is wrong with a route's choice of upstreams beyond its shape: entries that take no request, shares of nothing. Pure. */
import { claimRuleProblems } from './claim-rule-problems.ts';
import type { Problem } from './problem.ts';
import { isRaw, listOf, rawOf, type Path, type Raw } from './raw-document.ts';

interface Entry {
  readonly name: unknown;
  readonly weight: unknown;
  /** Undefined: the entry has none, and takes callers by its weight. */
  readonly claims: unknown;
  readonly index: number;
  readonly path: Path;
}

/** The upstreams that a route names, each with its place. */
export function namedUpstreams({ upstream }: Raw, path: Path): (readonly [name: unknown, place: Path])[] {
  return Array.isArray(upstream)
    ? entriesOf(upstream, path).map(({ name, path: place }) => [name, [...place, 'name']] as const)
    : [[upstream, [...path, 'upstream']]];
}

function entriesOf(upstream: unknown, path: Path): Entry[] {
  return listOf(upstream).flatMap((entry, index) => {
    if (!isRaw(entry)) return [];
    const { name, weight, claims } = entry;
    return [{ name, weight, claims, index, path: [...path, 'upstream', index] }];
  });
}

export function routeUpstreamProblems(route: Raw, path: Path): Problem[] {
  const entries = entriesOf(route['upstream'], path);
  const ruled = entries.filter(({ claims }) => claims !== undefined);
  const shared = entries.filter(({ claims }) => claims === undefined);
  return [
    ...stickyProblems(route, shared, path),
    ...ruled.flatMap((entry) => [
      ...ruleProblems(entry, route),
      ...claimRuleProblems(entry.claims, rawOf(route['match']), [...entry.path, 'claims']),
      ...unreachableProblems(entry, entries),
    ]),
    ...shareProblems(shared),
    ...(ruled.length > 0 && shared.length === 0
      ? [
          {
            path: [...path, 'upstream'],
            message:
              'has no upstream for callers whose claims fit no entry; add an entry without claims at the end',
          },
        ]
      : []),
  ];
}

function stickyProblems({ sticky, auth }: Raw, shared: readonly Entry[], path: Path): Problem[] {
  if (sticky === undefined) return [];
  const place = { path: [...path, 'sticky'], atKey: true };
  if (rawOf(auth)['mode'] === 'none')
    return [{ ...place, message: 'has no meaning with mode: none, where no subject is known; remove it' }];
  return shared.length > 1
    ? []
    : [
        {
          ...place,
          message:
            'has no meaning where no requests are shared out by weight; list upstreams with weights, or remove it',
        },
      ];
}

function ruleProblems({ claims, weight, path }: Entry, { auth }: Raw): Problem[] {
  const at = (key: string, message: string): Problem => ({ path: [...path, key], atKey: true, message });
  return [
    ...(rawOf(auth)['mode'] === 'none'
      ? [at('claims', 'has no meaning with mode: none, where no token is looked at; remove the entry')]
      : []),
    ...(isRaw(claims) && Object.keys(claims).length === 0
      ? [at('claims', 'asks for nothing, so that every token fits; add claims, or remove this key')]
      : []),
    ...(typeof weight === 'number' && weight > 0
      ? [
          at(
            'weight',
            'has no meaning beside claims, since every caller that fits is taken; remove it, or set it to 0 to take the entry out',
          ),
        ]
      : []),
  ];
}

/** Does an earlier entry take every caller that this one would take? */
function unreachableProblems(entry: Entry, entries: readonly Entry[]): Problem[] {
  const earlier = entries.find(
    (other) =>
      other.index < entry.index &&
      (other.claims === undefined || (other.weight !== 0 && takesAllOf(other.claims, entry.claims))),
  );
  if (earlier === undefined) return [];
  const message =
    earlier.claims === undefined
      ? `stands after upstream[${earlier.index}], which takes every caller; put entries with claims first`
      : `is never reached: upstream[${earlier.index}] takes every caller that fits it; change the claims of one, or remove one`;
  return [{ path: entry.path, message }];
}

/** Are the rules of one entry among those of the other? */
function takesAllOf(some: unknown, more: unknown): boolean {
  const rules = Object.entries(rawOf(some));
  const others = rawOf(more);
  return (
    rules.length > 0 &&
    rules.every(
      ([claim, rule]) =>
        Object.hasOwn(others, claim) && JSON.stringify(rule) === JSON.stringify(others[claim]),
    )
  );
}

function shareProblems(shared: readonly Entry[]): Problem[] {
  const named = shared.flatMap(({ name, index, path }) => {
    const first = shared.find((other) => other.name === name);
    return first === undefined || first.index === index || name === undefined
      ? []
      : [
          {
            path: [...path, 'name'],
            message: `is in upstream[${first.index}] too; give one entry both weights, and remove the other`,
          },
        ];
  });
  const unweighted =
    shared.length < 2
      ? []
      : shared
          .filter(({ weight }) => weight === undefined)
          .map(({ path }) => ({
            path,
            message:
              'has no weight beside other entries without claims; add weight, its share of the requests',
          }));
  const last = shared.at(-1);
  const isNone = last !== undefined && shared.every(({ weight }) => weight === 0);
  return [
    ...named,
    ...unweighted,
    ...(isNone
      ? [
          {
            path: [...last.path, 'weight'],
            message: 'leaves no upstream, since all weights are 0; give one entry a weight above 0',
          },
        ]
      : []),
  ];
}

/** What is wrong with limits beyond their shape: names that stand for two limits, and limits that count nothing. Pure. */
import { claimPathProblems } from './identity-problems.ts';
import type { Problem } from './problem.ts';
import { rateLimits } from './rate-limit-schema.ts';
import { isRaw, listOf, rawOf, type Path, type Raw } from './raw-document.ts';

/** How metrics and responses name `limits.failed_authentications`. */
export const FAILURE_LIMIT = 'failed_authentications';

/** One entry of a list of limits. */
interface Place {
  readonly limit: Raw;
  readonly path: Path;
  /** Of which list; undefined: of all routes. */
  readonly route: Raw | undefined;
}

export function rateLimitProblems(raw: Raw): Problem[] {
  const places = placesOf(raw);
  return [
    ...places.flatMap(({ limit, path }) => [
      ...claimPathProblems(rawOf(limit['by'])['claim'], [...path, 'by', 'claim']),
      ...reservedNames(limit, path),
    ]),
    ...places.flatMap((place, index) => repeatedNames(place, places.slice(0, index))),
    ...places.flatMap(uncounted),
  ];
}

function placesOf(raw: Raw): Place[] {
  const within = (limits: unknown, path: Path, route: Raw | undefined): Place[] =>
    listOf(limits).flatMap((limit, index) =>
      isRaw(limit) ? [{ limit, path: [...path, index], route }] : [],
    );
  return [
    ...within(raw['rate_limits'], ['rate_limits'], undefined),
    ...listOf(raw['routes']).flatMap((route, index) =>
      within(rawOf(route)['rate_limits'], ['routes', index, 'rate_limits'], rawOf(route)),
    ),
  ];
}

function reservedNames({ name }: Raw, path: Path): Problem[] {
  return name === FAILURE_LIMIT
    ? [
        {
          path: [...path, 'name'],
          message: 'is how metrics name limits.failed_authentications; choose another name',
        },
      ]
    : [];
}

/** A name is one limit: it has one definition, and counts a request once. */
function repeatedNames({ limit, path, route }: Place, before: readonly Place[]): Problem[] {
  const { name } = limit;
  const where = [...path, 'name'];
  const same = typeof name === 'string' ? before.filter((other) => other.limit['name'] === name) : [];
  const [first] = same;
  if (first === undefined) return [];
  if (same.some((other) => other.route === route))
    return [{ path: where, message: 'is the name of another limit of this list; rename one' }];
  if (first.route === undefined)
    return [
      {
        path: where,
        message: 'is the name of a limit of all routes, which counts here already; rename or remove it',
      },
    ];
  const [own, other] = [meaningOf(limit), meaningOf(first.limit)];
  return own === undefined || other === undefined || own === other
    ? []
    : [
        {
          path: where,
          message: `is defined otherwise at ${placeText(first.path)}; make both the same, or rename one`,
        },
      ];
}

/** Undefined where its shape is wrong, which is told elsewhere. */
function meaningOf(limit: Raw): string | undefined {
  const parsed = rateLimits.safeParse([limit]);
  if (!parsed.success) return undefined;
  const [{ by, rate, burst, scope, report_only } = {}] = parsed.data as Partial<
    (typeof parsed.data)[number]
  >[];
  return JSON.stringify([by, rate, burst ?? rate?.count, scope, report_only]);
}

/** A route that examines no token knows no caller. */
function uncounted({ limit, path, route }: Place): Problem[] {
  const { by } = limit;
  return route && rawOf(route['auth'])['mode'] === 'none' && by !== undefined && by !== 'ip'
    ? [
        {
          path: [...path, 'by'],
          message:
            'counts callers by their tokens, which a route with auth.mode: none does not look at; write by: ip',
        },
      ]
    : [];
}

function placeText(path: Path): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`))
    .join('')
    .slice(1);
}

/** What is wrong with claim rules beyond their shape, on routes and at issuers. Pure. */
import { segmentsOf, variableIn } from '../http/path-template.ts';
import { claimPathProblems } from './identity-problems.ts';
import type { Problem } from './problem.ts';
import { listOf, rawOf, textOf, type Path, type Raw } from './raw-document.ts';

/**
 * @param match of the route; undefined for an issuer, where the schema refuses { path }
 */
export function claimRuleProblems(claims: unknown, match: Raw | undefined, path: Path): Problem[] {
  return Object.entries(rawOf(claims)).flatMap(([claim, setting]) => [
    ...claimPathProblems(claim, [...path, claim], true),
    ...starProblems(setting, [...path, claim]),
    ...(match ? variableProblems(setting, match, [...path, claim]) : []),
  ]);
}

/** A star compares as itself. Who writes one usually means something else, and would refuse every token. */
function starProblems(setting: unknown, path: Path): Problem[] {
  const { prefix, has_key } = rawOf(setting);
  return [
    ...placesOf(setting, path, (value) => value.includes('*')).map((place) => ({
      path: place,
      message:
        '* is no wildcard here; use { prefix: "..." } to compare the beginning of a claim, or { equals: "*" } where the claim itself has a *',
    })),
    ...placesOf(prefix, [...path, 'prefix'], (value) => value.endsWith('*')).map((place) => ({
      path: place,
      message: '* is no wildcard, and a prefix needs none; remove the * at its end',
    })),
    ...placesOf(has_key, [...path, 'has_key'], (value) => value === '*').map((place) => ({
      path: place,
      message: '* is no wildcard; name the keys',
    })),
  ];
}

/** Where the texts stand that fit: the value itself, or elements of a list. */
function placesOf(value: unknown, path: Path, fits: (text: string) => boolean): Path[] {
  if (typeof value === 'string') return fits(value) ? [path] : [];
  return listOf(value).flatMap((item, index) =>
    typeof item === 'string' && fits(item) ? [[...path, index]] : [],
  );
}

function variableProblems(setting: unknown, match: Raw, path: Path): Problem[] {
  const name = rawOf(setting)['path'];
  if (typeof name !== 'string' || name === '') return [];
  const own = textOf(match['path'] ?? match['path_prefix']);
  const variables = segmentsOf(own).flatMap((segment) => variableIn(segment) ?? []);
  if (variables.includes(name)) return [];
  const message =
    variables.length === 0
      ? `the path of the route has no variables; write {${name}} for a segment of match.path or match.path_prefix`
      : `the path of the route has no variable {${name}}; use one of: ${variables.join(', ')}`;
  return [{ path: [...path, 'path'], message }];
}

/** Every set of rules of a route, and alternatives that ask for nothing. */
export function routeRuleProblems(route: Raw, path: Path): Problem[] {
  const match = rawOf(route['match']);
  const { claims, any_of } = rawOf(route['auth']);
  return [
    ...claimRuleProblems(claims, match, [...path, 'auth', 'claims']),
    ...listOf(any_of).flatMap((way, index) => [
      ...claimRuleProblems(rawOf(way)['claims'], match, [...path, 'auth', 'any_of', index, 'claims']),
      ...emptyWayProblems(rawOf(way), [...path, 'auth', 'any_of', index]),
    ]),
  ];
}

function emptyWayProblems({ scopes, claims }: Raw, path: Path): Problem[] {
  const { all, any } = Array.isArray(scopes) ? { all: scopes, any: [] } : rawOf(scopes);
  const asks = listOf(all).length > 0 || listOf(any).length > 0 || Object.keys(rawOf(claims)).length > 0;
  return asks
    ? []
    : [
        {
          path,
          message: 'asks for nothing, so that every token passes; add scopes or claims, or remove any_of',
        },
      ];
}

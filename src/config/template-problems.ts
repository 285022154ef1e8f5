/** What is wrong with variables in paths, or with braces that are none. Pure. Rule C10. */
import { segmentsOf, variableIn } from '../http/path-template.ts';
import { percentDecoded, plainestOf } from '../http/path-readings.ts';
import type { Problem } from './problem.ts';
import { listOf, rawOf, type Path, type Raw } from './raw-document.ts';

const BRACES = /[{}]/;

export function templateProblems(route: Raw, where: Path): Problem[] {
  const match = rawOf(route['match']);
  return [
    ...(['path', 'path_prefix'] as const).flatMap((key) => {
      const text = match[key];
      if (typeof text !== 'string' || !text.startsWith('/')) return [];
      return pathProblems(text, rawOf(route['paths'])['allow'], [...where, 'match', key], where);
    }),
    ...(['strip_prefix', 'add_prefix'] as const).flatMap((key) =>
      literalProblems(rawOf(route['rewrite'])[key], [...where, 'rewrite', key]),
    ),
  ];
}

function pathProblems(text: string, allowed: unknown, path: Path, route: Path): Problem[] {
  const segments = segmentsOf(text);
  const names = segments.flatMap((segment) => variableIn(segment) ?? []);
  if (segments.some((segment) => BRACES.test(segment) && variableIn(segment) === undefined))
    return [
      {
        path,
        message:
          'has a brace that makes no variable; write {name} for one whole segment (letters, digits, _ and -), or %7B and %7D for the characters { and }',
      },
    ];
  if (names.length === 0) return [];
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  const odd = segments.find(
    (segment, index) => isOdd(segment) || (segment === '' && index < segments.length - 1),
  );
  return [
    ...(repeated === undefined
      ? []
      : [{ path, message: `has the variable {${repeated}} twice; give each its own name` }]),
    ...(odd === undefined
      ? []
      : [
          {
            path,
            message: `has the segment "${odd}", which is refused in every request to a path with variables; write it without ;, %2F, // and double encoding`,
          },
        ]),
    ...(listOf(allowed).length === 0
      ? []
      : [
          {
            path: [...route, 'paths', 'allow'],
            atKey: true,
            message:
              'and a path with variables exclude each other: the variable would have several readings; remove one of them',
          },
        ]),
  ];
}

/** Does it have another reading than the one that is decoded once? */
function isOdd(segment: string): boolean {
  const decoded = percentDecoded(segment);
  return decoded.includes('/') || plainestOf(`/${segment}`) !== `/${decoded}`;
}

/** A path that takes no variables. */
export function literalProblems(text: unknown, path: Path): Problem[] {
  return typeof text === 'string' && BRACES.test(text)
    ? [
        {
          path,
          message:
            'takes no variables; write the fixed part only, and %7B and %7D for the characters { and }',
        },
      ]
    : [];
}

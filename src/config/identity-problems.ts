/** What is wrong with identity headers: names that are taken or collide, claims that are no paths. Pure. */
import { headerAlias } from '../http/header-names.ts';
import { isReservedHeader } from '../http/identity-headers.ts';
import { isClaimPath } from '../token/claims.ts';
import type { Problem } from './problem.ts';
import { rawOf, type Path, type Raw } from './raw-document.ts';

/** What is wrong with the identity headers of a section, or with the claims that they name. */
export function identityProblems(identity: Raw, path: Path): Problem[] {
  return Object.entries(rawOf(identity['headers'])).flatMap(([header, claim]) => [
    ...headerProblems(header, [...path, 'headers', header], true),
    ...claimPathProblems(claim, [...path, 'headers', header]),
  ]);
}

/** A header that is not the configuration's to set. */
function headerProblems(header: string, path: Path, atKey: boolean): Problem[] {
  return isReservedHeader(header)
    ? [
        {
          path,
          atKey,
          message: 'this header belongs to HTTP or to the gateway itself; choose another name',
        },
      ]
    : [];
}

/** What is wrong with a text that is to be a path into the claims. */
export function claimPathProblems(claim: unknown, path: Path, atKey = false): Problem[] {
  return typeof claim === 'string' && !isClaimPath(claim)
    ? [
        {
          path,
          atKey,
          message: 'is no claim path; write names joined by dots, with "\\." for a dot in a name',
        },
      ]
    : [];
}

/** Two spellings of one header name would let an upstream read the one that it did not mean. */
export function identityCollisions(raw: Raw, routes: readonly unknown[]): Problem[] {
  const identity = rawOf(raw['identity']);
  const names = (section: unknown, path: Path): [string, Path][] =>
    Object.keys(rawOf(rawOf(section)['headers'])).map((name) => [name, [...path, 'headers', name]]);
  const all = [
    ...names(identity, ['identity']),
    ...routes.flatMap((route, index) => names(rawOf(route)['identity'], ['routes', index, 'identity'])),
  ];
  const spellings = new Map<string, string>();
  const collisions = all.flatMap(([name, path]) => {
    const alias = headerAlias(name);
    const other = spellings.get(alias) ?? name;
    spellings.set(alias, other);
    return other === name
      ? []
      : [{ path, atKey: true, message: `is another spelling of ${other}; use one spelling` }];
  });
  return [...collisions, ...assertionProblems(identity, spellings)];
}

/** @param taken the headers that carry claims, by alias */
function assertionProblems(identity: Raw, taken: ReadonlyMap<string, string>): Problem[] {
  if (identity['assertion'] === undefined) return [];
  const { header = 'X-Identity-Assertion' } = rawOf(identity['assertion']);
  if (typeof header !== 'string') return [];
  const path = ['identity', 'assertion', 'header'];
  const other = taken.get(headerAlias(header));
  return [
    ...headerProblems(header, path, false),
    ...(other === undefined
      ? []
      : [{ path, message: `is the identity header ${other} too; choose another name for one of them` }]),
  ];
}

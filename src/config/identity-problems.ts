/** What is wrong with identity headers: names that are taken or collide, claims that are no paths. Pure. */
import { headerAlias } from '../http/header-names.ts';
import { isReservedHeader } from '../identity/identity-headers.ts';
import { isIdentityText, NORMALIZED_NAMES } from '../identity/identity-value.ts';
import { isClaimPath } from '../token/claims.ts';
import { DEFAULT_IDENTITY_HEADERS } from './identity-map.ts';
import type { Problem } from './problem.ts';
import { listOf, rawOf, type Path, type Raw } from './raw-document.ts';

/** What is wrong with the identity headers of a section, or with the claims that they name. */
export function identityProblems(identity: Raw, path: Path): Problem[] {
  return Object.entries(rawOf(identity['headers'])).flatMap(([header, value]) => {
    const where = [...path, 'headers', header];
    return [
      ...headerProblems(header, where, true),
      ...(Array.isArray(value)
        ? listOf(value).flatMap((text, index) => valueProblems(text, [...where, index]))
        : valueProblems(value, where)),
    ];
  });
}

/** What is wrong with one text that says where a header's value comes from. */
function valueProblems(text: unknown, path: Path): Problem[] {
  if (typeof text !== 'string' || isIdentityText(text)) return [];
  if (!text.startsWith('$')) return claimPathProblems(text, path);
  const claim = text.slice(1);
  const remedy = /^\w+(?:\.\w+)*$/.test(claim)
    ? `to send the claim ${claim}, write ${claim} without the dollar; or use one of`
    : 'use one of';
  return [
    {
      path,
      message: `is no normalized claim; ${remedy} ${NORMALIZED_NAMES}, or write "\\$" for a claim whose name begins with a dollar`,
    },
  ];
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

/** Two spellings of one name in one map: which of them counts would be an accident. */
export function identityCollisions(raw: Raw, routes: readonly unknown[]): Problem[] {
  const identity = rawOf(raw['identity']);
  const own = routes.map((route) => rawOf(rawOf(route)['identity']));
  return [
    ...spellingProblems(identity, ['identity']),
    ...own.flatMap((section, index) => spellingProblems(section, ['routes', index, 'identity'])),
    ...assertionProblems(
      identity,
      reservedForClaims([identity, ...own].map((section) => rawOf(section['headers']))),
    ),
  ];
}

function spellingProblems(section: Raw, path: Path): Problem[] {
  const spellings = new Map<string, string>();
  return Object.keys(rawOf(section['headers'])).flatMap((name) => {
    const alias = headerAlias(name);
    const other = spellings.get(alias);
    spellings.set(alias, other ?? name);
    return other === undefined
      ? []
      : [
          {
            path: [...path, 'headers', name],
            atKey: true,
            message: `is another spelling of ${other}; use one spelling`,
          },
        ];
  });
}

/** By alias: the defaults, and each name that a map mentions, with null too. */
function reservedForClaims(maps: readonly Raw[]): ReadonlyMap<string, string> {
  const names = [...maps.flatMap((map) => Object.keys(map)), ...Object.keys(DEFAULT_IDENTITY_HEADERS)];
  return new Map(names.map((name) => [headerAlias(name), name]));
}

/** @param taken the names that are for claims, by alias */
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

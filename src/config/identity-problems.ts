/** What is wrong with identity headers: names that are taken or collide, claims that are no paths. Pure. */
import { headerAlias } from '../http/header-names.ts';
import { isReservedHeader } from '../http/identity-headers.ts';
import type { Problem } from './load.ts';
import { rawOf, type Path, type Raw } from './raw-document.ts';

export function identityProblems(identity: Raw, path: Path): Problem[] {
  return Object.entries(rawOf(identity['headers'])).flatMap(([header, claim]) => {
    const where = [...path, header];
    if (isReservedHeader(header)) {
      return [
        {
          path: where,
          atKey: true,
          message: 'this header belongs to HTTP or to the gateway itself; choose another name',
        },
      ];
    }
    return typeof claim === 'string' && !/^(?:\\[.\\]|[^.\\])+(?:\.(?:\\[.\\]|[^.\\])+)*$/.test(claim)
      ? [
          {
            path: where,
            message: 'is no claim path; write names joined by dots, with "\\." for a dot in a name',
          },
        ]
      : [];
  });
}

/** Two spellings of one header name would let an upstream read the one that it did not mean. */
export function identityCollisions(raw: Raw, routes: readonly unknown[]): Problem[] {
  const all: [string, Path][] = [
    ...Object.keys(rawOf(rawOf(raw['identity'])['headers'])).map((name): [string, Path] => [
      name,
      ['identity', 'headers', name],
    ]),
    ...routes.flatMap((route, index) =>
      Object.keys(rawOf(rawOf(rawOf(route)['identity'])['headers'])).map((name): [string, Path] => [
        name,
        ['routes', index, 'identity', 'headers', name],
      ]),
    ),
  ];
  const spellings = new Map<string, string>();
  return all.flatMap(([name, path]) => {
    const alias = headerAlias(name);
    const other = spellings.get(alias) ?? name;
    spellings.set(alias, other);
    return other === name
      ? []
      : [{ path, atKey: true, message: `is another spelling of ${other}; use one spelling` }];
  });
}

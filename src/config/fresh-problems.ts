/** What is wrong with introspection beside keys, and with the routes that ask for it (`auth.fresh`). Pure. */
import { isAcceptedByName } from './accepted-by-name.ts';
import { isKeyIssuer, isOpaqueIssuer } from './issuer-schema.ts';
import type { Problem } from './problem.ts';
import { rawOf, stringsOf, type Path, type Raw } from './raw-document.ts';

/** Of the response to a fresh question nothing is kept, and it is asked about JWTs in any case. */
const MEANINGLESS = ['cache', 'negative_cache', 'failure_cache', 'jwt', 'jwks_url'] as const;

/** An issuer of JWTs whose server is asked about them on some routes. */
export function besideKeysProblems(issuer: Raw, path: Path): Problem[] {
  if (issuer['introspection'] === undefined) return [];
  const where = [...path, 'introspection'];
  const { issuer: iss, no_iss } = issuer;
  const unfit =
    no_iss === true || (typeof iss === 'string' && /[{}]/.test(iss))
      ? [
          {
            path: where,
            atKey: true,
            message: 'beside keys needs an issuer with one iss; remove it, or write the exact iss',
          },
        ]
      : [];
  return [
    ...unfit,
    ...MEANINGLESS.filter((key) => rawOf(issuer['introspection'])[key] !== undefined).map((key) => ({
      path: [...where, key],
      atKey: true,
      message:
        'has no meaning beside keys: only routes with auth.fresh ask, about JWTs, nothing is kept, and the keys of the issuer sign responses; remove it',
    })),
  ];
}

export function freshProblems(issuers: Raw, auth: Raw, path: Path): Problem[] {
  if (auth['fresh'] !== true || auth['mode'] === 'none') return [];
  const accepted =
    auth['issuers'] === undefined
      ? Object.keys(issuers).filter((name) => !isAcceptedByName(rawOf(issuers[name])))
      : stringsOf(auth['issuers']);
  const where = [...path, 'auth', 'fresh'];
  if (accepted.length > 0 && accepted.every((name) => isKeyIssuer(rawOf(issuers[name]))))
    return [
      {
        path: where,
        atKey: true,
        message: 'has no meaning for API keys, which are looked up for each request; remove it',
      },
    ];
  const unasked = accepted.filter((name) => {
    const issuer = rawOf(issuers[name]);
    // No server needs to be asked about a key.
    if (isKeyIssuer(issuer)) return false;
    return issuer['introspection'] === undefined || isOpaqueIssuer(issuer);
  });
  return unasked.length === 0
    ? []
    : [
        {
          path: where,
          atKey: true,
          message: `needs introspection beside the keys of every issuer of the route, and ${unasked.join(', ')} lacks one of the two; add it, or name others in auth.issuers (for opaque tokens set introspection.cache: 0s)`,
        },
      ];
}

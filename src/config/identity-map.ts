/**
 * Which identity headers a route sends: the defaults, then the global map over them, then the map of the route. Names
 * are the same without case and with `_`, `.` and other signs as `-`; `null` takes a header out. Pure. Rule C24.
 */
import { headerAlias } from '../http/header-names.ts';

/** Header name to claim path; null: the header is not set. */
export type IdentityMap = Readonly<Record<string, string | null>>;

/** The four names that are removed from every request on every route, whether or not a route sets them. */
export const DEFAULT_IDENTITY_HEADERS = {
  'X-User-Id': 'sub',
  'X-Client-Id': 'client_id',
  'X-Scopes': 'scope',
  'X-Token-Issuer': 'iss',
} as const satisfies IdentityMap;

/** The part of a configuration, or of a route, that this file reads. */
interface WithHeaders {
  readonly identity: { readonly headers: IdentityMap };
}
interface WithRoutes extends WithHeaders {
  readonly routes: readonly WithHeaders[];
}

/** Each map over those before it. The last spelling of a name counts; what is null in the end is left out. */
export function mergedIdentityMap(...maps: readonly IdentityMap[]): Readonly<Record<string, string>> {
  const merged = new Map<string, [name: string, claim: string | null]>();
  for (const map of maps)
    for (const [name, claim] of Object.entries(map)) merged.set(headerAlias(name), [name, claim]);
  return Object.fromEntries(
    [...merged.values()].filter((entry): entry is [string, string] => entry[1] !== null),
  );
}

/** The identity headers that requests of this route carry to the upstream. */
export function routeIdentityMap(
  { identity }: WithHeaders,
  route?: WithHeaders,
): Readonly<Record<string, string>> {
  return mergedIdentityMap(DEFAULT_IDENTITY_HEADERS, identity.headers, route?.identity.headers ?? {});
}

/**
 * Every name that only the gateway may write: the defaults, and each name that a map mentions, with null too. An edit
 * that stops setting a header must not let the client's own copy pass. One of spellings that differ in case alone.
 */
export function identityNames({ identity, routes }: WithRoutes): string[] {
  const maps = [identity.headers, ...routes.map((route) => route.identity.headers), DEFAULT_IDENTITY_HEADERS];
  const names = new Map<string, string>();
  for (const name of maps.flatMap((map) => Object.keys(map)))
    if (!names.has(name.toLowerCase())) names.set(name.toLowerCase(), name);
  return [...names.values()];
}

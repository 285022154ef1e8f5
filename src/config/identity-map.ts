/**
 * Which identity headers a route sends: the defaults, then the global map over them, then the map of the route. Names
 * are the same without case and with `_`, `.` and other signs as `-`; `null` takes a header out. Pure. Rule C24.
 */
import { headerAlias } from '../http/header-names.ts';
import type { IdentityText } from '../identity/identity-value.ts';

/** Header name to where its value comes from; null: the header is not set. */
export type IdentityMap = Readonly<Record<string, IdentityText | null>>;
/** The same, once it is merged. */
export type MergedIdentityMap = Readonly<Record<string, IdentityText>>;

/** The four names that are removed from every request on every route, whether or not a route sets them. */
export const DEFAULT_IDENTITY_HEADERS = {
  'X-User-Id': '$subject',
  'X-Client-Id': '$client',
  'X-Scopes': '$scopes',
  'X-Token-Issuer': '$issuer',
} as const satisfies IdentityMap;

/** The part of a configuration, or of a route, that this file reads. */
interface WithHeaders {
  readonly identity: { readonly headers: IdentityMap };
}
interface WithRoutes extends WithHeaders {
  readonly routes: readonly WithHeaders[];
}

/** Each map over those before it. The last spelling of a name counts; what is null in the end is left out. */
export function mergedIdentityMap(...maps: readonly IdentityMap[]): MergedIdentityMap {
  const merged = new Map<string, [name: string, value: IdentityText | null]>();
  for (const map of maps)
    for (const [name, value] of Object.entries(map)) merged.set(headerAlias(name), [name, value]);
  return Object.fromEntries(
    [...merged.values()].filter((entry): entry is [string, IdentityText] => entry[1] !== null),
  );
}

/** The identity headers that requests of this route carry to the upstream. */
export function routeIdentityMap({ identity }: WithHeaders, route?: WithHeaders): MergedIdentityMap {
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

/** The value of a header in words. */
export function identityValueText(value: IdentityText): string {
  return [value].flat().join(', else ');
}

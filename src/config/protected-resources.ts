/** The protected resources of a configuration (RFC 9728), and which routes belong to each. Pure. */
import type { PublicUrl } from '../http/public-url.ts';
import type { Configuration, RouteConfiguration } from './schema.ts';

export interface ProtectedResource {
  /** Its `href` is the identifier. */
  readonly url: PublicUrl;
  /** At least one, in the order of the configuration. */
  readonly routes: readonly RouteConfiguration[];
}

/** By which clients reach the resource of a route; undefined where it belongs to none. */
export function resourceUrlOf(
  { resource, public_url: own }: Pick<RouteConfiguration, 'resource' | 'public_url'>,
  listeners: Configuration['listeners'],
): PublicUrl | undefined {
  if (resource === undefined) return undefined;
  // The configuration has checked that the listeners have one, and the same.
  return own ?? listeners.find(({ public_url: url }) => url)?.public_url;
}

export function protectedResources({ routes, listeners }: Configuration): ProtectedResource[] {
  const resources = new Map<string, { url: PublicUrl; routes: RouteConfiguration[] }>();
  for (const route of routes) {
    const url = resourceUrlOf(route, listeners);
    if (!url) continue;
    const known = resources.get(url.href);
    if (known) known.routes.push(route);
    else resources.set(url.href, { url, routes: [route] });
  }
  return [...resources.values()];
}

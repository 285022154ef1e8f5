/** Choices of upstreams that are allowed, but decide nothing. Pure. */
import type { Configuration } from './schema.ts';

/** One line for each route: what it is, what to do. */
export function routeUpstreamWarnings({ routes, listeners }: Configuration): string[] {
  if (listeners.some(({ serve }) => serve === undefined)) return [];
  return routes
    .filter(({ upstream }) => Array.isArray(upstream))
    .map(
      ({ name }) =>
        `routes: ${name} lists upstreams, but no listener forwards: the proxies that ask choose where requests go; name one upstream, or add a listener that forwards`,
    );
}

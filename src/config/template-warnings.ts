/** Paths with variables that another route serves in a spelling beside them, without their rule. Pure. Rule C10. */
import { segmentsOf, variableIn } from '../http/path-template.ts';
import type { ClaimRuleSetting } from '../token/claim-rules.ts';
import { upstreamEntries } from './route-upstream-schema.ts';
import type { Configuration, RouteConfiguration } from './schema.ts';

/**
 * An exact path ends where it ends: `/tenants/acme/orders/` is another route's. Many upstreams take the two for one, and then
 * a route that compares no variable serves every tenant.
 */
export function templateWarnings({ routes }: Configuration): string[] {
  return routes.flatMap((route) => {
    const { path } = route.match;
    if (path === undefined || !comparesVariable(route)) return [];
    const beside = path.endsWith('/') ? path.slice(0, -1) : `${path}/`;
    const below = routes.filter((other) => other.match.path === undefined && sharesHost(route, other));
    const depths = below.map((other) => depthAround(other, beside));
    const deepest = Math.max(-1, ...depths);
    return below
      .filter((_, index) => deepest >= 0 && depths[index] === deepest)
      .filter((other) => sharesUpstream(route, other) && !comparesVariable(other))
      .map(
        ({ name }) =>
          `routes: ${name} serves ${beside} without the rule of ${route.name}, and sends it to the same upstream, which may take it for ${path}; use path_prefix in ${route.name}`,
      );
  });
}

function comparesVariable({ auth }: RouteConfiguration): boolean {
  return [auth, ...(auth.any_of ?? [])].some(({ claims }) => Object.values(claims).some(namesVariable));
}

function namesVariable(setting: ClaimRuleSetting): boolean {
  return typeof setting === 'object' && 'path' in setting;
}

function sharesUpstream(route: RouteConfiguration, other: RouteConfiguration): boolean {
  const names = upstreamEntries(other.upstream).map(({ name }) => name);
  return upstreamEntries(route.upstream).some(({ name }) => names.includes(name));
}

function sharesHost({ match: { hosts } }: RouteConfiguration, { match }: RouteConfiguration): boolean {
  return !hosts || !match.hosts || hosts.some((host) => match.hosts?.includes(host));
}

/** How many segments of the path the route's prefix covers; -1 if it is another path's. */
function depthAround({ match }: RouteConfiguration, path: string): number {
  const prefix = (match.path_prefix ?? '/').replace(/\/$/, '');
  if (prefix === '') return 0;
  const [own, others] = [segmentsOf(prefix), segmentsOf(path)];
  const covers = own.every(
    (segment, index) => variableIn(segment) !== undefined || segment === others[index],
  );
  return covers && own.length <= others.length ? own.length : -1;
}

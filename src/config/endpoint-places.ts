/** Where authorization servers and transmitters of signals call the gateway on its public listeners. These places stand before all routes. Pure. */
import { placeOfUrl } from './global-revocation-schema.ts';
import { normalHost } from './host-scalars.ts';
import type { Problem } from './problem.ts';
import { rawOf, stringsOf, textOf, type Path, type Raw } from './raw-document.ts';
import { prefixText } from './route-problems.ts';
import { literalProblems } from './template-problems.ts';

/** One place, and the key of the configuration that names it. */
export interface NamedPlace {
  readonly key: Path;
  /** The key that has the path. */
  readonly pathKey: Path;
  /** As it is compared with that of a request. */
  readonly host: string;
  readonly path: string;
}

/** Those that have a host and a path; the shape of the others is wrong, which is told elsewhere. */
export function endpointPlaces(raw: Raw): NamedPlace[] {
  const under = (section: string, key: string, place: typeof placeAt): NamedPlace[] =>
    Object.entries(rawOf(raw[section])).flatMap(([name, entry]) =>
      place([section, name, key], rawOf(rawOf(entry)[key])),
    );
  return [
    ...under('issuers', 'backchannel_logout', placeAt),
    ...under('issuers', 'global_token_revocation', placeBehind),
    ...under('signals', 'push', placeAt),
  ];
}

function placeAt(key: Path, { host, path }: Raw): NamedPlace[] {
  return typeof host === 'string' && typeof path === 'string'
    ? [{ key, pathKey: [...key, 'path'], host: normalHost(host), path }]
    : [];
}

function placeBehind(key: Path, { url }: Raw): NamedPlace[] {
  const place = typeof url === 'string' ? placeOfUrl(url) : undefined;
  return place ? [{ key, pathKey: [...key, 'url'], ...place }] : [];
}

/** An endpoint must not hide a route, nor another endpoint. */
export function endpointProblems(raw: Raw, routes: readonly unknown[]): Problem[] {
  const seen = new Map<string, NamedPlace>();
  return endpointPlaces(raw).flatMap((place) => {
    const { key, pathKey, host, path } = place;
    const odd = literalProblems(path, pathKey);
    const other = seen.get(`${host}${path}`);
    seen.set(`${host}${path}`, place);
    if (other)
      return [...odd, { path: key, message: `is the same place as ${other.key.join('.')}; change one` }];
    const hidden = routes.map(rawOf).find((route) => isHidden(rawOf(route['match']), host, path));
    return hidden
      ? [...odd, { path: key, message: `hides the route "${textOf(hidden['name'])}"; choose another path` }]
      : odd;
  });
}

/** Does everything that the route matches on this host go to the endpoint? */
export function isHidden(match: Raw, host: string, path: string): boolean {
  const hosts = stringsOf(match['hosts']).map(normalHost);
  const serves =
    hosts.length === 0 ||
    hosts.some((name) => name === host || (name.startsWith('*.') && host.endsWith(name.slice(1))));
  return serves && (match['path'] === path || (path !== '/' && prefixText(match['path_prefix']) === path));
}

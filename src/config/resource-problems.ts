/** What is wrong with protected resources beyond their shape (RFC 9728, RFC 8707). Pure. Rules P1, P2. */
import { isLoopback } from '../http/loopback.ts';
import { isMetadataPath, metadataPathOf } from '../http/metadata-url.ts';
import { plainestOf } from '../http/path-readings.ts';
import { readPublicUrl, type PublicUrl } from '../http/public-url.ts';
import { endpointPlaces } from './endpoint-places.ts';
import { isAcceptedByName } from './accepted-by-name.ts';
import type { Problem } from './problem.ts';
import { isRaw, listOf, rawOf, stringsOf, textOf, type Path, type Raw } from './raw-document.ts';
import { namesItsServer } from './resource-metadata.ts';

/** A route that belongs to a resource. */
interface ResourceRoute {
  readonly name: string;
  readonly auth: Raw;
  /** What it says of the resource; nothing where that is `true`. */
  readonly said: Raw;
  readonly path: Path;
  /** The identifier, and which key has it. */
  readonly url: PublicUrl | undefined;
  readonly urlPath: Path;
}

export function resourceProblems(raw: Raw): Problem[] {
  const routes = resourceRoutes(raw);
  if (routes.length === 0) return [];
  const resources = [...Map.groupBy(routes, ({ url }) => url?.href)]
    .filter(([href]) => href !== undefined)
    .map(([, members]) => members);
  return [
    ...routes.flatMap((route) => [...urlProblems(raw, route), ...authProblems(raw, route)]),
    ...identifierProblems(routes),
    ...resources.flatMap((members) => [
      ...contradictions(members),
      ...unknownServerProblems(rawOf(raw['issuers']), members),
    ]),
    ...samePlaceProblems(resources),
    ...hiddenProblems(raw),
  ];
}

interface ListenerUrl {
  readonly url: PublicUrl;
  readonly path: Path;
}

function listenerUrls(raw: Raw): ListenerUrl[] {
  return listOf(raw['listeners']).flatMap((listener, index) => {
    const { serve, public_url: text } = rawOf(listener);
    const url = serve === 'redirect' ? undefined : readPublicUrl(textOf(text));
    return url ? [{ url, path: ['listeners', index, 'public_url'] }] : [];
  });
}

function resourceRoutes(raw: Raw): ResourceRoute[] {
  const [listener] = listenerUrls(raw);
  return listOf(raw['routes']).flatMap((item, index) => {
    const route = rawOf(item);
    const { resource, public_url: own } = route;
    if (resource !== true && !isRaw(resource)) return [];
    const path = ['routes', index];
    return [
      {
        name: textOf(route['name']),
        auth: rawOf(route['auth']),
        said: rawOf(resource),
        path,
        url: own === undefined ? listener?.url : readPublicUrl(textOf(own)),
        urlPath: own === undefined && listener ? listener.path : [...path, 'public_url'],
      },
    ];
  });
}

const atResource = ({ path }: ResourceRoute, message: string): Problem => ({
  path: [...path, 'resource'],
  atKey: true,
  message,
});

/** Host is the client's to write: the identifier stands in the configuration, once. */
function urlProblems(raw: Raw, route: ResourceRoute): Problem[] {
  if (rawOf(listOf(raw['routes'])[Number(route.path[1])])['public_url'] !== undefined) return [];
  const urls = [...new Set(listenerUrls(raw).map(({ url }) => url.href))];
  if (urls.length === 1) return [];
  return [
    atResource(
      route,
      urls.length === 0
        ? 'has no identifier; add public_url to the route: the https URL by which clients reach what it serves'
        : `has no clear identifier, since listeners have different ones (${urls.join(', ')}); add public_url to the route`,
    ),
  ];
}

function authProblems(raw: Raw, route: ResourceRoute): Problem[] {
  return [
    ...(route.auth['mode'] === 'none'
      ? [
          atResource(
            route,
            'has no meaning with auth.mode: none, which asks for no token; remove one of them',
          ),
        ]
      : []),
    ...(route.said['signed_metadata'] === true && rawOf(raw['identity'])['assertion'] === undefined
      ? [
          {
            path: [...route.path, 'resource', 'signed_metadata'],
            message: 'needs the key of assertions; add identity.assertion, or remove it',
          },
        ]
      : []),
  ];
}

/** Metadata that is changed on the way sends clients, and their users, to another authorization server. */
const isPlaintext = ({ scheme, hostname }: PublicUrl): boolean => scheme === 'http' && !isLoopback(hostname);

function identifierProblems(routes: readonly ResourceRoute[]): Problem[] {
  const urls = new Map(
    routes.flatMap(({ url, urlPath }) => (url ? [[urlPath.join('.'), { url, urlPath }]] : [])),
  );
  return [...urls.values()].flatMap(({ url, urlPath: path }): Problem[] => [
    ...(isPlaintext(url)
      ? [
          {
            path,
            message:
              'is the identifier of a protected resource, which must be https:// or loopback (RFC 9728); write the https:// URL that clients use, also where a proxy in front ends TLS',
          },
        ]
      : []),
    ...(/[{}]/.test(url.href)
      ? [
          {
            path,
            message:
              'is the identifier of a protected resource, which is one URL without variables; write the part of it that stands above the first variable',
          },
        ]
      : []),
  ]);
}

const MEMBERS = ['name', 'documentation', 'authorization_servers', 'signed_metadata'] as const;

/** Several routes of one resource share one document: what one leaves out, another may say. */
function contradictions(members: readonly ResourceRoute[]): Problem[] {
  return MEMBERS.flatMap((key) => {
    const [first, ...others] = members.filter(({ said }) => said[key] !== undefined);
    const other =
      first && others.find(({ said }) => textOfMember(said[key]) !== textOfMember(first.said[key]));
    return first && other
      ? [
          {
            path: [...other.path, 'resource', key],
            message: `differs from that of the route "${first.name}", which belongs to the same resource (${first.url?.href}); keep it in one of the two`,
          },
        ]
      : [];
  });
}

function textOfMember(value: unknown): string {
  return JSON.stringify(Array.isArray(value) ? [...stringsOf(value)].sort() : value);
}

function unknownServerProblems(issuers: Raw, members: readonly ResourceRoute[]): Problem[] {
  const [first] = members;
  const accepted = (auth: Raw): Raw[] =>
    auth['issuers'] === undefined
      ? Object.values(issuers)
          .map(rawOf)
          .filter((issuer) => !isAcceptedByName(issuer))
      : stringsOf(auth['issuers']).map((name) => rawOf(issuers[name]));
  const isKnown = members.some(
    ({ said, auth }) => said['authorization_servers'] !== undefined || accepted(auth).some(namesItsServer),
  );
  return isKnown || !first
    ? []
    : [
        atResource(
          first,
          'names no authorization server where clients get tokens: no issuer of the route has an issuer that is a URL; add authorization_servers: [...] to resource',
        ),
      ];
}

function samePlaceProblems(resources: readonly (readonly ResourceRoute[])[]): Problem[] {
  const seen = new Map<string, ResourceRoute>();
  return resources.flatMap(([route]) => {
    if (!route?.url) return [];
    const place = `${route.url.authority}${metadataPathOf(route.url)}`;
    const other = seen.get(place);
    seen.set(place, other ?? route);
    return other
      ? [
          {
            path: route.urlPath,
            message: `is another identifier than that of the route "${other.name}" (${other.url?.href}), and its metadata would have the same place; write both alike`,
          },
        ]
      : [];
  });
}

/** The gateway serves the well-known path and all below it itself. */
function hiddenProblems(raw: Raw): Problem[] {
  const isTaken = (path: unknown): boolean => typeof path === 'string' && isMetadataPath(plainestOf(path));
  const ownPlaces: [Path, unknown][] = [
    [
      ['identity', 'assertion', 'publish', 'path'],
      rawOf(rawOf(rawOf(raw['identity'])['assertion'])['publish'])['path'],
    ],
    ...endpointPlaces(raw).map(({ pathKey, path }): [Path, unknown] => [pathKey, path]),
  ];
  const matches = listOf(raw['routes']).flatMap((route, index) =>
    ['path', 'path_prefix'].map((key): [Path, unknown] => [
      ['routes', index, 'match', key],
      rawOf(rawOf(route)['match'])[key],
    ]),
  );
  return [...matches, ...ownPlaces]
    .filter(([, value]) => isTaken(value))
    .map(([path]) => ({
      path,
      message:
        'is where the gateway serves the metadata of protected resources itself; choose another path, or remove resource from every route',
    }));
}

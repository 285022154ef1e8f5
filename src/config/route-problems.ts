/** What is wrong with routes beyond their shape: names that are not there, choices left open, routes that tie. Pure. */
import { plainestOf } from '../http/path-readings.ts';
import { segmentsOf, variableIn } from '../http/path-template.ts';
import { normalHost } from './host-scalars.ts';
import { isAcceptedByName } from './accepted-by-name.ts';
import { freshProblems } from './fresh-problems.ts';
import { isKeyIssuer, isOpaqueIssuer } from './issuer-schema.ts';
import { routeRuleProblems } from './claim-rule-problems.ts';
import { hostHeaderProblems, pathProblems } from './path-problems.ts';
import type { Problem } from './problem.ts';
import { isRaw, listOf, rawOf, stringsOf, textOf, type Path, type Raw } from './raw-document.ts';
import { namedUpstreams, routeUpstreamProblems } from './route-upstream-problems.ts';
import { nearest } from './suggest.ts';
import { templateProblems } from './template-problems.ts';

export function routeProblems(raw: Raw, route: Raw, path: Path): Problem[] {
  const problems: Problem[] = [];
  const known = (what: string, name: unknown, where: Path): void => {
    const names = Object.keys(rawOf(raw[what]));
    if (typeof name !== 'string' || names.includes(name)) return;
    const guess = nearest(name, names);
    problems.push({
      path: where,
      message: `"${name}" is not in ${what}; ${guess === undefined ? `add it there${names.length > 0 ? ` (there are: ${names.join(', ')})` : ''}` : `did you mean ${guess}?`}`,
    });
  };
  for (const [name, place] of namedUpstreams(route, path)) known('upstreams', name, place);
  const auth = rawOf(route['auth']);
  listOf(auth['issuers']).forEach((name, index) =>
    known('issuers', name, [...path, 'auth', 'issuers', index]),
  );
  problems.push(
    ...opaqueChoiceProblems(rawOf(raw['issuers']), auth, path),
    ...authProblems(rawOf(raw['issuers']), auth, path),
    ...webSocketProblems(route, path),
    ...corsProblems(route, path),
    ...routeRuleProblems(route, path),
    ...routeUpstreamProblems(route, path),
    ...templateProblems(route, path),
    ...rewriteProblems(route, path),
    ...pathProblems(route, path),
    ...hostHeaderProblems(route, path),
  );
  return problems;
}

/** Keys of auth that say something about a token. */
const TOKEN_KEYS = [
  'issuers',
  'scopes',
  'claims',
  'any_of',
  'sender_constrained',
  'acr',
  'max_auth_age',
  'fresh',
  'report_only',
  'websocket_protocol',
];

function authProblems(issuers: Raw, auth: Raw, path: Path): Problem[] {
  if (auth['mode'] === 'none') {
    return TOKEN_KEYS.filter((key) => auth[key] !== undefined).map((key) => ({
      path: [...path, 'auth', key],
      atKey: true,
      message: 'has no meaning with mode: none; remove one of them',
    }));
  }
  const fresh = freshProblems(issuers, auth, path);
  if (auth['issuers'] !== undefined) return [...fresh, ...sharedWithoutIss(issuers, auth, path)];
  const verifying = Object.values(issuers).filter((issuer) => !isAcceptedByName(rawOf(issuer)));
  return verifying.length > 0
    ? fresh
    : [
        {
          path: [...path, 'auth'],
          message:
            'asks for a token, but no issuer can verify one; add one to issuers, name opaque ones, those of API keys and those with no_iss in auth.issuers, or set auth.mode: none',
        },
      ];
}

/** Where tokens do not say whose they are, there must be no choice. */
function sharedWithoutIss(issuers: Raw, auth: Raw, path: Path): Problem[] {
  // Keys are told by their prefix.
  const names = stringsOf(auth['issuers']).filter((name) => !isKeyIssuer(rawOf(issuers[name])));
  const found = names.find((name) => rawOf(issuers[name])['no_iss'] === true);
  return found === undefined || new Set(names).size === 1
    ? []
    : [
        {
          path: [...path, 'auth', 'issuers'],
          message: `issuers.${found} has no_iss, so that its tokens do not say whose they are; name it alone, on a route of its own`,
        },
      ];
}

function webSocketProblems(route: Raw, path: Path): Problem[] {
  return rawOf(route['auth'])['websocket_protocol'] === true &&
    !listOf(route['upgrade']).includes('websocket')
    ? [
        {
          path: [...path, 'auth', 'websocket_protocol'],
          atKey: true,
          message: 'has no meaning on a route without WebSocket; add upgrade: [websocket], or remove it',
        },
      ]
    : [];
}

function corsProblems(route: Raw, path: Path): Problem[] {
  const { origins, credentials, expose_headers } = rawOf(route['cors']);
  if (credentials === true && listOf(expose_headers).includes('*'))
    return [
      {
        path: [...path, 'cors', 'expose_headers'],
        message: '* has no meaning with credentials (Fetch Standard); name the headers',
      },
    ];
  if (!listOf(origins).includes('*')) return [];
  const where = [...path, 'cors', 'origins'];
  if (listOf(origins).length > 1)
    return [{ path: where, message: '* stands for all others; keep it alone, or remove it' }];
  return credentials === true
    ? [{ path: where, message: '* and credentials exclude each other (Fetch Standard); name the origins' }]
    : [];
}

/** A token must never be offered to two authorization servers: one of them would learn the other's tokens. */
function opaqueChoiceProblems(issuers: Raw, auth: Raw, path: Path): Problem[] {
  const opaque = stringsOf(auth['issuers']).filter((name) => isOpaqueIssuer(rawOf(issuers[name])));
  if (opaque.length < 2) return [];
  const prefixes = opaque.map((name) => textOf(rawOf(issuers[name])['token_prefix']));
  const ambiguous = prefixes.some((prefix, index) =>
    prefixes.some((other, at) => at !== index && other.startsWith(prefix)),
  );
  return ambiguous
    ? [
        {
          path: [...path, 'auth', 'issuers'],
          message: `${opaque.join(' and ')} all take opaque tokens; give each a token_prefix that none of the others begins with`,
        },
      ]
    : [];
}

function rewriteProblems(route: Raw, path: Path): Problem[] {
  const strip = rawOf(route['rewrite'])['strip_prefix'];
  if (typeof strip !== 'string') return [];
  const { path: exact, path_prefix: prefix } = rawOf(route['match']);
  const matched = typeof exact === 'string' ? exact : typeof prefix === 'string' ? prefix : '/';
  const stripped = strip.replace(/\/$/, '');
  return matched === stripped || matched.startsWith(`${stripped}/`)
    ? []
    : [
        {
          path: [...path, 'rewrite', 'strip_prefix'],
          message: `is no prefix of what the route matches (${matched}); make it one`,
        },
      ];
}

/** What metrics and the log call the route of a request that no route matches. */
const NO_ROUTE_NAME = 'unmatched';

export function duplicateNames(routes: readonly unknown[]): Problem[] {
  const seen = new Map<unknown, number>();
  return routes.flatMap((route, index) => {
    const name = rawOf(route)['name'];
    if (name === NO_ROUTE_NAME)
      return [
        {
          path: ['routes', index, 'name'],
          message: 'is how metrics and the log name requests that no route matches; choose another name',
        },
      ];
    const first = seen.get(name);
    if (first === undefined) seen.set(name, index);
    return first === undefined || name === undefined
      ? []
      : [{ path: ['routes', index, 'name'], message: `is the name of routes[${first}] too; rename one` }];
  });
}

/**
 * Two routes that match the same requests with the same precedence: which one serves would be an accident. Hosts and
 * paths are compared by their one reading; an exact path and a prefix tie only where they are spelled differently,
 * since such a request is refused as one that has two readings.
 */
export function tiedRoutes(routes: readonly unknown[]): Problem[] {
  const seen = new Map<string, Matched[]>();
  return routes.flatMap((route, index) => {
    if (!isRaw(route)) return [];
    const { name } = route;
    const match = rawOf(route['match']);
    const own: Matched = {
      ...matchedPath(match),
      label: typeof name === 'string' ? `route "${name}"` : `routes[${index}]`,
    };
    let tied: Matched | undefined;
    for (const key of matchKeys(match, own)) {
      const others = seen.get(key) ?? [];
      tied ??= others.find(({ isExact, text }) => isExact === own.isExact || text !== own.text);
      seen.set(key, [...others, own]);
    }
    return tied === undefined
      ? []
      : [
          {
            path: ['routes', index, 'match'],
            message: `ties with ${tied.label}: both match the same requests; make one more specific`,
          },
        ];
  });
}

interface Matched {
  readonly isExact: boolean;
  /** As written, but for the names of variables. */
  readonly text: string;
  readonly label: string;
}

function matchedPath(match: Raw): Pick<Matched, 'isExact' | 'text'> {
  const { path } = match;
  return typeof path === 'string'
    ? { isExact: true, text: shapeOf(path) }
    : { isExact: false, text: shapeOf(prefixText(match['path_prefix'])) };
}

/** The names of variables make no difference. No request has a space where its variable is. */
function shapeOf(path: string): string {
  const segments = segmentsOf(path).map((segment) => (variableIn(segment) === undefined ? segment : ' '));
  return `/${segments.join('/')}`;
}

/** What routes have in common that tie: one key for each host and method. */
function matchKeys(match: Raw, { text, isExact }: Matched): string[] {
  const hosts = stringsOf(match['hosts']).map(normalHost);
  const methods = stringsOf(match['methods']);
  const headers = Object.entries(rawOf(match['headers']))
    .map(([header, value]) => `${header.toLowerCase()}=${String(value)}`)
    .sort();
  const path = isExact ? plainestOf(text) : prefixText(plainestOf(text));
  const each = (values: readonly string[]): readonly string[] => (values.length > 0 ? values : ['']);
  return each(hosts).flatMap((host) =>
    each(methods).map((method) => JSON.stringify([host, path, method, headers])),
  );
}

export const prefixText = (prefix: unknown): string =>
  typeof prefix === 'string' && prefix !== '/' ? prefix.replace(/\/$/, '') : '/';

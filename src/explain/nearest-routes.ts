/** Why no route serves a request: the routes that nearly do, and what keeps each from it. Pure. */
import { editDistance } from '../config/suggest.ts';
import type { RequestHead } from '../http/request-head.ts';
import { singleHeader } from '../http/request-head.ts';
import { TemplateTree } from '../http/template-tree.ts';
import { readPath } from '../http/path-policy.ts';
import type { Route } from '../policy.ts';
import { hasOtherVariables, type RouteTable } from '../stages/match-route.ts';

export interface NearRoute {
  readonly route: string;
  /** What does not fit. */
  readonly why: readonly string[];
}

const MOST = 3;
/** Of a path, in characters: comparing takes the square of that. */
const MAX_COMPARED = 200;

/** The routes that a request misses by least, nearest first. */
export function nearestRoutes(routes: readonly Route[], head: RequestHead): NearRoute[] {
  return routes
    .map((route) => ({ route, misses: missesOf(route, head) }))
    .sort((a, b) => farness(a.misses) - farness(b.misses))
    .slice(0, MOST)
    .map(({ route, misses }) => ({ route: route.name, why: misses.map(({ text }) => text) }));
}

interface Miss {
  readonly text: string;
  readonly weight: number;
}

const farness = (misses: readonly Miss[]): number => misses.reduce((sum, { weight }) => sum + weight, 0);

function missesOf({ match }: Route, head: RequestHead): Miss[] {
  const misses: Miss[] = [];
  if (match.hosts.length > 0 && !match.hosts.some((host) => hostFits(host, head.hostname)))
    misses.push({ text: `the host ${head.hostname} is not ${match.hosts.join(' or ')}`, weight: 4 });
  const { kind, value } = match.path;
  if (!pathFits(match.path, head.path)) {
    const text =
      kind === 'exact' ? `the path is not exactly ${value}` : `the path is not ${value}, nor below it`;
    misses.push({ text, weight: 1 + 4 * unlikeness(value, head.path) });
  }
  if (match.methods.size > 0 && !match.methods.has(head.method))
    misses.push({ text: `the method ${head.method} is not ${[...match.methods].join(' or ')}`, weight: 1 });
  for (const [name, value] of match.headers) {
    if (singleHeader(head, name) !== value)
      misses.push({ text: `the header ${name} is not ${JSON.stringify(value)}`, weight: 1 });
  }
  return misses;
}

function hostFits(pattern: string, hostname: string): boolean {
  return pattern.startsWith('*.')
    ? hostname.endsWith(pattern.slice(1)) && hostname.length > pattern.length - 1
    : pattern === hostname;
}

function pathFits({ kind, value, template }: Route['match']['path'], path: string): boolean {
  if (template) {
    const tree = new TemplateTree<true>();
    tree.valuesAt(template, kind).push(true);
    const one = (values: readonly true[]): true | undefined => values[0];
    return (tree.findExact(path, one) ?? tree.findPrefix(path, one)) !== undefined;
  }
  return path === value || (kind === 'prefix' && (value === '/' || path.startsWith(`${value}/`)));
}

/** From 0 to 1: how much of a route's path differs from the request's, as far as both go. */
function unlikeness(pattern: string, path: string): number {
  const segments = pattern.split('/').length;
  const beginning = path.split('/', segments).join('/').slice(0, MAX_COMPARED);
  return editDistance(pattern, beginning) / Math.max(pattern.length, beginning.length);
}

/** Why a path is refused although it is no error in itself, or that it is one. */
export function badPathText(routes: RouteTable, head: RequestHead): string {
  let reading;
  try {
    reading = readPath(head.path);
  } catch {
    return 'the path has dot segments (in any spelling), an encoded NUL or backslash, overlong UTF-8, a malformed %, too many layers of encoding, or a byte that no path may hold';
  }
  const route = routes.find(head, head.path);
  const missing = reading.needs.filter((need) => route?.leniencies.has(need) !== true);
  if (missing.length > 0) {
    const where = route ? `route ${route.name} does not allow` : 'no route allows';
    return `${where} ${missing.join(', ')} (paths.allow)`;
  }
  const other = routes.otherRoute(head, reading, route);
  if (!other && route && hasOtherVariables(route, head.path, reading))
    return `the path has a ;, or a variable of route ${route.name} that can be read in several ways`;
  return `the path can also be read as ${other?.reading ?? head.path}, which is ${other?.route === undefined ? 'no route' : `route ${other.route.name}`}, not ${route?.name ?? 'none'}`;
}

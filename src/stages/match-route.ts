/**
 * First stage: which route serves this request? Pure. A request that matches no route is refused (rule A8).
 *
 * Precedence as the Kubernetes Gateway API has it: an exact host over a wildcard, exact path over prefix, longer
 * prefix over shorter, then method, then more headers, then order in the file. A path with variables stands between
 * exact paths and prefixes; a prefix with variables after one of as many literal segments. Rules C10, C12, C26, H13.
 */
import { BAD_PATH, NO_ROUTE } from '../errors.ts';
import { readPath, type PathReading } from '../http/path-policy.ts';
import { percentDecoded, plainestOf } from '../http/path-readings.ts';
import { hasOneReading, segmentsOf, type PathTemplate } from '../http/path-template.ts';
import { singleHeader, type RequestHead } from '../http/request-head.ts';
import { TemplateTree } from '../http/template-tree.ts';
import type { Route } from '../policy.ts';

/** The routes of one host pattern, by path. */
interface PathTable {
  readonly exact: Map<string, Route[]>;
  readonly prefix: Map<string, Route[]>;
  /** Paths with variables; undefined where there are none. */
  templates?: TemplateTree<Route>;
}

/** Routes indexed for look-up: the cost of a match does not grow with their number. */
export class RouteTable {
  readonly #hosts = new Map<string, PathTable>();
  /** Keyed by the part after `*`, such as `.example.com`. */
  readonly #wildcards = new Map<string, PathTable>();
  readonly #anyHost: PathTable = newPathTable();
  #longestPrefix = 0;
  /** By the plainest readings of the routes' paths; undefined where they are the paths themselves. */
  readonly #plainest: RouteTable | undefined;

  /** @param plainest compares with the plainest readings of the routes' paths, for the other readings of a path */
  constructor(routes: readonly Route[], plainest = false) {
    for (const route of routes) {
      const { kind, value } = route.match.path;
      const path = plainest ? plainestPath(route) : value;
      if (kind === 'prefix') this.#longestPrefix = Math.max(this.#longestPrefix, path.length);
      const template = plainest ? plainestTemplate(route) : route.match.path.template;
      for (const table of this.#tablesFor(route)) {
        if (template) insert((table.templates ??= new TemplateTree()).valuesAt(template, kind), route);
        else insert(valuesAt(table[kind], path), route);
      }
    }
    const hasOthers = routes.some((route) => plainestPath(route) !== route.match.path.value);
    this.#plainest = hasOthers && !plainest ? new RouteTable(routes, true) : undefined;
  }

  /** The route for a path as it stands. */
  find(head: RequestHead, path: string): Route | undefined {
    const exactHost = this.#hosts.get(head.hostname);
    if (exactHost) {
      const route = this.#findIn(exactHost, head, path);
      if (route) return route;
    }
    if (this.#wildcards.size > 0) {
      for (let dot = head.hostname.indexOf('.', 1); dot > 0; dot = head.hostname.indexOf('.', dot + 1)) {
        const table = this.#wildcards.get(head.hostname.slice(dot));
        const route = table && this.#findIn(table, head, path);
        if (route) return route;
      }
    }
    return this.#findIn(this.#anyHost, head, path);
  }

  /**
   * The first reading of the request's path that leads to another route than the path itself, and that route.
   *
   * @param own the route of the path itself
   */
  otherRoute(
    head: RequestHead,
    { otherReadings }: PathReading,
    own: Route | undefined,
  ): { readonly reading: string; readonly route: Route | undefined } | undefined {
    const table = this.#plainest ?? this;
    // A path without other readings is its own plainest, and may still be that of a route with an odder path.
    if (otherReadings.length === 0 && table === this) return undefined;
    for (const reading of otherReadings.length === 0 ? [head.path] : otherReadings) {
      const route = table.find(head, reading);
      if (route !== own) return { reading, route };
    }
    return undefined;
  }

  #findIn(table: PathTable, head: RequestHead, path: string): Route | undefined {
    const exact = firstMatch(table.exact.get(path), head);
    if (exact) return exact;
    const { templates } = table;
    if (templates) return this.#findWithTemplates(table, templates, head, path);
    return this.#findPrefix(table, head, path);
  }

  #findWithTemplates(
    table: PathTable,
    templates: TemplateTree<Route>,
    head: RequestHead,
    path: string,
  ): Route | undefined {
    const choose = (routes: readonly Route[]): Route | undefined => firstMatch(routes, head);
    const exact = templates.findExact(path, choose);
    if (exact) return exact;
    const literal = this.#findPrefix(table, head, path);
    const found = templates.findPrefix(path, choose);
    return found && (literal === undefined || found.depth > prefixDepth(literal)) ? found.value : literal;
  }

  #findPrefix(table: PathTable, head: RequestHead, path: string): Route | undefined {
    // Whole segments only: /orders matches /orders and /orders/1, never /ordersX.
    let end = path.length;
    while (end > 0) {
      if (end <= this.#longestPrefix) {
        const route = firstMatch(table.prefix.get(path.slice(0, end)), head);
        if (route) return route;
      }
      end = path.lastIndexOf('/', end - 1);
    }
    return firstMatch(table.prefix.get('/'), head);
  }

  #tablesFor({ match }: Route): PathTable[] {
    if (match.hosts.length === 0) return [this.#anyHost];
    return match.hosts.map((host) => {
      const [tables, key] = host.startsWith('*.') ? [this.#wildcards, host.slice(1)] : [this.#hosts, host];
      const table = tables.get(key) ?? newPathTable();
      tables.set(key, table);
      return table;
    });
  }
}

function plainestPath({ match: { path } }: Route): string {
  const plainest = plainestOf(path.value);
  return path.kind === 'prefix' && plainest.length > 1 && plainest.endsWith('/')
    ? plainest.slice(0, -1)
    : plainest;
}

/** A literal segment with variables beside it has one other reading: decoded. The configuration has checked that. */
function plainestTemplate({ match: { path } }: Route): PathTemplate | undefined {
  return (
    path.template && {
      ...path.template,
      segments: path.template.segments.map((segment) =>
        'literal' in segment ? { literal: percentDecoded(segment.literal) } : segment,
      ),
    }
  );
}

/** How many segments a route's literal prefix has. */
function prefixDepth({ match: { path } }: Route): number {
  return path.value === '/' ? 0 : segmentsOf(path.value).length;
}

function newPathTable(): PathTable {
  return { exact: new Map(), prefix: new Map() };
}

function valuesAt(table: Map<string, Route[]>, path: string): Route[] {
  const list = table.get(path) ?? [];
  table.set(path, list);
  return list;
}

/** Keeps a list in the order of precedence: with methods first, then more headers, then order of insertion. */
function insert(list: Route[], route: Route): void {
  const rank = ({ match }: Route): number => (match.methods.size > 0 ? 1_000 : 0) + match.headers.length;
  const before = list.findIndex((other) => rank(other) < rank(route));
  list.splice(before < 0 ? list.length : before, 0, route);
}

function firstMatch(routes: readonly Route[] | undefined, head: RequestHead): Route | undefined {
  return routes?.find(
    ({ match }) =>
      (match.methods.size === 0 || match.methods.has(head.method)) &&
      match.headers.every(([name, value]) => singleHeader(head, name) === value),
  );
}

/**
 * Finds the route and checks the path: a path that could be read as another route's is refused, so that the upstream
 * gets exactly the bytes that were decided on.
 *
 * @throws GatewayError 400 BAD_PATH, 404 NO_ROUTE
 */
export function matchRoute(routes: RouteTable, head: RequestHead): Route {
  const reading = readPath(head.path);
  const { needs } = reading;
  const route = routes.find(head, head.path);
  if (needs.length > 0 && !needs.every((need) => route?.leniencies.has(need) === true)) throw BAD_PATH;
  if (routes.otherRoute(head, reading, route)) throw BAD_PATH;
  if (!route) throw NO_ROUTE;
  if (route.match.path.template && hasOtherVariables(route, head.path, reading)) throw BAD_PATH;
  return route;
}

/** Could a server read other variables in the path than a claim rule compares? */
export function hasOtherVariables({ match }: Route, path: string, { otherReadings }: PathReading): boolean {
  const { template } = match.path;
  return template !== undefined && !hasOneReading(template, path, otherReadings);
}

/**
 * First stage: which route serves this request. Pure. A request that matches none goes nowhere (rule A8).
 *
 * Precedence as the Kubernetes Gateway API has it: an exact host over a wildcard, exact path over prefix, longer
 * prefix over shorter, then method, then more headers, then order in the file. Rules C10, C12, H13.
 */
import { BAD_PATH, NO_ROUTE } from '../errors.ts';
import { fullyDecoded, readPath } from '../http/path-policy.ts';
import { singleHeader, type RequestHead } from '../http/request-head.ts';
import type { Route } from '../policy.ts';

/** The routes of one host pattern, by path. */
interface PathTable {
  readonly exact: Map<string, Route[]>;
  readonly prefix: Map<string, Route[]>;
}

/** Routes indexed for look-up: the cost of a match does not grow with their number. */
export class RouteTable {
  readonly #hosts = new Map<string, PathTable>();
  /** Keyed by the part after `*`, such as `.example.com`. */
  readonly #wildcards = new Map<string, PathTable>();
  readonly #anyHost: PathTable = newPathTable();
  #longestPrefix = 0;
  readonly #decoded: RouteTable | undefined;

  /** @param decodePaths compares with what the routes' paths decode to, for the other readings of a path */
  constructor(routes: readonly Route[], decodePaths = false) {
    for (const route of routes) {
      const { kind, value } = route.match.path;
      const path = decodePaths ? fullyDecoded(value) : value;
      if (kind === 'prefix') this.#longestPrefix = Math.max(this.#longestPrefix, path.length);
      for (const table of this.#tablesFor(route)) insert(table[kind], path, route);
    }
    const encoded = routes.some(({ match }) => match.path.value.includes('%'));
    this.#decoded = encoded && !decodePaths ? new RouteTable(routes, true) : undefined;
  }

  /** The route for a path, which may be any reading of the request's own. */
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

  /** As find, for a percent-decoded reading of the path. */
  findDecoded(head: RequestHead, path: string): Route | undefined {
    return (this.#decoded ?? this).find(head, path);
  }

  #findIn(table: PathTable, head: RequestHead, path: string): Route | undefined {
    const exact = firstMatch(table.exact.get(path), head);
    if (exact) return exact;
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

function newPathTable(): PathTable {
  return { exact: new Map(), prefix: new Map() };
}

/** Keeps a list in the order of precedence: with methods first, then more headers, then order of insertion. */
function insert(table: Map<string, Route[]>, path: string, route: Route): void {
  const rank = ({ match }: Route): number => (match.methods.size > 0 ? 1_000 : 0) + match.headers.length;
  const list = table.get(path) ?? [];
  const before = list.findIndex((other) => rank(other) < rank(route));
  list.splice(before < 0 ? list.length : before, 0, route);
  table.set(path, list);
}

function firstMatch(routes: readonly Route[] | undefined, head: RequestHead): Route | undefined {
  return routes?.find(
    ({ match }) =>
      (match.methods.size === 0 || match.methods.has(head.method)) &&
      match.headers.every(([name, value]) => singleHeader(head, name) === value),
  );
}

/**
 * Finds the route and holds the path against the policy: a path that could be read as another route's is
 * refused, so that the bytes which were decided on are the bytes that the upstream gets.
 *
 * @throws GatewayError 400 BAD_PATH, 404 NO_ROUTE
 */
export function matchRoute(routes: RouteTable, head: RequestHead): Route {
  const { needs, otherReadings } = readPath(head.path);
  const route = routes.find(head, head.path);
  if (needs.length > 0 && !needs.every((need) => route?.leniencies.has(need) === true)) throw BAD_PATH;
  for (const reading of otherReadings) {
    if (routes.findDecoded(head, reading) !== route) throw BAD_PATH;
  }
  if (!route) throw NO_ROUTE;
  return route;
}

/**
 * Which headers a logged request may have had, as far as they choose its route. The log holds none, so each way in which they
 * could have chosen is tried: none of them, and those of each route that then is found. That is enough: a route that is found
 * among many headers is found, too, where the request has no others than those that it asks for. Pure.
 */
import { GatewayError } from '../errors.ts';
import type { FieldList } from '../http/field-list.ts';
import type { RequestHead } from '../http/request-head.ts';
import type { Policy, Route } from '../policy.ts';
import { matchRoute, RouteTable } from '../stages/match-route.ts';

/** Of a request with these fields. */
export type HeadWith = (fields: FieldList) => RequestHead;

/** More ways than these are not tried. */
const MOST_WAYS = 256;

/** Finds routes as a gateway with this policy does. */
export class Matching {
  readonly table: RouteTable;
  /** The fields that routes ask for. */
  readonly #asked: readonly FieldList[];

  constructor({ routes }: Policy) {
    this.table = new RouteTable(routes);
    const fields = routes.map(({ match }) => match.headers.flat()).filter(({ length }) => length > 0);
    this.#asked = [...new Map(fields.map((each) => [JSON.stringify(each), each])).values()];
  }

  /** The route, or why there is none. */
  of(head: RequestHead): Route | GatewayError {
    try {
      return matchRoute(this.table, head);
    } catch (error) {
      if (error instanceof GatewayError) return error;
      throw error;
    }
  }

  /** The fields with which a request is matched otherwise than without any; the first: none. */
  ways(headWith: HeadWith): readonly FieldList[] {
    if (this.#asked.length === 0) return [[]];
    const plain = this.of(headWith([]));
    return [[], ...this.#asked.filter((fields) => this.of(headWith(fields)) !== plain)];
  }
}

/** The gateway that wrote the log, and the route that it says it has found. */
export interface Found {
  readonly matching: Matching;
  readonly headWith: HeadWith;
  /** Never `unmatched`: a path with two readings could have got that from headers that are tried in no way. */
  readonly route: string;
}

/**
 * @param before undefined: it is not known by which rules the log was written
 * @returns the fields to try; empty where the log was not written by these rules; undefined where there are too many
 */
export function possibleHeaders(
  now: Matching,
  headWith: HeadWith,
  before: Found | undefined,
): readonly FieldList[] | undefined {
  const ways = now.ways(headWith);
  if (!before) return ways.length > MOST_WAYS ? undefined : ways;
  const { matching, route } = before;
  const earlier = matching.ways(before.headWith);
  if (ways.length * earlier.length > MOST_WAYS) return undefined;
  const combined = earlier.flatMap((one) => ways.flatMap((other) => joined(one, other) ?? []));
  const unique = new Map(combined.map(({ fields }) => [JSON.stringify(fields), fields]));
  return [...unique.values()].filter((fields) => nameOf(matching.of(before.headWith(fields))) === route);
}

function nameOf(found: Route | GatewayError): string {
  return found instanceof GatewayError ? 'unmatched' : found.name;
}

/** Both; undefined where they say two things of one field. In an object, since lists of lists become flat. */
function joined(one: FieldList, other: FieldList): { readonly fields: FieldList } | undefined {
  const values = new Map<string, string>();
  for (const fields of [one, other]) {
    for (let index = 0; index < fields.length; index += 2) {
      const name = fields[index] ?? '';
      const value = fields[index + 1] ?? '';
      if ((values.get(name) ?? value) !== value) return undefined;
      values.set(name, value);
    }
  }
  return { fields: [...values].flat() };
}

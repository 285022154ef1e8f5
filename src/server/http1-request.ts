/**
 * Node's request without the object of all headers, which Node builds for every request only to look for
 * `Expect`. The gateway reads rawHeaders, which have every line as it came.
 */
import { IncomingMessage, type IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { ClientRequest } from './exchange.ts';

/** What Node's server and the handshake check look at. */
const LOOKED_AT: ReadonlySet<string> = new Set(['expect', 'upgrade', 'content-length', 'transfer-encoding']);
/** The usual spellings of everything else, found without lower-casing. */
const LONGEST_LOOKED_AT = 'transfer-encoding'.length;
const SHORTEST_LOOKED_AT = 'expect'.length;

export class Http1Request extends IncomingMessage implements ClientRequest {
  readonly bodyFollows = false;
  #looked: IncomingHttpHeaders | undefined;

  // Node types `headers` as a field, but defines it as an accessor on the prototype, as this does.
  // @ts-expect-error an accessor stands in for a field
  override get headers(): IncomingHttpHeaders {
    this.#looked ??= essentialHeaders(this.rawHeaders);
    return this.#looked;
  }

  get body(): Readable {
    return this;
  }
}

/** Of each, the first line: what Node would make of several is never asked for. */
export function essentialHeaders(rawHeaders: readonly string[]): IncomingHttpHeaders {
  const headers: IncomingHttpHeaders = {};
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (name.length < SHORTEST_LOOKED_AT || name.length > LONGEST_LOOKED_AT) continue;
    const first = name.charCodeAt(0) | 0x20;
    // e, u, c, t
    if (first !== 0x65 && first !== 0x75 && first !== 0x63 && first !== 0x74) continue;
    const lower = name.toLowerCase();
    if (LOOKED_AT.has(lower)) headers[lower] ??= rawHeaders[index + 1];
  }
  return headers;
}

/**
 * Node's request without the object of all headers, which Node would build for every request only to look for
 * `Expect`. The gateway reads rawHeaders, where each line stands as it came.
 */
import { IncomingMessage, type IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { ClientRequest } from './exchange.ts';

/** What Node's server and the handshake check read. */
const ESSENTIAL: ReadonlySet<string> = new Set(['expect', 'upgrade', 'content-length', 'transfer-encoding']);
/** The lengths of these names: names of other lengths need no lower-casing. */
const LENGTHS: ReadonlySet<number> = new Set([...ESSENTIAL].map(({ length }) => length));

export class Http1Request extends IncomingMessage implements ClientRequest {
  readonly bodyFollows = false;
  #essential: IncomingHttpHeaders | undefined;

  // Node types `headers` as a field, but defines it as an accessor on the prototype, as this does.
  // @ts-expect-error an accessor stands in for a field
  override get headers(): IncomingHttpHeaders {
    this.#essential ??= essentialHeaders(this.rawHeaders);
    return this.#essential;
  }

  get body(): Readable {
    return this;
  }
}

/** The first line of each; the gateway never needs what Node would make of several. */
export function essentialHeaders(rawHeaders: readonly string[]): IncomingHttpHeaders {
  const headers: IncomingHttpHeaders = {};
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (!LENGTHS.has(name.length)) continue;
    const lower = name.toLowerCase();
    if (ESSENTIAL.has(lower)) headers[lower] ??= rawHeaders[index + 1];
  }
  return headers;
}

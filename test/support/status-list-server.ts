/** A server of status lists, signed by the test's keys. It counts who fetches what, and knows entity tags. */
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { deflateSync } from 'node:zlib';
import type { Test } from 'tap';
import { mint, nowSeconds, type SigningKey } from './tokens.ts';
import { startServer } from './upstream.ts';

/** The statuses as they stand in a list, packed and compressed. */
export function packed(bits: 1 | 2 | 4 | 8, statuses: readonly number[]): string {
  const bytes = Buffer.alloc(Math.ceil((statuses.length * bits) / 8));
  for (const [index, status] of statuses.entries()) {
    const first = index * bits;
    bytes.writeUInt8(bytes.readUInt8(first >> 3) | (status << (first % 8)), first >> 3);
  }
  return deflateSync(bytes).toString('base64url');
}

/** A list of these statuses, two bits each. */
export function signedList(
  key: SigningKey,
  uri: string,
  statuses: readonly number[],
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
): string {
  const list = { sub: uri, iat: nowSeconds(), status_list: { bits: 2, lst: packed(2, statuses) }, ...claims };
  const present = Object.fromEntries(Object.entries(list).filter(([, value]) => value !== undefined));
  return mint(key, present, { typ: 'statuslist+jwt', ...header });
}

export interface StatusListServer {
  readonly url: string;
  /** By path: what is sent. */
  readonly texts: Map<string, string>;
  /** Paths that were fetched, in order. */
  readonly fetches: string[];
  /** How often the response was 304. */
  unchanged: number;
  /** The Accept field of the last request. */
  accept: string | undefined;
  /** Responds instead, where it is set. */
  instead: ((response: ServerResponse) => void) | undefined;
  /** Signs a list and sends it from now on. @returns its URI */
  publish(path: string, key: SigningKey, ...list: Statuses): string;
}

type Statuses = [
  statuses: readonly number[],
  claims?: Record<string, unknown>,
  header?: Record<string, unknown>,
];

export async function startStatusListServer(t: Test): Promise<StatusListServer> {
  const url = await startServer(t, (request, response) => {
    const path = request.url ?? '';
    server.fetches.push(path);
    server.accept = request.headers.accept;
    if (server.instead) {
      server.instead(response);
      return;
    }
    const text = server.texts.get(path);
    if (text === undefined) {
      response.writeHead(404).end();
      return;
    }
    const etag = `"${createHash('sha256').update(text).digest('base64url')}"`;
    if (request.headers['if-none-match'] === etag) {
      server.unchanged++;
      response.writeHead(304, { etag }).end();
    } else response.writeHead(200, { etag, 'content-type': 'application/statuslist+jwt' }).end(text);
  });
  const server: StatusListServer = {
    url,
    texts: new Map(),
    fetches: [],
    unchanged: 0,
    accept: undefined,
    instead: undefined,
    publish(path, key, statuses, claims, header) {
      server.texts.set(path, signedList(key, `${url}${path}`, statuses, claims, header));
      return `${url}${path}`;
    },
  };
  return server;
}

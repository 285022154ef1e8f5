/**
 * What a listener does with the requests of its clients: it hands each to its site, and knows nothing of tokens, routes
 * or policies itself.
 */
import type { Duplex } from 'node:stream';
import type { ClientResponse, ClientRequest } from './exchange.ts';
import type { Connection } from './connection.ts';
import type { GatewayError } from '../errors.ts';
import type { ResponseHeaders } from '../http/response-head.ts';
import type { Tunnel } from './tunnel.ts';

/** How a client's connection is switched to a tunnel. */
export type OpenTunnel = (headers: ResponseHeaders, upstream: Duplex, early: Buffer) => Tunnel;

/** Serves one request. */
export interface RequestHandler {
  /** Serves the request. `openTunnel` is there where the client asks to switch to WebSocket. */
  serve(openTunnel?: OpenTunnel): void;
  /** Responds to a request that the listener refuses. */
  refuse(error: GatewayError): void;
}

/** Makes the handlers of one listener's requests. A reload gives the listener another one. */
export interface Site {
  /** May its clients switch to another protocol? */
  readonly tunnels: boolean;
  /** May this peer speak for other clients (`trusted_proxies`)? */
  isTrusted(peer: string): boolean;
  handle(request: ClientRequest, response: ClientResponse, connection: Connection): RequestHandler;
  /** The whole response to bytes that are no request, because Node's parser refused them. */
  refusalText(refused: GatewayError, connection: Connection): string;
}

/**
 * Node's HTTP/1.1 server, set so that nothing it does by itself escapes the rules: Upgrade, CONNECT, Expect, bytes that
 * its parser refuses, and responses on sockets that it has handed over. Rules H2 to H8, H12, H16, H18.
 */
import { createServer, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Duplex } from 'node:stream';
import { LINGER_MS, type ClientConnection, type ClientConnections } from './client-connections.ts';
import type { Clock } from '../clock.ts';
import {
  EXPECTATION_FAILED,
  HEADERS_TOO_LARGE,
  MALFORMED_REQUEST,
  METHOD_REFUSED,
  REQUEST_TIMEOUT,
  URI_TOO_LONG,
  type GatewayError,
} from '../errors.ts';
import { TCP_KEEPALIVE } from '../http/tcp-keepalive.ts';
import { isWebSocketHandshake } from '../http/websocket-protocol.ts';
import { handshakeFailure } from '../tls/handshake-failure.ts';
import type { ListenerCertificates } from '../tls/server-certificates.ts';
import type { Connection } from './connection.ts';
import type { ListenerCounts } from './listener-counts.ts';
import { PrefaceWatch, type ListenerProtocol } from './http2-preface.ts';
import { Http1Request } from './http1-request.ts';
import { Http1Response, responseOn } from './http1-response.ts';
import type { RequestHandler, Site } from './request-handler.ts';
import { openTunnel } from './tunnel.ts';
import { WaitingClient } from './waiting-client.ts';

/** Node's server, with our classes for requests and responses. */
type NodeServer =
  Server<typeof Http1Request, typeof Http1Response> | TlsServer<typeof Http1Request, typeof Http1Response>;

type ParserError = NodeJS.ErrnoException & { readonly rawPacket?: Buffer };

export interface Http1Limits {
  readonly uriBytes: number;
  readonly headerBytes: number;
  /** 0 = no limit. */
  readonly connections: number;
  readonly headersTimeoutMs: number;
}

/** What the server takes from its listener. A reload changes what the functions return. */
export interface Http1ServerParts {
  readonly limits: () => Http1Limits;
  readonly site: () => Site;
  readonly connections: ClientConnections;
  readonly counts: ListenerCounts;
  /** Undefined: plaintext. */
  readonly certificates: ListenerCertificates | undefined;
  /** What clients may speak. */
  readonly protocols: readonly ListenerProtocol[];
  /**
   * Takes over a connection whose client chose HTTP/2 in its handshake, or began with it.
   *
   * @param withinMs the time for its first request; undefined: all of the headers' timeout
   */
  readonly acceptHttp2: (socket: Socket, connection: Connection, withinMs?: number) => void;
  readonly clock: Clock;
}

/** How often Node looks for connections that are too slow: header timeouts are late by at most this. */
export const CHECK_INTERVAL_MS = 1_000;

export class Http1Server {
  readonly node: NodeServer;
  /** Sockets that carry a tunnel. Node does not know them any more. */
  readonly tunnels = new Set<Duplex>();
  /** While true, each response ends its connection. */
  draining = false;
  /** Connections in plaintext that have not yet shown what they speak. */
  #prefaces: PrefaceWatch | undefined;
  readonly #parts: Http1ServerParts;
  readonly #connections: ClientConnections;

  constructor(parts: Http1ServerParts) {
    this.#parts = parts;
    this.#connections = parts.connections;
    const { certificates } = parts;
    const options = nodeOptions(parts.site().tunnels);
    this.node = certificates
      ? createTlsServer({ ...options, ...certificates.options(parts.limits().headersTimeoutMs) })
      : createServer(options);
    // Node drops fields beyond a thousand in silence; the gateway counts them instead.
    this.node.maxHeadersCount = 0;
    this.applyLimits();
    if (certificates) this.#chooseProtocol();
    else if (parts.protocols.includes('h2c')) this.#lookForHttp2();
    else this.node.on('connection', (socket: Socket) => this.#connections.add(socket, false));
    this.#listenForRequests();
  }

  /** Sets the limits of the configuration that is now in place. */
  applyLimits(): void {
    const { uriBytes, headerBytes, connections, headersTimeoutMs } = this.#parts.limits();
    Object.assign(this.node, {
      // Node stops at this size without saying which part was too large; the gateway counts the parts exactly.
      maxHeaderSize: uriBytes + headerBytes + 1024,
      headersTimeout: headersTimeoutMs,
      maxConnections: connections > 0 ? connections : Infinity,
    });
  }

  /** Node serves HTTP/1.1 on every TLS connection; here a client may also choose HTTP/2 in its handshake. */
  #chooseProtocol(): void {
    const [serveHttp1] = this.node.listeners('secureConnection');
    this.node.removeAllListeners('secureConnection');
    this.node.on('secureConnection', (socket: TLSSocket) => {
      this.#parts.counts.handshakes.ok++;
      const multiplexed = socket.alpnProtocol === 'h2';
      const connection = this.#connections.add(socket, multiplexed);
      if (multiplexed) this.#parts.acceptHttp2(socket, connection);
      // A client without ALPN gets HTTP/1.1, unless the listener does not speak it.
      else if (this.#parts.protocols.includes('http/1.1')) serveHttp1?.call(this.node, socket);
      else socket.destroy();
    });
  }

  /** In plaintext a client of HTTP/2 says so with its first bytes. */
  #lookForHttp2(): void {
    const { protocols, limits, acceptHttp2, clock } = this.#parts;
    const [serveHttp1] = this.node.listeners('connection');
    this.node.removeAllListeners('connection');
    const http2 = (socket: Socket, withinMs?: number): void =>
      acceptHttp2(socket, this.#connections.add(socket, true), withinMs);
    if (!protocols.includes('http/1.1')) {
      this.node.on('connection', (socket: Socket) => http2(socket));
      return;
    }
    const http1 = (socket: Socket): void => {
      this.#connections.add(socket, false);
      serveHttp1?.call(this.node, socket);
      socket.resume();
    };
    const refuse = (error: GatewayError) => (socket: Socket) =>
      this.#refuseBytes(socket, this.#connections.add(socket, false), error);
    const outcomes = { http1, http2, late: refuse(REQUEST_TIMEOUT), cut: refuse(MALFORMED_REQUEST) };
    const prefaces = new PrefaceWatch(outcomes, clock);
    this.#prefaces = prefaces;
    this.node.on('connection', (socket: Socket) => prefaces.watch(socket, limits().headersTimeoutMs));
  }

  /** Ends the connections that wait for a request: part of a drain, after the server was closed. */
  endIdle(): void {
    this.#prefaces?.end();
    this.node.closeIdleConnections();
  }

  #listenForRequests(): void {
    const { node } = this;
    const { counts } = this.#parts;
    const serve = (request: Http1Request, response: Http1Response): void => this.#serve(request, response);
    // A failed handshake brings no request, so there is nothing to respond to.
    node.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
      counts.handshakes[handshakeFailure(error.code, socket.authorizationError)]++;
      socket.destroy();
    });
    node.on('drop', () => counts.turnedAway++);
    node.on('request', serve);
    // By itself Node would send 100 (Continue) before the gateway has checked the token.
    node.on('checkContinue', serve);
    node.on('checkExpectation', (request: Http1Request, response: Http1Response) => {
      this.#refuse(request, response, EXPECTATION_FAILED);
    });
    node.on('upgrade', (request: Http1Request, socket, early) => this.#upgrade(request, socket, early));
    node.on('connect', (request: Http1Request, socket) => {
      this.#serveDetached(request, socket, (handler) => handler.refuse(METHOD_REFUSED));
    });
    node.on('clientError', (error: ParserError, socket) => this.#clientError(error, socket));
  }

  #handler(request: Http1Request, response: Http1Response, connection: Connection): RequestHandler {
    return this.#parts.site().handle(request, response, connection);
  }

  /** Calls back when it is this request's turn, usually at once; never if its connection is about to end. */
  #whenItsTurn(socket: Duplex, serve: (connection: ClientConnection) => void): void {
    const connection = this.#connections.of(socket);
    if (!connection || connection.closing) return;
    if (connection.isBusy) connection.enqueue(() => this.#whenItsTurn(socket, serve));
    else serve(connection);
  }

  #serve(request: Http1Request, response: Http1Response): void {
    this.#whenItsTurn(request.socket, (connection) => {
      if (connection.parserFailed && !request.complete) return;
      if (this.draining) response.shouldKeepAlive = false;
      const handler = this.#handler(request, response, connection);
      if (isServed(request)) handler.serve();
      else handler.refuse(MALFORMED_REQUEST);
    });
  }

  #refuse(request: Http1Request, response: Http1Response, error: GatewayError): void {
    this.#whenItsTurn(request.socket, (connection) =>
      this.#handler(request, response, connection).refuse(error),
    );
  }

  /** Serves a request whose socket Node has handed over (Upgrade, CONNECT). */
  #serveDetached(
    request: Http1Request,
    socket: Duplex,
    serve: (handler: RequestHandler, response: Http1Response) => void,
  ): void {
    // Node has removed its own listener, and an error without a listener ends the process.
    socket.on('error', () => socket.destroy());
    // A socket carries one response at a time.
    this.#whenItsTurn(socket, (connection) => {
      connection.detach();
      const response = responseOn(request, socket);
      serve(this.#handler(request, response, connection), response);
    });
  }

  #upgrade(request: Http1Request, socket: Duplex, early: Buffer): void {
    this.#serveDetached(request, socket, (handler, response) => {
      // A client must wait for the 101: bytes before it are meant for a server that reads them as a request.
      if (early.length > 0) {
        handler.refuse(MALFORMED_REQUEST);
        return;
      }
      const waiting = new WaitingClient(socket);
      handler.serve((headers, upstream, upstreamEarly) => {
        waiting.release();
        response.detachSocket(socket as Socket);
        this.tunnels.add(socket);
        return openTunnel({ client: socket, upstream, headers, early: upstreamEarly }, () => {
          this.tunnels.delete(socket);
          response.emit('close');
        });
      });
    });
  }

  /** Node's parser has refused a client's bytes: the client is told why, and the connection ends. */
  #clientError(error: ParserError, socket: Duplex): void {
    const connection = this.#connections.of(socket);
    const { _httpMessage: busy } = socket as Duplex & { _httpMessage?: Http1Response | null };
    if (error.code === 'ECONNRESET' || !socket.writable || !connection || connection.closing) {
      socket.destroy();
      return;
    }
    if (busy?.req.complete) {
      // The bytes stand behind a whole request, whose response the client gets first.
      connection.parserFailed = true;
      connection.enqueue(() => this.#clientError(error, socket));
      return;
    }
    if (busy?.headersSent) {
      socket.destroy();
      return;
    }
    this.#refuseBytes(socket, connection, refusalOf(error, this.#parts.limits().uriBytes));
  }

  /** Responds to bytes that are no request, and ends their connection. */
  #refuseBytes(socket: Duplex, connection: ClientConnection, error: GatewayError): void {
    const { site, clock } = this.#parts;
    connection.closing = true;
    socket.end(site().refusalText(error, connection));
    clock.after(LINGER_MS, () => socket.destroy());
  }
}

function nodeOptions(tunnels: boolean): ServerOptions<typeof Http1Request, typeof Http1Response> {
  return {
    // Long uploads are no attack; the idle timeouts end what is slow.
    requestTimeout: 0,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
    // Node would set and clear a timer for every request; the listener looks for idle connections instead.
    keepAliveTimeout: 0,
    // A request without a body is a stream at its end from the start: nothing is read from it, and nothing waits for its end.
    optimizeEmptyRequests: true,
    // A missing Host is refused like any other mistake in a request.
    requireHostHeader: false,
    shouldUpgradeCallback: tunnels ? isWebSocketHandshake : () => false,
    noDelay: true,
    ...TCP_KEEPALIVE,
    IncomingMessage: Http1Request,
    ServerResponse: Http1Response,
  };
}

function refusalOf(error: ParserError, uriBytes: number): GatewayError {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return REQUEST_TIMEOUT;
  if (error.code !== 'HPE_HEADER_OVERFLOW') return MALFORMED_REQUEST;
  const lineEnd = error.rawPacket?.indexOf('\r\n') ?? 0;
  return lineEnd < 0 || lineEnd > uriBytes + 'OPTIONS  HTTP/1.1'.length ? URI_TOO_LONG : HEADERS_TOO_LARGE;
}

/** Node's parser takes other versions too, on a connection whose messages are not theirs (RFC 9112 section 2.3). */
function isServed({ httpVersion }: Http1Request): boolean {
  return httpVersion === '1.1' || httpVersion === '1.0';
}

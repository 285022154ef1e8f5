/**
 * A public listener: Node's HTTP server, set so that nothing it does by itself escapes the rules. Rules H2 to H8, H12, H16, H18, H19.
 */
import { createServer, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import {
  ClientConnections,
  LINGER_MS,
  type ClientConnection,
  type ConnectionPolicy,
} from './client-connections.ts';
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
import type { Connection } from './connection.ts';
import { Http2Sessions } from './http2-sessions.ts';
import { Http1Response } from './http1-response.ts';
import { isWebSocketHandshake } from '../http/websocket-protocol.ts';
import { Http1Request } from './http1-request.ts';
import { ListenerCertificates, type ListenerTls } from '../tls/server-certificates.ts';
import { openTunnel } from './tunnel.ts';
import type { ClientResponse, ClientRequest } from './exchange.ts';
import type { RequestHandler, Site } from './request-handler.ts';

/** Node's, for requests and answers of ours. */
type ClientServer =
  Server<typeof Http1Request, typeof Http1Response> | TlsServer<typeof Http1Request, typeof Http1Response>;

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly reusePort: boolean;
  /** Undefined: plaintext. */
  readonly tls: ListenerTls | undefined;
  /** Of HTTP/2 requests: a field that nghttp2 drops is noticed. */
  readonly countsFields: boolean;
  /** Value of Strict-Transport-Security; undefined: it is not sent. */
  readonly strictTransportSecurity: string | undefined;
  readonly uriBytes: number;
  readonly headerBytes: number;
  /** 0 = no limit. */
  readonly connections: number;
  readonly headersTimeoutMs: number;
  readonly idleTimeoutMs: number;
}

/** How often Node looks for connections that are too slow: header timeouts are late by at most this. */
const CHECK_INTERVAL_MS = 1_000;
/** RFC 6797. */
const STS = 'strict-transport-security';
/** During a drain, how often connections that have become idle are closed. */
const DRAIN_STEP_MS = 50;

export class Listener {
  #options: ListenerOptions;
  #site: Site;
  readonly #clock: Clock;
  readonly #certificates: ListenerCertificates | undefined;
  readonly #server: ClientServer;
  readonly #http2: Http2Sessions;
  readonly #connections: ClientConnections;
  #cancelIdleCheck: () => void = () => undefined;
  readonly #tunnels = new Set<Duplex>();
  #draining = false;

  constructor(options: ListenerOptions, site: Site, clock: Clock) {
    this.#options = options;
    this.#site = site;
    this.#clock = clock;
    this.#certificates = options.tls && new ListenerCertificates(options.tls);
    this.#connections = new ClientConnections(this.#connectionPolicy, clock);
    this.#http2 = new Http2Sessions(
      () => this.#options,
      (request, response, connection) => this.#handler(request, response, connection).serve(),
      clock,
    );
    this.#server = this.#createServer();
  }

  /**
   * @param failed told when a connection could not be accepted; the listener goes on
   * @throws Error where the address cannot be opened
   */
  async listen(failed: (error: Error) => void): Promise<void> {
    const { host, port, reusePort } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject);
    this.#server.listen({ host, port, reusePort }, resolve);
    await promise;
    this.#server.off('error', reject);
    this.#server.on('error', failed);
    this.#checkIdle();
  }

  get address(): AddressInfo {
    return this.#server.address() as AddressInfo;
  }

  /** Another configuration is in place: from the next request on. Address and port stay. */
  update(options: ListenerOptions, site: Site): void {
    this.#options = options;
    this.#site = site;
    this.#setLimits(this.#server);
    this.#connections.update(this.#connectionPolicy);
    if (!options.tls || !this.#certificates) return;
    this.#certificates.update(options.tls);
    if ('setSecureContext' in this.#server) this.#server.setSecureContext(this.#certificates.contextOptions);
  }

  /**
   * Answers say that their connection ends, for `delayMs`. From then on no new connections; requests in flight and
   * tunnels end, or are ended after `drainMs`.
   */
  async drain(delayMs: number, drainMs: number): Promise<void> {
    this.#draining = true;
    // Not the injected clock's timers, which would let the process end before the drain has.
    if (delayMs > 0) await pause(delayMs);
    this.#cancelIdleCheck();
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#http2.drain();
    const deadlineMs = this.#clock.monotonicMs() + drainMs;
    let done = false;
    void closed.then(() => (done = true));
    while (!(done && this.#tunnels.size === 0) && this.#clock.monotonicMs() < deadlineMs) {
      this.#server.closeIdleConnections();
      const step = pause(DRAIN_STEP_MS);
      await Promise.race([step, closed.then(() => (this.#tunnels.size === 0 ? undefined : step))]);
    }
    for (const socket of this.#tunnels) socket.destroy();
    this.#http2.destroy();
    this.#server.closeAllConnections();
    await closed;
  }

  #createServer(): ClientServer {
    const options: ServerOptions<typeof Http1Request, typeof Http1Response> = {
      // Long uploads are no attack; what is slow is ended by the idle timeouts.
      requestTimeout: 0,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
      // Node would set and clear a timer for every request; idle connections are looked for below instead.
      keepAliveTimeout: 0,
      // A missing Host is answered like any other refusal.
      requireHostHeader: false,
      shouldUpgradeCallback: this.#site.tunnels ? isWebSocketHandshake : () => false,
      noDelay: true,
      IncomingMessage: Http1Request,
      ServerResponse: Http1Response,
    };
    const server = this.#certificates
      ? createTlsServer({ ...options, ...this.#certificates.options(this.#options.headersTimeoutMs) })
      : createServer(options);
    // Node would drop fields beyond a thousand in silence; ours are counted.
    server.maxHeadersCount = 0;
    this.#setLimits(server);
    const serve = (request: Http1Request, response: Http1Response): void => this.#serve(request, response);
    if (this.#certificates) this.#chooseProtocol(server);
    else server.on('connection', (socket: Socket) => this.#connections.add(socket, false));
    // A handshake that failed is no request, and nobody to answer.
    server.on('tlsClientError', (_error: Error, socket: Socket) => socket.destroy());
    server.on('request', serve);
    // By itself Node would tell the client to go on before anybody has looked at its token.
    server.on('checkContinue', serve);
    server.on('checkExpectation', (request: Http1Request, response: Http1Response) => {
      this.#refuse(request, response, EXPECTATION_FAILED);
    });
    server.on('upgrade', (request: Http1Request, socket, early) => this.#upgrade(request, socket, early));
    server.on('connect', (request: Http1Request, socket) => {
      this.#serveAlone(request, socket, (handler) => handler.refuse(METHOD_REFUSED));
    });
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => this.#clientError(error, socket));
    return server;
  }

  /** Node's own way to serve HTTP/1.1 is one of two here: a client that can chooses HTTP/2 in its handshake. */
  #chooseProtocol(server: ClientServer): void {
    const [serveHttp1] = server.listeners('secureConnection');
    server.removeAllListeners('secureConnection');
    server.on('secureConnection', (socket: TLSSocket) => {
      const multiplexed = socket.alpnProtocol === 'h2';
      const connection = this.#connections.add(socket, multiplexed);
      if (multiplexed) this.#http2.accept(socket, connection);
      else serveHttp1?.call(server, socket);
    });
  }

  #setLimits(server: ClientServer): void {
    const { uriBytes, headerBytes, connections, headersTimeoutMs } = this.#options;
    Object.assign(server, {
      // Node stops at this size without saying which part was too large; ours are counted exactly.
      maxHeaderSize: uriBytes + headerBytes + 1024,
      headersTimeout: headersTimeoutMs,
      maxConnections: connections > 0 ? connections : Infinity,
    });
  }

  /** What this listener says of its connections, by the configuration as it is. */
  get #connectionPolicy(): ConnectionPolicy {
    const { strictTransportSecurity, tls } = this.#options;
    return {
      scheme: tls ? 'https' : 'http',
      isTrusted: (peer) => this.#site.isTrusted(peer),
      commonHeaders: strictTransportSecurity === undefined ? [] : [STS, strictTransportSecurity],
    };
  }

  /** Ends the connections that have been idle for too long. */
  #checkIdle(): void {
    for (const socket of this.#connections.idleFor(this.#options.idleTimeoutMs)) {
      if (!this.#http2.end(socket)) socket.destroy();
    }
    this.#cancelIdleCheck = this.#clock.after(CHECK_INTERVAL_MS, () => this.#checkIdle());
  }

  #handler(request: ClientRequest, response: ClientResponse, connection: Connection): RequestHandler {
    return this.#site.handle(request, response, connection);
  }

  /** Calls back when it is this request's turn, at once as a rule; never where its connection is about to end. */
  #whenItsTurn(socket: Duplex, serve: (connection: ClientConnection) => void): void {
    const connection = this.#connections.of(socket);
    if (!connection || connection.closing) return;
    if (connection.isBusy) connection.enqueue(() => this.#whenItsTurn(socket, serve));
    else serve(connection);
  }

  #serve(request: Http1Request, response: Http1Response): void {
    this.#whenItsTurn(request.socket, (connection) => {
      if (connection.parserFailed && !request.complete) return;
      if (this.#draining) response.shouldKeepAlive = false;
      this.#handler(request, response, connection).serve();
    });
  }

  #refuse(request: Http1Request, response: Http1Response, error: GatewayError): void {
    this.#whenItsTurn(request.socket, (connection) =>
      this.#handler(request, response, connection).refuse(error),
    );
  }

  /** For a request whose socket Node has handed over: for a tunnel, or whatever else it becomes. */
  #serveAlone(
    request: Http1Request,
    socket: Duplex,
    serve: (handler: RequestHandler, response: Http1Response) => void,
  ): void {
    // Node listens to it no more, and an error that nobody listens to ends the process.
    socket.on('error', () => socket.destroy());
    // Not before it is its turn: there is one response on a socket at a time.
    this.#whenItsTurn(socket, (connection) => {
      connection.detach();
      const response = this.#responseOn(request, socket);
      serve(this.#handler(request, response, connection), response);
    });
  }

  #upgrade(request: Http1Request, socket: Duplex, early: Buffer): void {
    this.#serveAlone(request, socket, (handler, response) => {
      // A client must wait for the 101: bytes before it are meant for somebody who reads them as a request.
      if (early.length > 0) {
        handler.refuse(MALFORMED_REQUEST);
        return;
      }
      handler.serve((headers, upstream, upstreamEarly) => {
        response.detachSocket(socket as Socket);
        this.#tunnels.add(socket);
        return openTunnel({ client: socket, upstream, headers, early: upstreamEarly }, () => {
          this.#tunnels.delete(socket);
          response.emit('close');
        });
      });
    });
  }

  /** An ordinary response on a socket that Node has handed over, for whatever is not a tunnel. */
  #responseOn(request: Http1Request, socket: Duplex): Http1Response {
    const response = new Http1Response(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket as Socket);
    // Node passes this on only for sockets that are still its server's.
    socket.on('drain', () => response.emit('drain'));
    response.on('finish', () => {
      response.detachSocket(socket as Socket);
      (socket as Socket).destroySoon();
      response.emit('close');
    });
    return response;
  }

  /** What Node's parser refuses never becomes a request; the client is told why, and the connection ends. */
  #clientError(error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket: Duplex): void {
    const connection = this.#connections.of(socket);
    const { _httpMessage: busy } = socket as Duplex & { _httpMessage?: Http1Response | null };
    if (error.code === 'ECONNRESET' || !socket.writable || !connection || connection.closing) {
      socket.destroy();
      return;
    }
    if (busy?.req.complete) {
      // It stands behind a request that is whole, and is still owed its answer.
      connection.parserFailed = true;
      connection.enqueue(() => this.#clientError(error, socket));
      return;
    }
    if (busy?.headersSent) {
      socket.destroy();
      return;
    }
    connection.closing = true;
    socket.end(this.#site.refusalText(parserError(error, this.#options.uriBytes), connection));
    this.#clock.after(LINGER_MS, () => socket.destroy());
  }
}

function parserError(error: NodeJS.ErrnoException & { rawPacket?: Buffer }, uriBytes: number): GatewayError {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return REQUEST_TIMEOUT;
  if (error.code !== 'HPE_HEADER_OVERFLOW') return MALFORMED_REQUEST;
  const lineEnd = error.rawPacket?.indexOf('\r\n') ?? 0;
  return lineEnd < 0 || lineEnd > uriBytes + 'OPTIONS  HTTP/1.1'.length ? URI_TOO_LONG : HEADERS_TOO_LARGE;
}

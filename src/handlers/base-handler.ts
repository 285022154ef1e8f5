/**
 * Base class of all request handlers: reads the head, sends refusals and the gateway's own responses, and keeps the
 * exchange record. What a handler decides with is in its own fields: the record is for telemetry.
 */
import { STATUS_CODES } from 'node:http';
import type { ClientResponse, ClientRequest } from '../server/exchange.ts';
import type { Clock } from '../clock.ts';
import { GatewayError, INTERNAL_ERROR } from '../errors.ts';
import type { Connection } from '../server/connection.ts';
import type { Gateway, RequestContext } from '../gateway.ts';
import { corsHeaders } from '../http/cors.ts';
import { clientAddress, type TrustedPeers } from '../http/client-address.ts';
import { clientCertificateOf, type ClientCertificate } from '../http/client-cert-header.ts';
import { forwardedForChain } from '../http/forwarded-headers.ts';
import { plainChallenge, usedScheme } from '../http/challenge.ts';
import type { PublicUrl } from '../http/public-url.ts';
import { problemResponse, type RefusalContext } from '../http/problem.ts';
import { readHead, type RawHead, type RequestHead } from '../http/request-head.ts';
import { fieldLines } from '../http/field-list.ts';
import type { OpenTunnel, RequestHandler, Site } from '../server/request-handler.ts';
import type { Exchange } from '../telemetry/exchange.ts';
import type { Observer } from '../telemetry/observer.ts';
import type { Route } from '../policy.ts';
import type { InFlightLimiter } from './in-flight-limiter.ts';
import { exceedsDiscardLimit, reject } from './reject.ts';
import { describeError, type Logger } from '../telemetry/logger.ts';
import { newRequestId, type TraceContext } from '../telemetry/trace-context.ts';

/** What handlers of every kind share. */
export interface HandlerParts {
  readonly gateway: Gateway;
  readonly limiter: InFlightLimiter;
  readonly observer: Observer;
  readonly logger: Logger;
  readonly clock: Clock;
  /** By which clients reach the listener; undefined where the configuration does not say. */
  readonly publicUrl: PublicUrl | undefined;
  /** Peers whose header Client-Cert is believed. */
  readonly certificateProxies: TrustedPeers;
}

/** What the handlers of one listener share. */
export interface HandlerSite extends HandlerParts, Site {
  /** A refusal as the clients of this listener get it. */
  readonly refusalFor: (error: GatewayError) => GatewayError;
}

/** A length beside them would be that of another response (RFC 9110 section 8.6). */
const NO_CONTENT: ReadonlySet<number> = new Set([204, 304]);

export abstract class BaseHandler<R extends HandlerSite = HandlerSite>
  implements RequestHandler, RequestContext
{
  readonly connection: Connection;
  /** The client's, where it sent a valid one. */
  requestId = newRequestId();
  /** The address of the client; behind a trusted proxy, the one that the proxy tells. */
  clientIp: string;
  /** Undefined until the head has been read. */
  trace: TraceContext | undefined;
  protected readonly request: ClientRequest;
  protected readonly response: ClientResponse;
  protected readonly site: R;
  /** Notes for telemetry; nothing here reads it. */
  protected readonly exchange: Exchange;
  #head: RequestHead | undefined;
  #route: Route | undefined;
  #nonce: string | undefined;

  constructor(site: R, request: ClientRequest, response: ClientResponse, connection: Connection) {
    this.site = site;
    this.request = request;
    this.response = response;
    this.connection = connection;
    this.clientIp = connection.peer;
    this.exchange = site.observer.begin(request.method ?? '', connection.peer, this.requestId);
    site.limiter.enter();
    connection.requestStarted();
  }

  /** Serves the request. `openTunnel` is there where the client asks to switch to WebSocket. */
  abstract serve(openTunnel?: OpenTunnel): void;

  matched(route: Route): void {
    this.#route = route;
  }

  get publicUrl(): PublicUrl | undefined {
    return this.site.publicUrl;
  }

  clientCertificate(): ClientCertificate {
    return (
      this.#head && clientCertificateOf(this.#head, this.#isCertificateProxy(), () => this.seenCertificate())
    );
  }

  hasUnclearCertificate(): boolean {
    return this.#isCertificateProxy() && this.clientCertificate() === null;
  }

  #isCertificateProxy(): boolean {
    return this.site.certificateProxies.has(this.connection.peer);
  }

  /** What the listener itself has seen of the client's certificate, where no header counts. */
  protected seenCertificate(): ClientCertificate {
    return this.connection.clientCertificateThumbprint;
  }

  offerNonce(nonce: string): void {
    this.#nonce = nonce;
  }

  /** Responds to a request that the listener refuses. */
  refuse(error: GatewayError): void {
    this.response.on('close', () => this.requestEnded());
    this.fail(error);
  }

  fail(thrown: unknown): void {
    const { exchange, request } = this;
    const error = this.failed(thrown);
    this.responseComplete();
    const closes = this.endsConnection(error.close || this.response.headersSent);
    exchange.bytesOut += reject(this.response, error, {
      ...this.refusalContext(),
      isHead: request.method === 'HEAD',
      closes,
      isStream: this.connection.multiplexed,
      headers: [...this.nonceHeaders(), ...this.corsHeaders(), ...this.connection.commonHeaders],
      grpcType: this.grpcType,
    });
  }

  /** Counts and logs a refusal. Returns it as the clients of this listener get it. */
  protected failed(thrown: unknown): GatewayError {
    const { observer, logger, refusalFor } = this.site;
    const { exchange, requestId } = this;
    if (!(thrown instanceof GatewayError))
      logger.error({ request_id: requestId, err: thrown }, 'a bug: please report it with this stack');
    const error = refusalFor(thrown instanceof GatewayError ? thrown : INTERNAL_ERROR);
    const isTold = error.source === 'upstream' || error.reason === 'replay_unavailable';
    if (isTold && error.cause !== undefined) exchange.failureCause = describeError(error.cause);
    observer.failed(exchange, error);
    return error;
  }

  /** The media type of a request of gRPC that is to be refused as gRPC does. */
  protected get grpcType(): string | undefined {
    return undefined;
  }

  /** Is the response that is sent now the last one on its connection? Then nothing behind it is served. */
  protected endsConnection(mustEnd = false): boolean {
    const { connection } = this;
    if (connection.multiplexed || !(mustEnd || exceedsDiscardLimit(this.#bodyBytesLeft()))) return false;
    connection.closing = true;
    return true;
  }

  /** The gateway's own response to a request that is not refused. */
  protected respond(status: number, headers: readonly string[], body = ''): void {
    const { exchange, response, connection } = this;
    const bytes = Buffer.byteLength(body);
    exchange.status = status;
    exchange.bytesOut = bytes;
    response.writeHead(status, [
      ...headers,
      ...(NO_CONTENT.has(status) ? [] : ['content-length', String(bytes)]),
      'x-request-id',
      this.requestId,
      ...connection.commonHeaders,
      ...(this.endsConnection() ? ['connection', 'close'] : []),
    ]);
    this.responseComplete();
    response.end(body === '' || this.request.method === 'HEAD' ? undefined : body);
  }

  /** What a refusal of this request says besides its error. */
  protected refusalContext(): RefusalContext {
    return {
      challenge: this.#route?.challenge ?? plainChallenge(this.site.gateway.policy.realm),
      scheme: usedScheme(this.#head?.authorization ?? []),
      requestId: this.requestId,
    };
  }

  /** Without them, a browser's script could not even see that it was refused. */
  protected corsHeaders(): readonly string[] {
    const cors = this.#route?.cors;
    return cors && this.#head ? corsHeaders(cors, this.#head) : [];
  }

  /** The nonce for the next proof (RFC 9449 section 8.2). */
  protected nonceHeaders(): readonly string[] {
    return this.#nonce === undefined ? [] : ['dpop-nonce', this.#nonce];
  }

  /** The request as it stands on the wire. */
  protected rawHead(wantsTunnel: boolean): RawHead {
    return {
      method: this.request.method ?? '',
      target: this.request.url ?? '',
      httpVersion: this.request.httpVersion,
      rawHeaders: this.request.rawHeaders,
      scheme: this.connection.scheme,
      bodyFollows: this.request.bodyFollows,
      wantsTunnel,
    };
  }

  /**
   * @param proxies peers that are believed about the client's address; undefined where this peer is not
   * @param peer who sent the request: another proxy may have said so
   */
  protected readHead(
    raw: RawHead,
    proxies: TrustedPeers | undefined,
    peer = this.connection.peer,
  ): RequestHead {
    const { gateway, observer, limiter } = this.site;
    const { exchange } = this;
    const head = readHead(raw, gateway.policy.headerTable, gateway.policy.headLimits);
    this.#head = head;
    exchange.head = head;
    exchange.method = head.method;
    this.requestId = head.requestId ?? this.requestId;
    exchange.requestId = this.requestId;
    this.trace = observer.headRead(exchange, head);
    if (proxies) this.clientIp = clientAddress(peer, forwardedForChain(head), proxies);
    exchange.clientIp = this.clientIp;
    limiter.check();
    return head;
  }

  /** Undefined where it is unknown. */
  #bodyBytesLeft(): number | undefined {
    const head = this.#head;
    if (this.request.complete || head?.hasBody === false) return 0;
    // A client that waits for a go-ahead may or may not send its body after a response.
    return head?.expectsContinue === true ? undefined : head?.contentLength;
  }

  /** The response is complete; its client may not have taken it yet. */
  protected responseComplete(): void {
    this.connection.responseComplete(this.site.clock.monotonicMs());
  }

  /** The response has ended, or the client has gone. Once for each request. */
  protected requestEnded(): void {
    const { observer, limiter, clock } = this.site;
    const nowMs = clock.monotonicMs();
    this.exchange.ended(this.connection.isCutOff);
    observer.end(this.exchange, nowMs);
    limiter.leave();
    this.connection.requestEnded(nowMs);
  }
}

/** The parts of a site that are the same for handlers of every kind. */
export function commonSite(
  { gateway, observer, clock }: HandlerParts,
  refusalFor: (error: GatewayError) => GatewayError,
): Pick<HandlerSite, 'refusalFor' | 'isTrusted' | 'refusalText'> {
  return {
    refusalFor,
    isTrusted: (peer) => gateway.policy.trustedPeers.has(peer),
    refusalText(refused, { peer, commonHeaders }) {
      const requestId = newRequestId();
      const exchange = observer.begin('', peer, requestId);
      const error = refusalFor(refused);
      observer.failed(exchange, error);
      observer.end(exchange, clock.monotonicMs());
      const {
        status,
        headers: own,
        body,
      } = problemResponse(error, {
        challenge: plainChallenge(gateway.policy.realm),
        scheme: 'Bearer',
        requestId,
      });
      const statusLine = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`;
      return `${statusLine}\r\nconnection: close\r\n${fieldLines([...own, ...commonHeaders])}\r\n${body}`;
    },
  };
}

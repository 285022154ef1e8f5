/**
 * Whoever comes to a listener, with one request: what is the same for all of them. Reading the head, answering a
 * refusal, and the notes that are taken.
 */
import { STATUS_CODES } from 'node:http';
import type { ClientResponse, ClientRequest } from '../server/exchange.ts';
import { GatewayError, INTERNAL_ERROR, OVERLOADED } from '../errors.ts';
import type { Connection } from '../server/connection.ts';
import type { Gateway } from '../gateway.ts';
import { corsHeaders } from '../http/cors.ts';
import { clientAddress, type TrustedPeers } from '../http/client-address.ts';
import { forwardedForChain } from '../http/forwarded-headers.ts';
import { problemResponse } from '../http/problem.ts';
import { readHead, type RawHead, type RequestHead } from '../http/request-head.ts';
import { fieldLines } from '../http/field-list.ts';
import type { OpenTunnel, RequestHandler, Site } from '../server/request-handler.ts';
import type { Exchange } from '../telemetry/exchange.ts';
import type { Observer } from '../telemetry/observer.ts';
import { exceedsDiscardLimit, reject } from './reject.ts';
import { describeError, type Logger } from '../telemetry/logger.ts';
import { newRequestId } from '../telemetry/trace-context.ts';

/** What handlers of every kind share. */
export interface HandlerParts {
  readonly gateway: Gateway;
  readonly observer: Observer;
  readonly logger: Logger;
}

/** What the handlers of one listener share. */
export interface HandlerSite extends HandlerParts, Site {
  /** A refusal as this listener's clients are to get it. */
  readonly refusalFor: (error: GatewayError) => GatewayError;
}

export abstract class BaseHandler<R extends HandlerSite = HandlerSite> implements RequestHandler {
  protected readonly request: ClientRequest;
  protected readonly response: ClientResponse;
  protected readonly connection: Connection;
  protected readonly exchange: Exchange;
  protected readonly site: R;

  constructor(site: R, request: ClientRequest, response: ClientResponse, connection: Connection) {
    this.site = site;
    this.request = request;
    this.response = response;
    this.connection = connection;
    this.exchange = site.observer.begin(request.method ?? '', connection.peer, newRequestId());
    connection.requestStarted();
  }

  /** Serves the request. `openTunnel` is there where the client asks to switch to WebSocket. */
  abstract serve(openTunnel?: OpenTunnel): void;

  /** Answers a request that the listener refuses. */
  refuse(error: GatewayError): void {
    this.response.on('close', () => this.requestEnded());
    this.fail(error);
  }

  fail(thrown: unknown): void {
    const { observer, logger, gateway, refusalFor: responseTo } = this.site;
    const { exchange, request } = this;
    if (!(thrown instanceof GatewayError)) {
      logger.error(
        { request_id: exchange.requestId, err: thrown },
        'a bug: please report it with this stack',
      );
    }
    const error = responseTo(thrown instanceof GatewayError ? thrown : INTERNAL_ERROR);
    if (error.source === 'upstream' && error.cause !== undefined)
      exchange.failureCause = describeError(error.cause);
    observer.failed(exchange, error);
    this.responseComplete();
    const closes = this.endsConnection(error.close || this.response.headersSent);
    exchange.bytesOut += reject(this.response, error, {
      realm: gateway.policy.realm,
      requestId: exchange.requestId,
      isHead: request.method === 'HEAD',
      closes,
      headers: [...this.#corsHeaders(), ...this.connection.commonHeaders],
    });
  }

  /** Is the answer that is given now the last one on its connection? Then nothing behind it is served. */
  protected endsConnection(mustEnd = false): boolean {
    const { connection } = this;
    if (connection.multiplexed || !(mustEnd || exceedsDiscardLimit(this.#bodyBytesLeft()))) return false;
    connection.closing = true;
    return true;
  }

  /** The gateway's own answer to a request that is not refused. */
  protected respond(status: number, headers: readonly string[], body = ''): void {
    const { exchange, response, connection } = this;
    exchange.status = status;
    exchange.bytesOut = Buffer.byteLength(body);
    response.writeHead(status, [
      ...headers,
      ...(status === 204 ? [] : ['content-length', String(exchange.bytesOut)]),
      'x-request-id',
      exchange.requestId,
      ...connection.commonHeaders,
      ...(this.endsConnection() ? ['connection', 'close'] : []),
    ]);
    this.responseComplete();
    response.end(body === '' || this.request.method === 'HEAD' ? undefined : body);
  }

  /** Without them, a browser's script could not even see that it was refused. */
  #corsHeaders(): readonly string[] {
    const { route, head } = this.exchange;
    return route?.cors && head ? corsHeaders(route.cors, head) : [];
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

  /** @param proxies who is believed about the client's address; undefined where the peer is not */
  protected readHead(raw: RawHead, proxies: TrustedPeers | undefined): RequestHead {
    const { policy } = this.site.gateway;
    const { exchange } = this;
    const head = readHead(raw, policy.headerTable, policy.headLimits);
    exchange.head = head;
    exchange.method = head.method;
    if (head.requestId !== undefined) exchange.requestId = head.requestId;
    this.site.observer.headRead(exchange, head);
    if (proxies) exchange.clientIp = clientAddress(this.connection.peer, forwardedForChain(head), proxies);
    if (policy.inFlight > 0 && this.site.observer.inFlight > policy.inFlight) throw OVERLOADED;
    return head;
  }

  /** Undefined where nobody knows. */
  #bodyBytesLeft(): number | undefined {
    const { head } = this.exchange;
    if (this.request.complete || head?.hasBody === false) return 0;
    // A client that waits for a go-ahead may or may not send its body after an answer: nobody can tell.
    return head?.expectsContinue === true ? undefined : head?.contentLength;
  }

  /** The answer is complete; its client may not have taken it yet. */
  protected responseComplete(): void {
    this.connection.responseComplete(this.site.observer.nowMs);
  }

  /** The answer has ended, or the client has gone. Once for each request. */
  protected requestEnded(): void {
    const { observer } = this.site;
    observer.end(this.exchange);
    this.connection.requestEnded(observer.endedAtMs(this.exchange));
  }
}

/** What of a site is the same for handlers of every kind. */
export function commonSite(
  { gateway, observer }: HandlerParts,
  responseTo: (error: GatewayError) => GatewayError,
): Pick<HandlerSite, 'refusalFor' | 'isTrusted' | 'refusalText'> {
  return {
    refusalFor: responseTo,
    isTrusted: (peer) => gateway.policy.trustedPeers.has(peer),
    refusalText(refused, { peer, commonHeaders: alwaysSaid }) {
      const exchange = observer.begin('', peer, newRequestId());
      const error = responseTo(refused);
      observer.failed(exchange, error);
      observer.end(exchange);
      const { status, headers: own, body } = problemResponse(error, gateway.policy.realm, exchange.requestId);
      const statusLine = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`;
      return `${statusLine}\r\nconnection: close\r\n${fieldLines([...own, ...alwaysSaid])}\r\n${body}`;
    },
  };
}

/**
 * One request on the wire: from Node's request and response into the pipeline, on to the upstream, and back, or
 * to a refusal.
 */
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { ClientBody } from './client-body.ts';
import { GatewayError, INTERNAL_ERROR, OVERLOADED } from './errors.ts';
import type { Connection, Gateway } from './gateway.ts';
import type { AnswerHeaders } from './http/answer-head.ts';
import { clientAddress } from './http/client-address.ts';
import { forwardedForChain } from './http/forwarded-headers.ts';
import { problemAnswer } from './http/problem.ts';
import { readHead, type RequestHead } from './http/request-head.ts';
import type { LiveStream, LiveStreams } from './live-streams.ts';
import type { LogoutEndpoint, LogoutReceiver } from './logout-receiver.ts';
import { whenReady } from './maybe-promise.ts';
import type { Exchange, Observer } from './stages/observe.ts';
import { reject } from './stages/reject.ts';
import { Responder, type ResponderHooks } from './stages/respond.ts';
import type { OutboundRequest } from './stages/rewrite-headers.ts';
import { describeError, type Logger } from './telemetry/logger.ts';
import { continueTrace, newRequestId } from './telemetry/trace-context.ts';
import type { Tunnel } from './tunnel.ts';
import type { Forwarder } from './upstream/forwarder.ts';

/** How a client's connection is switched to a tunnel. */
export type OpenTunnel = (headers: AnswerHeaders, upstream: Duplex, early: Buffer) => Tunnel;

/** What every visit needs; one for a listener. */
export interface Reception {
  readonly gateway: Gateway;
  readonly forwarder: Forwarder;
  readonly observer: Observer;
  readonly streams: LiveStreams;
  readonly logouts: LogoutReceiver;
  readonly logger: Logger;
}

/** nginx's number for "the client has gone"; it is counted and logged, never sent. */
const CLIENT_CLOSED_REQUEST = 499;

export class Visit implements ResponderHooks {
  readonly #reception: Reception;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #connection: Connection;
  readonly #exchange: Exchange;
  #body: ClientBody | undefined;
  #openTunnel: OpenTunnel | undefined;
  /** Of this exchange, where it lasts. */
  #stream: LiveStream | undefined;

  constructor(
    reception: Reception,
    request: IncomingMessage,
    response: ServerResponse,
    connection: Connection,
  ) {
    this.#reception = reception;
    this.#request = request;
    this.#response = response;
    this.#connection = connection;
    this.#exchange = reception.observer.begin(request.method ?? '', connection.peer, newRequestId());
    connection.inFlight++;
  }

  /** Serves the request. `openTunnel` is there where the client asks to switch to WebSocket. */
  serve(openTunnel?: OpenTunnel): void {
    this.#openTunnel = openTunnel;
    const responder = new Responder(this.#exchange, this.#response, this);
    this.#response.on('close', () => this.#closed(responder));
    try {
      const head = this.#readHead();
      const endpoint = this.#reception.logouts.endpointOf(head);
      if (endpoint) {
        void this.#receiveLogout(endpoint);
        return;
      }
      const decided = whenReady(
        this.#reception.gateway.decide(head, this.#connection, this.#exchange),
        (outbound) => this.#forward(outbound, responder),
      );
      if (decided instanceof Promise) decided.catch((error: unknown) => this.fail(error));
    } catch (error) {
      this.fail(error);
    }
  }

  /** Answers a request that the listener refuses. */
  refuse(error: GatewayError): void {
    this.#response.on('close', () => this.#ended());
    this.fail(error);
  }

  answered(): void {
    this.#reception.observer.answered(this.#exchange);
  }

  tunnel(headers: AnswerHeaders, upstream: Duplex, early: Buffer): void {
    this.#exchange.status = 101;
    const tunnel = this.#openTunnel?.(headers, upstream, early);
    this.#watch(true, () => tunnel?.close());
  }

  lasts(isStream: boolean): void {
    this.#watch(isStream, () => this.#response.destroy());
  }

  /** From now on the exchange ends when its token is revoked; a stream also when it expires, if the route says so. */
  #watch(isStream: boolean, close: () => void): void {
    const { streams } = this.#reception;
    const { token, route } = this.#exchange;
    if (!token) return;
    if (this.#stream) streams.unwatch(this.#stream);
    this.#stream = {
      token,
      endsWithToken: isStream && route?.streamsExpired === 'close',
      close: (reason) => {
        this.#exchange.failure = `token_${reason}`;
        close();
      },
    };
    streams.watch(this.#stream);
  }

  fail(thrown: unknown): void {
    const { observer, logger, gateway } = this.#reception;
    const exchange = this.#exchange;
    let error: GatewayError;
    if (thrown instanceof GatewayError) {
      error = thrown;
    } else {
      error = INTERNAL_ERROR;
      logger.error(
        { request_id: exchange.requestId, err: thrown },
        'a bug: please report it with this stack',
      );
    }
    if (error.source === 'upstream' && error.cause !== undefined)
      exchange.failureCause = describeError(error.cause);
    observer.failed(exchange, error);
    const { bytes, closes } = reject(this.#response, error, {
      realm: gateway.policy.realm,
      requestId: exchange.requestId,
      isHead: this.#request.method === 'HEAD',
      bodyBytesLeft: bodyBytesLeft(this.#request, exchange.head),
    });
    exchange.bytesOut += bytes;
    if (closes) this.#connection.closing = true;
  }

  #readHead(): RequestHead {
    const { policy } = this.#reception.gateway;
    const exchange = this.#exchange;
    const { peer, peerIsTrusted, scheme } = this.#connection;
    const head = readHead(
      {
        method: this.#request.method ?? '',
        target: this.#request.url ?? '',
        httpVersion: this.#request.httpVersion,
        rawHeaders: this.#request.rawHeaders,
        scheme,
        wantsTunnel: this.#openTunnel !== undefined,
      },
      policy.headerTable,
      policy.headLimits,
    );
    exchange.head = head;
    if (head.requestId !== undefined) exchange.requestId = head.requestId;
    exchange.trace = continueTrace(head.traceparent);
    if (peerIsTrusted) exchange.clientIp = clientAddress(peer, forwardedForChain(head), policy.trustedPeers);
    if (policy.inFlight > 0 && this.#reception.observer.inFlight > policy.inFlight) throw OVERLOADED;
    return head;
  }

  #forward(outbound: OutboundRequest, responder: Responder): void {
    const { forwarder, observer, gateway } = this.#reception;
    observer.forwarded(this.#exchange, outbound);
    if (this.#openTunnel) {
      responder.attach(forwarder.forwardUpgrade(outbound, responder));
      return;
    }
    if (outbound.hasBody) {
      // Only now, when the request is known to be permitted, is the client asked to send its body (rule H11).
      if (this.#exchange.head?.expectsContinue === true) this.#response.writeContinue();
      this.#body = new ClientBody(this.#request, gateway.policy.headLimits.bodyBytes);
      this.lasts(false);
    }
    responder.attach(forwarder.forward(outbound, this.#body, responder));
  }

  async #receiveLogout(endpoint: LogoutEndpoint): Promise<void> {
    const exchange = this.#exchange;
    if (exchange.head?.expectsContinue === true) this.#response.writeContinue();
    try {
      await this.#reception.logouts.receive(endpoint, this.#request, exchange.clientIp);
    } catch (error) {
      this.fail(error);
      return;
    }
    exchange.status = 200;
    const headers = ['cache-control', 'no-store', 'content-length', '0', 'x-request-id', exchange.requestId];
    this.#response.writeHead(exchange.status, headers).end();
  }

  /** The answer has ended, or the client has gone. */
  #closed(responder: Responder): void {
    const exchange = this.#exchange;
    if (!this.#response.writableFinished && exchange.status !== 101) {
      responder.clientGone();
      if (exchange.status === 0) exchange.status = CLIENT_CLOSED_REQUEST;
    }
    if (this.#body) {
      exchange.bytesIn = this.#body.bytes;
      // The upstream did not wait for the whole body: what still comes of it must not hold up the connection.
      if (!this.#request.complete) this.#endConnection();
    }
    this.#ended();
  }

  #endConnection(): void {
    this.#connection.closing = true;
    this.#request.socket.destroySoon();
  }

  #ended(): void {
    const { observer, streams } = this.#reception;
    if (this.#stream) streams.unwatch(this.#stream);
    observer.end(this.#exchange);
    this.#connection.inFlight--;
    this.#connection.idleSinceMs = observer.endedAtMs(this.#exchange);
  }
}

/** The whole answer to bytes that never became a request, since Node's parser refused them. */
export function refusalText({ gateway, observer }: Reception, error: GatewayError, peer: string): string {
  const exchange = observer.begin('', peer, newRequestId());
  observer.failed(exchange, error);
  observer.end(exchange);
  const { status, headers, body } = problemAnswer(error, gateway.policy.realm, exchange.requestId);
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, 'connection: close'];
  for (let index = 0; index < headers.length; index += 2)
    lines.push(`${headers[index]}: ${headers[index + 1]}`);
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** Undefined where nobody knows. */
function bodyBytesLeft(request: IncomingMessage, head: RequestHead | undefined): number | undefined {
  if (request.complete || head?.hasBody === false) return 0;
  // A client that waits for a go-ahead may or may not send its body after a refusal: nobody can tell.
  return head?.expectsContinue === true ? undefined : head?.contentLength;
}

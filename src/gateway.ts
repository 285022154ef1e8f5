/**
 * The life of a request, in one straight line. The order is security, so it is code and not data: each step
 * returns a value that only that step can make, and the next step asks for it. Forwarding without an
 * AuthorizedRequest does not compile.
 */
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { ClientBody } from './client-body.ts';
import type { Clock } from './clock.ts';
import { GatewayError, INTERNAL_ERROR, METHOD_REFUSED, OVERLOADED } from './errors.ts';
import type { AnswerHeaders } from './http/answer-headers.ts';
import { clientAddress } from './http/client-address.ts';
import { forwardedForChain } from './http/forwarded-headers.ts';
import { problemAnswer } from './http/problem.ts';
import { readHead, singleHeader, type RequestHead } from './http/request-head.ts';
import { whenReady, type MaybePromise } from './maybe-promise.ts';
import type { Policy } from './policy.ts';
import { authorize } from './stages/authorize.ts';
import { checkRevocation, type Revocations } from './stages/check-revocation.ts';
import { extractToken } from './stages/extract-token.ts';
import { matchRoute, RouteTable } from './stages/match-route.ts';
import { decisionOf, type Exchange, type Observer } from './stages/observe.ts';
import { reject } from './stages/reject.ts';
import { Responder, type ResponderHooks } from './stages/respond.ts';
import { rewriteHeaders, type OutboundRequest } from './stages/rewrite-headers.ts';
import { verifyToken } from './stages/verify-token.ts';
import { vouch, type AssertionSigner } from './stages/vouch.ts';
import type { Logger } from './telemetry/logger.ts';
import type { Metrics } from './telemetry/metrics.ts';
import { continueTrace, newRequestId } from './telemetry/trace-context.ts';
import type { TokenVerifier } from './token/token-verifier.ts';
import type { Forwarder } from './upstream/forwarder.ts';

export interface GatewayParts {
  readonly policy: Policy;
  /** By the issuer set of the route. */
  readonly verifiers: ReadonlyMap<string, TokenVerifier>;
  readonly revocations: Revocations;
  readonly signer: AssertionSigner | undefined;
  readonly forwarder: Forwarder;
  readonly observer: Observer;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What a listener knows of a client's connection. */
export interface Connection {
  /** The peer's address, IPv4-mapped IPv6 as IPv4. */
  readonly peer: string;
  readonly peerIsTrusted: boolean;
  readonly scheme: 'http' | 'https';
  /**
   * Set with an answer that ends the connection: whatever the client has pipelined behind the request must not
   * be served any more.
   */
  closing: boolean;
}

/** How a client's connection is switched to a tunnel. */
export type OpenTunnel = (headers: AnswerHeaders, upstream: Duplex, early: Buffer) => void;

export class Gateway {
  readonly #parts: GatewayParts;
  readonly #routes: RouteTable;
  readonly #stages;

  constructor(parts: GatewayParts) {
    this.#parts = parts;
    this.#routes = new RouteTable(parts.policy.routes);
    const { authSeconds } = parts.metrics;
    this.#stages = {
      verify: authSeconds.child('verify_token'),
      revocation: authSeconds.child('check_revocation'),
      authorize: authSeconds.child('authorize'),
    };
  }

  /**
   * May this request pass, and as what? The whole pipeline up to the point where the upstream comes in; nothing
   * has been sent anywhere but to the authorities that the route names.
   *
   * @throws GatewayError, at once or later
   */
  decide(head: RequestHead, connection: Connection, exchange: Exchange): MaybePromise<OutboundRequest> {
    const { policy, verifiers, revocations, signer, observer, clock } = this.#parts;
    const nowMs = clock.nowMs();
    let sinceMs = clock.monotonicMs();

    const route = (exchange.route = matchRoute(this.#routes, head));
    const presented = extractToken(head, route, policy.tokenBytes);
    return whenReady(verifyToken(verifiers, presented, route, nowMs), (verified) => {
      exchange.token = verified.token;
      exchange.cache = verified.cache;
      sinceMs = observer.stageEnded(this.#stages.verify, sinceMs);
      const unrevoked = checkRevocation(revocations, verified, route, policy.maxViewAgeMs);
      sinceMs = observer.stageEnded(this.#stages.revocation, sinceMs);
      const authorized = authorize(route, unrevoked);
      observer.stageEnded(this.#stages.authorize, sinceMs);
      observer.decided(exchange, {
        decision: unrevoked.failedOpen ? 'fail_open' : 'allow',
        reason: authorized.token ? 'ok' : 'anonymous',
      });
      const vouched = vouch(signer, authorized, nowMs);
      return rewriteHeaders(head, vouched, {
        name: policy.name,
        requestId: exchange.requestId,
        traceparent: exchange.trace?.traceparent ?? '',
        ...connection,
      });
    });
  }

  /** Serves one request. `openTunnel` is there where the client asks to switch to WebSocket. */
  serve(
    request: IncomingMessage,
    response: ServerResponse,
    connection: Connection,
    openTunnel?: OpenTunnel,
  ): void {
    const { observer } = this.#parts;
    const exchange = observer.begin(request.method ?? '', connection.peer);
    const responder = new Responder(
      exchange,
      response,
      this.#responderHooks(request, connection, openTunnel),
    );
    response.on('close', () => {
      if (!response.writableFinished) {
        responder.clientGone();
        if (exchange.status === 0) exchange.status = CLIENT_CLOSED_REQUEST;
      }
      if (exchange.route && openTunnel === undefined && body) exchange.bytesIn = body.bytes;
      observer.end(exchange);
    });
    let body: ClientBody | undefined;
    try {
      const head = this.#readHead(request, connection, exchange, openTunnel !== undefined);
      const decided = whenReady(this.decide(head, connection, exchange), (outbound) => {
        body = this.#forward(request, response, outbound, responder, exchange, openTunnel !== undefined);
      });
      if (decided instanceof Promise)
        decided.catch((error: unknown) => this.#fail(request, response, connection, exchange, error));
    } catch (error) {
      this.#fail(request, response, connection, exchange, error);
    }
  }

  /** Answers a request that the listener refuses; by default one whose method is never served. */
  refuse(
    request: IncomingMessage,
    response: ServerResponse,
    connection: Connection,
    error: GatewayError = METHOD_REFUSED,
  ): void {
    const exchange = this.#parts.observer.begin(request.method ?? '', connection.peer);
    exchange.requestId = newRequestId();
    response.on('close', () => this.#parts.observer.end(exchange));
    this.#fail(request, response, connection, exchange, error);
  }

  /** The whole answer to bytes that never became a request, since Node's parser refused them. */
  refusalText(error: GatewayError, connection: Connection): string {
    const { observer, policy } = this.#parts;
    const exchange = observer.begin('', connection.peer);
    exchange.requestId = newRequestId();
    exchange.status = error.status;
    exchange.failure = error.code;
    observer.end(exchange);
    const { status, headers, body } = problemAnswer(error, policy.realm, exchange.requestId);
    const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, 'connection: close'];
    for (let index = 0; index < headers.length; index += 2)
      lines.push(`${headers[index]}: ${headers[index + 1]}`);
    return `${lines.join('\r\n')}\r\n\r\n${body}`;
  }

  /** Are this peer's X-Forwarded-* believed? */
  trusts(peer: string): boolean {
    return this.#parts.policy.trustedPeers.has(peer);
  }

  #readHead(
    request: IncomingMessage,
    connection: Connection,
    exchange: Exchange,
    wantsTunnel: boolean,
  ): RequestHead {
    const { policy, metrics } = this.#parts;
    // First, so that even a head that is refused is answered under an id.
    exchange.requestId = newRequestId();
    const head = readHead(
      {
        method: request.method ?? '',
        target: request.url ?? '',
        httpVersion: request.httpVersion,
        rawHeaders: request.rawHeaders,
        scheme: connection.scheme,
      },
      policy.headerTable,
      policy.headLimits,
    );
    exchange.head = wantsTunnel ? head : { ...head, upgrade: undefined };
    exchange.requestId = head.requestId ?? exchange.requestId;
    exchange.trace = continueTrace(singleHeader(head, 'traceparent'));
    if (connection.peerIsTrusted) {
      exchange.clientIp = clientAddress(connection.peer, forwardedForChain(head), policy.trustedPeers);
    }
    if (policy.inFlight > 0 && metrics.inFlight > policy.inFlight) throw OVERLOADED;
    return exchange.head;
  }

  #forward(
    request: IncomingMessage,
    response: ServerResponse,
    outbound: OutboundRequest,
    responder: Responder,
    exchange: Exchange,
    wantsTunnel: boolean,
  ): ClientBody | undefined {
    const { policy, forwarder, observer, metrics } = this.#parts;
    if (outbound.strippedIdentity > 0)
      metrics.identityStripped.child(exchange.routeName).value += outbound.strippedIdentity;
    observer.forwarded(exchange);
    if (wantsTunnel) {
      responder.attach(forwarder.forwardUpgrade(outbound, responder));
      return undefined;
    }
    if (!outbound.hasBody) {
      responder.attach(forwarder.forward(outbound, undefined, responder));
      return undefined;
    }
    // Only now, when the request is known to be permitted, is the client asked to send its body (rule H11).
    if (exchange.head?.expectsContinue === true) response.writeContinue();
    const body = new ClientBody(request, policy.headLimits.bodyBytes);
    responder.attach(forwarder.forward(outbound, body, responder));
    return body;
  }

  #responderHooks(
    request: IncomingMessage,
    connection: Connection,
    openTunnel: OpenTunnel | undefined,
  ): ResponderHooks {
    const { observer } = this.#parts;
    return {
      answered: (exchange) => observer.answered(exchange),
      reject: (exchange, response, error) => this.#fail(request, response, connection, exchange, error),
      tunnel: (exchange, headers, upstream, early) => {
        exchange.status = 101;
        openTunnel?.(headers, upstream, early);
      },
    };
  }

  #fail(
    request: IncomingMessage,
    response: ServerResponse,
    connection: Connection,
    exchange: Exchange,
    thrown: unknown,
  ): void {
    const { policy, observer, logger } = this.#parts;
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
    exchange.status = error.status;
    exchange.failure = error.code;
    const decision = decisionOf(error);
    if (decision) observer.decided(exchange, decision);
    const closes = reject(response, error, {
      realm: policy.realm,
      requestId: exchange.requestId,
      isHead: request.method === 'HEAD',
      bodyBytesLeft: bodyBytesLeft(request, exchange),
    });
    if (closes) connection.closing = true;
  }
}

/** nginx's number for "the client has gone"; it is counted and logged, never sent. */
const CLIENT_CLOSED_REQUEST = 499;

function bodyBytesLeft(request: IncomingMessage, { head }: Exchange): number | undefined {
  if (request.complete || head?.hasBody === false) return 0;
  // A client that waits for a go-ahead may or may not send its body after a refusal: nobody can tell.
  return head?.expectsContinue === true ? undefined : head?.contentLength;
}

/**
 * One request on the wire: from Node's request and response into the pipeline, on to the upstream, and back, or
 * to a refusal.
 */
import type { Duplex } from 'node:stream';
import { ClientBody } from '../server/request-body.ts';
import { invalidToken, type GatewayError } from '../errors.ts';
import type { AnswerHeaders } from '../http/response-head.ts';
import type { LiveStream, LiveStreams } from './live-streams.ts';
import type { LogoutEndpoint, LogoutReceiver } from './logout-handler.ts';
import { whenReady } from '../maybe-promise.ts';
import { Responder, type ResponderHooks } from './response-writer.ts';
import type { OutboundRequest } from '../stages/rewrite-headers.ts';
import type { Forwarder } from '../upstream/forwarder.ts';
import { siteOf, Visitor, type Reception, type ReceptionParts } from './base-handler.ts';
import type { OpenTunnel } from '../server/request-handler.ts';

interface ProxyParts extends ReceptionParts {
  readonly forwarder: Forwarder;
  readonly streams: LiveStreams;
  readonly logouts: LogoutReceiver;
}
type ProxyReception = Reception & ProxyParts;

/** Of a listener that forwards. */
export function proxyReception(parts: ProxyParts): Reception {
  const reception: ProxyReception = {
    ...parts,
    ...siteOf(parts, (error) => error),
    tunnels: true,
    handle: (request, response, connection) => new Visit(reception, request, response, connection),
  };
  return reception;
}

/** nginx's number for "the client has gone"; it is counted and logged, never sent. */
const CLIENT_CLOSED_REQUEST = 499;

class Visit extends Visitor<ProxyReception> implements ResponderHooks {
  #body: ClientBody | undefined;
  #openTunnel: OpenTunnel | undefined;
  /** Of this exchange, where it lasts. */
  #stream: LiveStream | undefined;

  serve(openTunnel?: OpenTunnel): void {
    this.#openTunnel = openTunnel;
    const responder = new Responder(this.exchange, this.response, this, this.connection.alwaysSaid);
    this.response.on('close', () => this.#closed(responder));
    try {
      const { gateway } = this.reception;
      const proxies = this.connection.peerIsTrusted ? gateway.policy.trustedPeers : undefined;
      const head = this.readHead(this.rawHead(openTunnel !== undefined), proxies);
      const endpoint = this.reception.logouts.endpointOf(head);
      if (endpoint) {
        void this.#receiveLogout(endpoint);
        return;
      }
      const preflight = gateway.preflight(head, this.exchange);
      if (preflight) {
        this.answer(204, preflight);
        return;
      }
      const decided = whenReady(gateway.decide(head, this.connection, this.exchange), (outbound) =>
        this.#forward(outbound, responder),
      );
      if (decided instanceof Promise) decided.catch((error: unknown) => this.fail(error));
    } catch (error) {
      this.fail(error);
    }
  }

  answered(): void {
    this.reception.observer.answered(this.exchange);
    this.answerComplete();
  }

  tunnel(headers: AnswerHeaders, upstream: Duplex, early: Buffer): void {
    this.exchange.status = 101;
    // It is the beginning of something, and not the end.
    this.connection.answered(Infinity);
    const tunnel = this.#openTunnel?.(headers, upstream, early);
    this.#watch(true, () => tunnel?.close());
  }

  lasts(isStream: boolean): void {
    this.#watch(isStream, () => this.response.destroy());
  }

  refusal(): GatewayError | undefined {
    const { token, route } = this.exchange;
    if (!token || route?.reportOnly === true || !this.reception.streams.ends(token)) return undefined;
    return invalidToken('revoked', token.issuerName);
  }

  /** From now on the exchange ends when its token is revoked; a stream also when it expires, if the route says so. */
  #watch(isStream: boolean, close: () => void): void {
    const { streams } = this.reception;
    const { token, route } = this.exchange;
    // What is only reported ends nothing either.
    if (!token || route?.reportOnly === true) return;
    if (this.#stream) streams.unwatch(this.#stream);
    this.#stream = {
      token,
      endsWithToken: isStream && route?.streamsExpired === 'close',
      close: (reason) => {
        this.exchange.failure = `token_${reason}`;
        close();
      },
    };
    streams.watch(this.#stream);
  }

  #forward(outbound: OutboundRequest, responder: Responder): void {
    const { forwarder, observer, gateway } = this.reception;
    observer.forwarded(this.exchange, outbound);
    if (outbound.hasBody) {
      // Only now, when the request is known to be permitted, is the client asked to send its body (rule H11).
      if (this.exchange.head?.expectsContinue === true) this.response.writeContinue();
      this.#body = new ClientBody(this.request, gateway.policy.headLimits.bodyBytes);
    }
    responder.attach(forwarder.forward(outbound, this.#body, responder));
  }

  async #receiveLogout(endpoint: LogoutEndpoint): Promise<void> {
    const exchange = this.exchange;
    if (exchange.head?.expectsContinue === true) this.response.writeContinue();
    try {
      await this.reception.logouts.receive(endpoint, this.request, exchange.clientIp);
    } catch (error) {
      this.fail(error);
      return;
    }
    this.answer(200, ['cache-control', 'no-store']);
  }

  /** The answer has ended, or the client has gone. */
  #closed(responder: Responder): void {
    const exchange = this.exchange;
    if (!this.response.writableFinished && exchange.status !== 101) {
      responder.clientGone();
      if (exchange.status === 0) exchange.status = CLIENT_CLOSED_REQUEST;
    }
    if (this.#body) {
      exchange.bytesIn = this.#body.bytes;
      // The upstream did not wait for the whole body: what still comes of it must not hold up the connection.
      if (!this.request.complete) this.connection.end();
    }
    this.ended();
  }

  protected override ended(): void {
    if (this.#stream) this.reception.streams.unwatch(this.#stream);
    super.ended();
  }
}

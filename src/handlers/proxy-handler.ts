/**
 * One request on the wire: from Node's request and response into the pipeline, on to the upstream, and back, or
 * to a refusal.
 */
import type { Duplex } from 'node:stream';
import { RequestBody } from '../server/request-body.ts';
import { invalidToken, type GatewayError } from '../errors.ts';
import type { ResponseHeaders } from '../http/response-head.ts';
import type { LiveStream, LiveStreams } from './live-streams.ts';
import type { LogoutEndpoint, LogoutHandler } from './logout-handler.ts';
import { whenReady } from '../maybe-promise.ts';
import { ResponseWriter, type ResponseHooks } from './response-writer.ts';
import type { OutboundRequest } from '../stages/rewrite-headers.ts';
import type { Forwarder } from '../upstream/forwarder.ts';
import { commonSite, BaseHandler, type HandlerSite, type HandlerParts } from './base-handler.ts';
import type { OpenTunnel } from '../server/request-handler.ts';

interface ProxyParts extends HandlerParts {
  readonly forwarder: Forwarder;
  readonly streams: LiveStreams;
  readonly logouts: LogoutHandler;
}
type ProxySite = HandlerSite & ProxyParts;

/** Of a listener that forwards. */
export function proxySite(parts: ProxyParts): HandlerSite {
  const site: ProxySite = {
    ...parts,
    ...commonSite(parts, (error) => error),
    tunnels: true,
    handle: (request, response, connection) => new ProxyHandler(site, request, response, connection),
  };
  return site;
}

/** nginx's number for "the client has gone"; it is counted and logged, never sent. */
const CLIENT_CLOSED_REQUEST = 499;

class ProxyHandler extends BaseHandler<ProxySite> implements ResponseHooks {
  #body: RequestBody | undefined;
  #openTunnel: OpenTunnel | undefined;
  /** Of this exchange, where it lasts. */
  #stream: LiveStream | undefined;

  serve(openTunnel?: OpenTunnel): void {
    this.#openTunnel = openTunnel;
    const responder = new ResponseWriter(this.exchange, this.response, this, this.connection.commonHeaders);
    this.response.on('close', () => this.#closed(responder));
    try {
      const { gateway } = this.site;
      const proxies = this.connection.peerIsTrusted ? gateway.policy.trustedPeers : undefined;
      const head = this.readHead(this.rawHead(openTunnel !== undefined), proxies);
      const endpoint = this.site.logouts.endpointOf(head);
      if (endpoint) {
        void this.#receiveLogout(endpoint);
        return;
      }
      const preflight = gateway.preflight(head, this.exchange);
      if (preflight) {
        this.respond(204, preflight);
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
    this.site.observer.answered(this.exchange);
    this.responseComplete();
  }

  tunnel(headers: ResponseHeaders, upstream: Duplex, early: Buffer): void {
    this.exchange.status = 101;
    // It is the beginning of something, and not the end.
    this.connection.responseComplete(Infinity);
    const tunnel = this.#openTunnel?.(headers, upstream, early);
    this.#watch(true, () => tunnel?.close());
  }

  lasts(isStream: boolean): void {
    this.#watch(isStream, () => this.response.destroy());
  }

  refusal(): GatewayError | undefined {
    const { token, route } = this.exchange;
    if (!token || route?.reportOnly === true || !this.site.streams.ends(token)) return undefined;
    return invalidToken('revoked', token.issuerName);
  }

  /** From now on the exchange ends when its token is revoked; a stream also when it expires, if the route says so. */
  #watch(isStream: boolean, close: () => void): void {
    const { streams } = this.site;
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

  #forward(outbound: OutboundRequest, responder: ResponseWriter): void {
    const { forwarder, observer, gateway } = this.site;
    observer.forwarded(this.exchange, outbound);
    if (outbound.hasBody) {
      // Only now, when the request is known to be permitted, is the client asked to send its body (rule H11).
      if (this.exchange.head?.expectsContinue === true) this.response.writeContinue();
      this.#body = new RequestBody(this.request, gateway.policy.headLimits.bodyBytes);
    }
    responder.attach(forwarder.forward(outbound, this.#body, responder));
  }

  async #receiveLogout(endpoint: LogoutEndpoint): Promise<void> {
    const exchange = this.exchange;
    if (exchange.head?.expectsContinue === true) this.response.writeContinue();
    try {
      await this.site.logouts.receive(endpoint, this.request, exchange.clientIp);
    } catch (error) {
      this.fail(error);
      return;
    }
    this.respond(200, ['cache-control', 'no-store']);
  }

  /** The answer has ended, or the client has gone. */
  #closed(responder: ResponseWriter): void {
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
    this.requestEnded();
  }

  protected override requestEnded(): void {
    if (this.#stream) this.site.streams.unwatch(this.#stream);
    super.requestEnded();
  }
}

/**
 * Handles one request of a listener that forwards: through the pipeline, on to the upstream, and the response back, or
 * a refusal.
 */
import type { Duplex } from 'node:stream';
import { RequestBody } from '../server/request-body.ts';
import { invalidToken } from '../auth-errors.ts';
import { GatewayError } from '../errors.ts';
import { fieldPairs } from '../http/field-list.ts';
import { GrpcStatus, grpcStatusFields, grpcTypeOf } from '../http/grpc-response.ts';
import type { ResponseHeaders } from '../http/response-head.ts';
import { asksForKeys, keysEndpointResponse, type KeysEndpoint } from './keys-endpoint.ts';
import { metadataResponse, type ResourceEndpoint } from './resource-endpoint.ts';
import type { LiveStream, LiveStreams } from './live-streams.ts';
import type { RequestHead } from '../http/request-head.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';
import { whenReady } from '../maybe-promise.ts';
import { ResponseWriter, type ResponseHooks } from './response-writer.ts';
import type { OutboundRequest } from '../stages/rewrite-headers.ts';
import type { Forwarder } from '../upstream/forwarder.ts';
import { isAt, type ServerEndpoint } from './server-endpoint.ts';
import { commonSite, BaseHandler, type HandlerSite, type HandlerParts } from './base-handler.ts';
import type { OpenTunnel } from '../server/request-handler.ts';

interface ProxyParts extends HandlerParts {
  readonly forwarder: Forwarder;
  readonly streams: LiveStreams;
  /** What authorization servers call. */
  readonly endpoints: readonly ServerEndpoint[];
  /** Undefined where the public keys of assertions are not published. */
  readonly keys: KeysEndpoint | undefined;
  /** Undefined where there is no protected resource. */
  readonly resources: ResourceEndpoint | undefined;
}
type ProxySite = HandlerSite & ProxyParts;

const TOKEN_ENDED = 'The token has been revoked or has expired.';

/** The site of a listener that forwards. */
export function proxySite(parts: ProxyParts): HandlerSite {
  const site: ProxySite = {
    ...parts,
    ...commonSite(parts, (error) => error),
    tunnels: true,
    handle: (request, response, connection) => new ProxyHandler(site, request, response, connection),
  };
  return site;
}

class ProxyHandler extends BaseHandler<ProxySite> implements ResponseHooks {
  /** Undefined until the request is forwarded. */
  #outbound: OutboundRequest | undefined;
  #writer: ResponseWriter | undefined;
  #body: RequestBody | undefined;
  #openTunnel: OpenTunnel | undefined;
  /** Both ends have switched protocols. */
  #isTunnel = false;
  /** Where the response lasts, and may have to end with its token. */
  #stream: LiveStream | undefined;

  serve(openTunnel?: OpenTunnel): void {
    this.#openTunnel = openTunnel;
    this.response.on('close', () => this.#closed());
    try {
      const { gateway } = this.site;
      const proxies = this.connection.peerIsTrusted ? gateway.policy.trustedPeers : undefined;
      const head = this.readHead(this.rawHead(openTunnel !== undefined), proxies);
      const endpoint = this.site.endpoints.find(({ place }) => isAt(place, head));
      if (endpoint) {
        void this.#receive(endpoint, head);
        return;
      }
      if (this.#servesKeys(head) || this.#servesMetadata(head)) return;
      const preflight = gateway.preflight(head, this, this.exchange);
      if (preflight) {
        this.respond(204, preflight);
        return;
      }
      const decided = whenReady(gateway.decide(head, this, this.exchange), (outbound) =>
        outbound instanceof GatewayError ? this.fail(outbound) : this.#forward(outbound),
      );
      if (decided instanceof Promise) decided.catch((error: unknown) => this.fail(error));
    } catch (error) {
      this.fail(error);
    }
  }

  upstreamEnded(): void {
    this.site.observer.upstreamEnded(this.exchange);
    this.responseComplete();
  }

  tunnel(headers: ResponseHeaders, upstream: Duplex, early: Buffer): void {
    this.exchange.responded(101);
    this.exchange.lasts();
    this.#isTunnel = true;
    // A tunnel has no completed response: its connection never counts as idle.
    this.connection.responseComplete(Infinity);
    const tunnel = this.#openTunnel?.(headers, upstream, early);
    this.#watch(true, () => tunnel?.close());
  }

  lasts(isStream: boolean): void {
    if (isStream) this.exchange.lasts();
    this.#watch(isStream, () => this.#endResponse(isStream));
  }

  refusal(): GatewayError | undefined {
    const token = this.#bindingToken();
    if (!token) return undefined;
    // A call of gRPC may wait for its first message for hours; what else waits is no stream yet.
    const endsWithToken = this.#mayExpire && this.grpcType !== undefined;
    const reason = this.site.streams.ends({ token, endsWithToken });
    return reason && invalidToken(reason, token.issuerName);
  }

  protected override get grpcType(): string | undefined {
    return grpcTypeOf(this.request.rawHeaders);
  }

  /**
   * Its token has ended. A client of gRPC is told why; any other must see that the response is not whole (rule H15). That
   * the request says that it is gRPC is not enough: over HTTP/1.1, and where the response is another one, a part would
   * pass for the whole, and behind a length the next response for its rest.
   */
  #endResponse(isStream: boolean): void {
    const { response, connection } = this;
    const isGrpc = this.grpcType?.startsWith('application/grpc-web') === false;
    if (!isGrpc || !isStream || !connection.multiplexed) {
      response.destroy();
      return;
    }
    this.#writer?.clientGone();
    response.addTrailers(fieldPairs(grpcStatusFields(GrpcStatus.unauthenticated, TOKEN_ENDED)));
    response.end();
  }

  /** The token that the request ends with. On a report-only route revocation refuses nothing and ends nothing. */
  #bindingToken(): AuthenticToken | undefined {
    return this.#outbound?.route.reportOnly === false ? this.#outbound.token : undefined;
  }

  get #mayExpire(): boolean {
    return this.#outbound?.route.streamsExpired === 'close';
  }

  /** From now on the exchange ends when its token is revoked; a stream also when it expires, if the route says so. */
  #watch(isStream: boolean, close: () => void): void {
    const { streams } = this.site;
    const token = this.#bindingToken();
    if (!token) return;
    if (this.#stream) streams.unwatch(this.#stream);
    this.#stream = {
      token,
      endsWithToken: isStream && this.#mayExpire,
      close: (reason) => {
        this.exchange.failure = `token_${reason}`;
        close();
      },
    };
    streams.watch(this.#stream);
  }

  #forward(outbound: OutboundRequest): void {
    const { forwarder, observer, gateway } = this.site;
    this.#outbound = outbound;
    observer.forwarded(this.exchange, outbound);
    if (outbound.hasBody) {
      // Only now, when the request is known to be permitted, is the client asked to send its body (rule H11).
      if (outbound.head.expectsContinue) this.response.writeContinue();
      this.#body = new RequestBody(this.request, gateway.policy.headLimits.bodyBytes);
    }
    const ownFields = { common: this.connection.commonHeaders, nonce: this.nonceHeaders() };
    const writer = new ResponseWriter(outbound, this.response, this, ownFields, this.exchange);
    this.#writer = writer;
    writer.attach(forwarder.forward(outbound, this.#body, writer));
  }

  /** @throws GatewayError 400, 405 */
  #servesKeys(head: RequestHead): boolean {
    const { keys } = this.site;
    if (!keys || !asksForKeys(keys.place, head)) return false;
    this.respond(...keysEndpointResponse(keys.publicKeys(), head));
    return true;
  }

  /** @throws GatewayError 400, 404, 405 */
  #servesMetadata(head: RequestHead): boolean {
    const asked = this.site.resources?.asked(head);
    if (asked === undefined) return false;
    this.respond(...metadataResponse(asked, head));
    return true;
  }

  async #receive(endpoint: ServerEndpoint, head: RequestHead): Promise<void> {
    if (head.expectsContinue) this.response.writeContinue();
    try {
      const { status, headers, body } = await endpoint.receive(this.request, this.clientIp);
      this.respond(status, headers, body);
    } catch (error) {
      this.fail(error);
    }
  }

  /** The response has ended, or the client has gone. */
  #closed(): void {
    const isOver = this.response.writableFinished;
    if (this.connection.isCutOff && (!isOver || this.#isTunnel)) this.exchange.cutOff();
    if (!isOver && !this.#isTunnel) {
      this.#writer?.clientGone();
      this.exchange.clientGone();
    }
    if (this.#body) {
      this.exchange.bytesIn = this.#body.bytes;
      // The upstream did not wait for the whole body: the rest of it must not hold up the connection.
      if (!this.request.complete) this.connection.end();
    }
    this.requestEnded();
  }

  protected override requestEnded(): void {
    if (this.#stream) this.site.streams.unwatch(this.#stream);
    super.requestEnded();
  }
}

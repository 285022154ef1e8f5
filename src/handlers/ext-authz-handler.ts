/**
 * Handles one question of another proxy by gRPC: `envoy.service.auth.v3.Authorization/Check`. The same pipeline as for the
 * other dialects. docs/forward-auth.md. Rules B2, C1 to C3, C10.
 *
 * What is wrong with the call itself is a status of gRPC; what is wrong with the request that it asks about is a message
 * that denies. Only the second reaches the client of the other proxy in the gateway's words.
 */
import { GatewayError, NOT_GRPC, PEER_NOT_TRUSTED, UNKNOWN_CALL } from '../errors.ts';
import { checkedRequest, readCheckRequest, type CheckRequest } from '../http/check-request.ts';
import { allowMessage, denyMessage, passageOf } from '../http/check-response.ts';
import { isAddress, normalAddress, type TrustedPeers } from '../http/client-address.ts';
import { readEscapedPem, type ClientCertificate } from '../http/client-cert-header.ts';
import { withoutFields } from '../http/field-list.ts';
import { CallRefused, framed, MALFORMED_CALL } from '../http/grpc-message.ts';
import { GrpcStatus, grpcStatusFields, grpcTypeOf } from '../http/grpc-response.ts';
import { HeaderKind } from '../http/header-names.ts';
import { isMetadataPath } from '../http/metadata-url.ts';
import { healthMessage, healthService } from '../http/health-message.ts';
import { problemResponse } from '../http/problem.ts';
import { MalformedMessage } from '../http/protobuf.ts';
import type { RequestHead } from '../http/request-head.ts';
import { whenReady } from '../maybe-promise.ts';
import type { AssertedRequest } from '../stages/sign-assertion.ts';
import { BaseHandler, commonSite, type HandlerParts, type HandlerSite } from './base-handler.ts';
import { KEYS_PATH, keysResponse } from './decision-handler.ts';
import { metadataResponse, type ResourceEndpoint } from './resource-endpoint.ts';
import { unaryMessage } from './unary-message.ts';

interface ExtAuthzParts extends HandlerParts {
  /** Proxies that may ask. */
  readonly askers: TrustedPeers;
  /** The JWK Set of the assertion keys; undefined where none are configured. */
  readonly publicKeys: (() => object) | undefined;
  /** Undefined where there is no protected resource. */
  readonly resources: ResourceEndpoint | undefined;
  /** Is the gateway ready? For health checks. */
  readonly isReady: () => boolean;
}
type ExtAuthzSite = HandlerSite & ExtAuthzParts;

/** The site of a listener that decides for other proxies by gRPC. */
export function extAuthzSite(parts: ExtAuthzParts): HandlerSite {
  const site: ExtAuthzSite = {
    ...parts,
    ...commonSite(parts, (error) => error),
    tunnels: false,
    handle: (request, response, connection) => new ExtAuthzHandler(site, request, response, connection),
  };
  return site;
}

const SERVICE = 'envoy.service.auth.v3.Authorization';
const CHECK = `/${SERVICE}/Check`;
const HEALTH_CHECK = '/grpc.health.v1.Health/Check';
/** Of the names of health checks: the whole server, and what it serves. */
const HEALTHY_SERVICES: ReadonlySet<string> = new Set(['', SERVICE]);

/** The path is in a message twice, and Envoy adds fields; a certificate of the client may be there, too. */
const OTHER_ATTRIBUTES_BYTES = 256 * 1024;

/** Any client may ask for health, so little is kept of such a call. Longer than the name of any service here. */
const HEALTH_REQUEST_BYTES = 1024;

const TYPE = 'application/grpc';
/** With no other encoding of messages than that of Protocol Buffers. */
const TYPES: ReadonlySet<string> = new Set([TYPE, `${TYPE}+proto`]);

const UNKNOWN_METHOD = new CallRefused(GrpcStatus.unimplemented, UNKNOWN_CALL);
const UNKNOWN_SERVICE = new CallRefused(GrpcStatus.notFound, UNKNOWN_CALL);
const NOT_ASKED = new CallRefused(GrpcStatus.permissionDenied, PEER_NOT_TRUSTED);

class ExtAuthzHandler extends BaseHandler<ExtAuthzSite> {
  #head: RequestHead | undefined;
  /** Percent-encoded PEM; empty: none. */
  #sourceCertificate = '';

  serve(): void {
    this.response.on('close', () => this.requestEnded());
    const { publicKeys } = this.site;
    const { method, url, rawHeaders } = this.request;
    if (TYPES.has(grpcTypeOf(rawHeaders) ?? '') && method === 'POST' && this.connection.multiplexed) {
      this.#call(url ?? '').catch((error: unknown) => this.#refuseCall(error));
    } else if (publicKeys && url === KEYS_PATH) {
      // Every original request is in a message: no path belongs to one.
      this.respond(...keysResponse(publicKeys()));
    } else if (!this.#servesMetadata(url ?? '')) this.fail(NOT_GRPC);
  }

  /** As for the keys, no path belongs to an original request. */
  #servesMetadata(url: string): boolean {
    const { resources } = this.site;
    const [path = ''] = url.split('?');
    if (!resources || !isMetadataPath(path)) return false;
    try {
      const head = this.readHead(this.rawHead(false), undefined);
      const asked = resources.asked(head);
      if (asked === undefined) return false;
      this.respond(...metadataResponse(asked, head));
    } catch (error) {
      this.fail(error);
    }
    return true;
  }

  /** @throws CallRefused, MalformedMessage; always later */
  async #call(path: string): Promise<void> {
    const { askers, gateway, clock, isReady } = this.site;
    if (path !== CHECK && path !== HEALTH_CHECK) throw UNKNOWN_METHOD;
    // Health says nothing about a request, and those who ask for it may be others.
    if (path === CHECK && !askers.has(this.connection.peer)) throw NOT_ASKED;
    const { uriBytes, headerBytes } = gateway.policy.headLimits;
    const maxBytes =
      path === CHECK ? OTHER_ATTRIBUTES_BYTES + 2 * (uriBytes + headerBytes) : HEALTH_REQUEST_BYTES;
    const message = await unaryMessage(this.request, maxBytes, clock);
    if (path === CHECK) {
      this.#check(readCheckRequest(message));
      return;
    }
    if (!HEALTHY_SERVICES.has(healthService(message))) throw UNKNOWN_SERVICE;
    this.exchange.status = 200;
    this.#respondWith(healthMessage(isReady()));
  }

  #check(check: CheckRequest): void {
    const { gateway } = this.site;
    this.#sourceCertificate = check.sourceCertificate;
    try {
      const source = isAddress(check.sourceAddress) ? normalAddress(check.sourceAddress) : undefined;
      const proxies = source === undefined ? undefined : gateway.policy.trustedPeers;
      const head = this.readHead(checkedRequest(check), proxies, source);
      this.#head = head;
      if (gateway.permitsPreflight(head, this, this.exchange)) {
        this.#allow(head, undefined);
        return;
      }
      const decided = whenReady(gateway.permit(head, this, this.exchange), (asserted) =>
        asserted instanceof GatewayError ? this.#deny(asserted) : this.#allow(head, asserted),
      );
      if (decided instanceof Promise) decided.catch((error: unknown) => this.#deny(error));
    } catch (error) {
      this.#deny(error);
    }
  }

  /** Not that of the connection, which is the other proxy's, but what the proxy has seen itself. */
  protected override seenCertificate(): ClientCertificate {
    return readEscapedPem(this.#sourceCertificate);
  }

  /** @param asserted undefined: a preflight, which has no caller */
  #allow(head: RequestHead, asserted: AssertedRequest | undefined): void {
    const { observer, gateway } = this.site;
    observer.stripped(this.exchange, head.kinds.filter((kind) => kind === HeaderKind.identity).length);
    const { identity = [], route } = asserted?.authorized ?? {};
    const ours = [...identity, ...(asserted?.assertion ?? [])];
    const { identityNames, keyHeaders } = gateway.policy;
    const { set, remove } = passageOf(
      head,
      identityNames,
      keyHeaders,
      ours,
      route?.forwardAuthorization === true,
    );
    const id = ['x-request-id', this.requestId];
    const message = allowMessage({
      // Where the client sent no valid one, the upstream gets the one that the log has.
      set: head.requestId === undefined ? [...set, ...id] : set,
      remove,
      respond: [...id, ...this.nonceHeaders()],
    });
    this.exchange.status = 200;
    this.#respondWith(message);
  }

  /** The original request is refused: the other proxy sends this response to its client. */
  #deny(thrown: unknown): void {
    const error = this.failed(thrown);
    const { status, headers, body } = problemResponse(error, this.refusalContext());
    const all = [...headers, ...this.nonceHeaders(), ...this.corsHeaders()];
    // Envoy writes the framing. Of a request of gRPC it makes a refusal of gRPC, and of the body its message.
    const isGrpc = this.#head !== undefined && grpcTypeOf(this.#head.rawHeaders) !== undefined;
    this.#respondWith(
      isGrpc
        ? denyMessage(status, withoutFields(all, ['content-length', 'content-type']), error.title)
        : denyMessage(status, withoutFields(all, ['content-length']), body),
    );
  }

  #respondWith(message: Uint8Array): void {
    const { response } = this;
    // A part that failed after it has responded: the caller must not take this for a whole response.
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const frame = framed(message);
    this.exchange.bytesOut = frame.length;
    response.writeHead(200, ['content-type', TYPE, 'x-request-id', this.requestId]);
    response.addTrailers([['grpc-status', String(GrpcStatus.ok)]]);
    response.write(frame, 'latin1');
    this.responseComplete();
    response.end();
  }

  /** The call is refused, without a message: to the other proxy this is an error and no decision. */
  #refuseCall(thrown: unknown): void {
    const { status, error } =
      thrown instanceof CallRefused
        ? thrown
        : thrown instanceof MalformedMessage
          ? MALFORMED_CALL
          : { status: GrpcStatus.internal, error: thrown };
    const { title } = this.failed(error);
    const { response } = this;
    if (response.headersSent) {
      response.destroy();
      return;
    }
    response.writeHead(200, [
      ...['content-type', TYPE, 'x-request-id', this.requestId, 'grpc-accept-encoding', 'identity'],
      ...grpcStatusFields(status, title),
    ]);
    this.responseComplete();
    response.end();
  }
}

/**
 * Handles one question of another proxy: may this request pass, and who is calling? The same pipeline, without
 * forwarding.
 * docs/forward-auth.md.
 */
import { asForbidden, GatewayError, PEER_NOT_TRUSTED } from '../errors.ts';
import { passageOf } from '../http/check-response.ts';
import type { TrustedPeers } from '../http/client-address.ts';
import { HeaderKind } from '../http/header-names.ts';
import { isMetadataPath } from '../http/metadata-url.ts';
import type { RefusalContext } from '../http/problem.ts';
import type { RawHead, RequestHead } from '../http/request-head.ts';
import {
  asksForDecision,
  namesOriginal,
  originalRequest,
  type HttpDialect,
} from '../http/original-request.ts';
import { whenReady } from '../maybe-promise.ts';
import type { AssertedRequest } from '../stages/sign-assertion.ts';
import { metadataResponse, type ResourceEndpoint } from './resource-endpoint.ts';
import { commonSite, BaseHandler, type HandlerSite, type HandlerParts } from './base-handler.ts';

interface DecisionParts extends HandlerParts {
  readonly dialect: HttpDialect;
  /** Proxies that may ask. */
  readonly askers: TrustedPeers;
  /** Returns the JWK Set of the assertion keys; undefined where none are configured. */
  readonly publicKeys: (() => object) | undefined;
  /** Undefined where there is no protected resource. */
  readonly resources: ResourceEndpoint | undefined;
}
type DecisionSite = HandlerSite & DecisionParts;

/** The site of a listener that decides for other proxies. */
export function decisionSite(parts: DecisionParts): HandlerSite {
  const site: DecisionSite = {
    ...parts,
    // nginx's auth_request passes 401 and 403 on, and turns every other refusal into 500.
    ...commonSite(parts, OF_NGINX.has(parts.dialect) ? asForbidden : (error) => error),
    tunnels: false,
    handle: (request, response, connection) => new DecisionHandler(site, request, response, connection),
  };
  return site;
}

const OF_NGINX: ReadonlySet<HttpDialect> = new Set(['original', 'original_url']);
/** Read by Envoy's HTTP service of ext_authz, as `headers_to_remove` of gRPC. */
const REMOVED_BY_ENVOY = 'x-envoy-auth-headers-to-remove';
const NOT_STORED = ['cache-control', 'no-store'];
/** Where the public keys of assertions are, here and on the admin listener. */
export const KEYS_PATH = '/.well-known/sallyport/jwks.json';

/** The response that has the public keys of assertions: status, fields and body. */
export function keysResponse(publicKeys: object): [status: number, headers: readonly string[], body: string] {
  return [200, ['content-type', 'application/jwk-set+json', ...NOT_STORED], JSON.stringify(publicKeys)];
}

class DecisionHandler extends BaseHandler<DecisionSite> {
  serve(): void {
    const { gateway, dialect, askers, publicKeys } = this.site;
    this.response.on('close', () => this.requestEnded());
    try {
      const asking = this.rawHead(false);
      // Only a request that asks for no decision: the key set must never be taken for one.
      if (publicKeys && asking.target === KEYS_PATH && !namesOriginal(asking, dialect)) {
        this.respond(...keysResponse(publicKeys()));
        return;
      }
      if (this.#servesMetadata(asking)) return;
      if (!askers.has(this.connection.peer)) throw PEER_NOT_TRUSTED;
      const head = this.readHead(originalRequest(asking, dialect), askers);
      if (gateway.permitsPreflight(head, this, this.exchange)) {
        this.#allowWith(head, [], false);
        return;
      }
      const decided = whenReady(gateway.permit(head, this, this.exchange), (asserted) =>
        asserted instanceof GatewayError ? this.fail(asserted) : this.#allow(head, asserted),
      );
      if (decided instanceof Promise) decided.catch((error: unknown) => this.fail(error));
    } catch (error) {
      this.fail(error);
    }
  }

  /** The connection is that of the other proxy, which may have a certificate of its own. */
  protected override seenCertificate(): undefined {
    return undefined;
  }

  /** Where another proxy passes on requests for metadata as they are. Nothing that asks for a decision gets one in this way. */
  #servesMetadata(asking: RawHead): boolean {
    const { resources, dialect } = this.site;
    const [path = ''] = asking.target.split('?');
    if (!resources || !isMetadataPath(path) || asksForDecision(asking, dialect)) return false;
    const head = this.readHead(asking, undefined);
    const asked = resources.asked(head);
    if (asked === undefined) return false;
    this.respond(...metadataResponse(asked, head));
    return true;
  }

  /** nginx before 1.23 passes on one line of WWW-Authenticate. */
  protected override refusalContext(): RefusalContext {
    return { ...super.refusalContext(), oneChallengeLine: OF_NGINX.has(this.site.dialect) };
  }

  #allow(head: RequestHead, { authorized, assertion }: AssertedRequest): void {
    const spoofed = head.kinds.filter((kind) => kind === HeaderKind.identity).length;
    this.site.observer.stripped(this.exchange, spoofed);
    this.#allowWith(head, [...authorized.identity, ...assertion], authorized.route.forwardAuthorization);
  }

  /**
   * Sends every identity header of the configuration, empty where it has no value: so each overwrites the client's, as do
   * empty headers for API keys. All
   * spellings of a name (`X_User_Id`, `X-User-Id`): a proxy that copies by exact name would pass on a client's other one.
   * Envoy also learns what to remove.
   *
   * @param ours names and values in turn
   */
  #allowWith(head: RequestHead, ours: readonly string[], keepsAuthorization: boolean): void {
    const { identityNames, keyHeaders } = this.site.gateway.policy;
    const headers = [...identityNames, ...keyHeaders].flatMap((name) => {
      const at = ours.findIndex((ourName, index) => index % 2 === 0 && ourName === name);
      return [name, at < 0 ? '' : (ours[at + 1] ?? '')];
    });
    const removed =
      this.site.dialect === 'request'
        ? [
            REMOVED_BY_ENVOY,
            passageOf(head, identityNames, keyHeaders, ours, keepsAuthorization).remove.join(', '),
          ]
        : [];
    this.respond(200, [...headers, ...removed, ...this.nonceHeaders(), ...NOT_STORED]);
  }
}

/**
 * Handles one request of a listener that only redirects clients to https. RFC 9110 section 15.4.9. A request with
 * credentials (in Authorization, in a header for API keys, in the query or in a WebSocket handshake) is refused: a client that is redirected goes
 * on sending them in the open, and its users do not notice. Rule C29.
 */
import { hidesKey } from '../api-keys/key-elsewhere.ts';
import { CREDENTIALS_IN_THE_OPEN } from '../errors.ts';
import { hasAccessToken } from '../http/access-token-query.ts';
import { HeaderKind } from '../http/header-names.ts';
import { readPath } from '../http/path-policy.ts';
import { valuesOf, type RequestHead } from '../http/request-head.ts';
import { readProtocols } from '../http/websocket-protocol.ts';
import { commonSite, BaseHandler, type HandlerSite, type HandlerParts } from './base-handler.ts';

interface RedirectParts extends HandlerParts {
  /** As clients see it. */
  readonly httpsPort: number;
}
type RedirectSite = HandlerSite & RedirectParts;

export function redirectSite(parts: RedirectParts): HandlerSite {
  const site: RedirectSite = {
    ...parts,
    ...commonSite(parts, (error) => error),
    tunnels: false,
    handle: (request, response, connection) => new RedirectHandler(site, request, response, connection),
  };
  return site;
}

class RedirectHandler extends BaseHandler<RedirectSite> {
  serve(): void {
    this.response.on('close', () => this.requestEnded());
    try {
      const { gateway, httpsPort } = this.site;
      const proxies = this.connection.peerIsTrusted ? gateway.policy.trustedPeers : undefined;
      const head = this.readHead(this.rawHead(false), proxies);
      if (hasCredentials(head)) throw CREDENTIALS_IN_THE_OPEN;
      readPath(head.path);
      const host = head.hostname + (httpsPort === 443 ? '' : `:${httpsPort}`);
      this.respond(308, [
        'location',
        `https://${host}${head.path}${head.query}`,
        'cache-control',
        'no-store',
      ]);
    } catch (error) {
      this.fail(error);
    }
  }
}

function hasCredentials(head: RequestHead): boolean {
  return (
    head.authorization.length > 0 ||
    head.keyFields.length > 0 ||
    hasAccessToken(head.query) ||
    hidesKey(head.query) ||
    readProtocols(valuesOf(head, HeaderKind.webSocketProtocol)).tokens.length > 0
  );
}

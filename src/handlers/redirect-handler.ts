/**
 * A request on a listener that only sends clients to https. RFC 9110 section 15.4.9. What carries credentials is
 * refused, in Authorization, in the query or in a WebSocket handshake: a client that is redirected goes on sending them
 * in the open, and its users do not notice. Rule C29.
 */
import { CREDENTIALS_IN_THE_OPEN } from '../errors.ts';
import { hasAccessToken } from '../http/access-token-query.ts';
import { HeaderKind } from '../http/header-names.ts';
import { readPath } from '../http/path-policy.ts';
import { valuesOf, type RequestHead } from '../http/request-head.ts';
import { readProtocols } from '../http/websocket-protocol.ts';
import { siteOf, Visitor, type Reception, type ReceptionParts } from './base-handler.ts';

interface RedirectParts extends ReceptionParts {
  /** As clients see it. */
  readonly httpsPort: number;
}
type RedirectReception = Reception & RedirectParts;

export function redirectReception(parts: RedirectParts): Reception {
  const reception: RedirectReception = {
    ...parts,
    ...siteOf(parts, (error) => error),
    tunnels: false,
    handle: (request, response, connection) => new RedirectVisit(reception, request, response, connection),
  };
  return reception;
}

class RedirectVisit extends Visitor<RedirectReception> {
  serve(): void {
    this.response.on('close', () => this.ended());
    try {
      const { gateway, httpsPort } = this.reception;
      const proxies = this.connection.peerIsTrusted ? gateway.policy.trustedPeers : undefined;
      const head = this.readHead(this.rawHead(false), proxies);
      if (hasCredentials(head)) throw CREDENTIALS_IN_THE_OPEN;
      readPath(head.path);
      const host = head.hostname + (httpsPort === 443 ? '' : `:${httpsPort}`);
      this.answer(308, ['location', `https://${host}${head.path}${head.query}`, 'cache-control', 'no-store']);
    } catch (error) {
      this.fail(error);
    }
  }
}

function hasCredentials(head: RequestHead): boolean {
  return (
    head.authorization.length > 0 ||
    hasAccessToken(head.query) ||
    readProtocols(valuesOf(head, HeaderKind.webSocketProtocol)).tokens.length > 0
  );
}

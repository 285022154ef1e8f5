/**
 * Eleventh stage: the request as the upstream gets it. Pure. docs/reference.md, "What the upstream gets"; RFC 9110 section 7.6.
 * Rules H1, H9, H13, H14, F1, C1 to C3.
 */
import { LOOP, UPGRADE_REFUSED } from '../errors.ts';
import { pushForwardedHeaders, pushForwardedPrefix } from '../http/forwarded-headers.ts';
import { HeaderKind } from '../http/header-names.ts';
import { valuesOf, type RequestHead } from '../http/request-head.ts';
import { readProtocols } from '../http/websocket-protocol.ts';
import type { Route } from '../policy.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';
import type { AuthorizedRequest } from './authorize.ts';
import type { ChosenUpstream } from './choose-upstream.ts';
import type { AssertedRequest } from './sign-assertion.ts';

/** What the gateway knows about the client's end of the connection. */
export interface ClientEnd {
  readonly peer: string;
  readonly peerIsTrusted: boolean;
}

/** The ids of a request, which the upstream gets too. */
export interface ExchangeIds {
  readonly requestId: string;
  readonly trace: { readonly traceparent: string } | undefined;
}

/** A request that is ready to be sent. */
class OutboundRequest {
  declare protected readonly made: 'by rewriteHeaders';
  /** The request as it came. */
  readonly head: RequestHead;
  readonly route: Route;
  /** Every try goes there. */
  readonly upstream: ChosenUpstream;
  /** Whose request it is; undefined where the caller is anonymous. */
  readonly token: AuthenticToken | undefined;
  readonly requestId: string;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** Names and values in turn; without Host, Connection and framing, which the transport writes. */
  readonly headers: string[];
  /** The client's Host, where the route preserves it; else the target's own is sent. */
  readonly host: string | undefined;
  readonly contentLength: number | undefined;
  readonly hasBody: boolean;
  readonly upgrade: string | undefined;
  /** The client offered the protocol `bearer`, which the upstream does not see. */
  readonly offersBearer: boolean;
  /** How many identity headers from the client were removed: spoofing, or a misunderstanding. */
  readonly strippedIdentity: number;

  constructor(
    head: RequestHead,
    { route, token }: AuthorizedRequest,
    upstream: ChosenUpstream,
    requestId: string,
    target: string,
    headers: string[],
    strippedIdentity: number,
    offersBearer: boolean,
  ) {
    this.head = head;
    this.route = route;
    this.upstream = upstream;
    this.token = token;
    this.requestId = requestId;
    this.method = head.method;
    this.target = target;
    this.headers = headers;
    this.host = route.rewrite.preserveHost ? head.authority : undefined;
    this.contentLength = head.contentLength;
    this.hasBody = head.hasBody;
    this.upgrade = head.upgrade;
    this.strippedIdentity = strippedIdentity;
    this.offersBearer = offersBearer;
  }
}
export type { OutboundRequest };

/**
 * @param name the gateway's name in Via
 * @throws GatewayError 508 LOOP where Via says that this gateway has seen the request; 403 UPGRADE_REFUSED
 */
export function rewriteHeaders(
  head: RequestHead,
  asserted: AssertedRequest,
  upstream: ChosenUpstream,
  ids: ExchangeIds,
  name: string,
  client: ClientEnd,
): OutboundRequest {
  const { route, identity } = asserted.authorized;
  if (head.upgrade !== undefined && !route.upgrades.has(head.upgrade)) throw UPGRADE_REFUSED;
  const headers: string[] = [];
  let via = '';
  let stripped = 0;
  const { rawHeaders, kinds, connectionOptions } = head;
  for (let index = 0; index < kinds.length; index++) {
    const header = rawHeaders[2 * index] ?? '';
    const value = rawHeaders[2 * index + 1] ?? '';
    const kind = kinds[index];
    if (kind === HeaderKind.identity) {
      stripped++;
    } else if (kind === HeaderKind.via) {
      via = via === '' ? value : `${via}, ${value}`;
    } else if (mayPass(kind, route, client, value) && !isConnectionOption(connectionOptions, header)) {
      headers.push(header, value);
    }
  }
  if (via !== '' && namesUs(via, name)) throw LOOP;
  headers.push('via', `${via === '' ? '' : `${via}, `}${head.httpVersion} ${name}`);
  pushForwardedHeaders(headers, head, client.peer, client.peerIsTrusted);
  pushForwardedPrefix(headers, head, client.peerIsTrusted, route.rewrite.forwardedPrefix);
  const offersBearer = route.webSocketProtocol && pushOtherProtocols(headers, head);
  headers.push('x-request-id', ids.requestId);
  if (ids.trace) headers.push('traceparent', ids.trace.traceparent);
  // The gateway's own go in after hop-by-hop removal. In the other order a client that sends
  // `Connection: X-User-Id` could remove the value that the upstream trusts.
  for (const part of identity) headers.push(part);
  for (const part of asserted.assertion) headers.push(part);
  const target = rewrittenPath(head.path, route) + head.query;
  return new OutboundRequest(
    head,
    asserted.authorized,
    upstream,
    ids.requestId,
    target,
    headers,
    stripped,
    offersBearer,
  );
}

function mayPass(kind: HeaderKind | undefined, route: Route, client: ClientEnd, value: string): boolean {
  switch (kind) {
    case HeaderKind.forward:
      return true;
    case HeaderKind.webSocketProtocol:
      return !route.webSocketProtocol;
    case HeaderKind.authorization:
      return route.forwardAuthorization;
    case HeaderKind.forwarded:
      return client.peerIsTrusted;
    case HeaderKind.te:
      // The only member of TE that may pass a proxy (RFC 9110 section 10.1.4).
      return value.trim().toLowerCase() === 'trailers';
    default:
      return false;
  }
}

/** What the client offers besides `bearer` and its token. Returns whether it offered that. */
function pushOtherProtocols(headers: string[], head: RequestHead): boolean {
  const { tokens, others } = readProtocols(valuesOf(head, HeaderKind.webSocketProtocol));
  if (others.length > 0) headers.push('sec-websocket-protocol', others.join(', '));
  return tokens.length > 0;
}

function isConnectionOption(options: readonly string[], name: string): boolean {
  if (options.length === 0) return false;
  const lower = name.toLowerCase();
  // `Connection: TE` only says that TE is for this hop; what passes of it was decided above.
  return lower !== 'te' && options.includes(lower);
}

/** Is our name the received-by of a member of Via (RFC 9110 section 7.6.3)? */
function namesUs(via: string, name: string): boolean {
  return via.split(',').some((member) => member.trim().split(/\s+/)[1] === name);
}

function rewrittenPath(path: string, { rewrite }: Route): string {
  const { stripPrefix, addPrefix } = rewrite;
  if (stripPrefix === '' && addPrefix === '') return path;
  const rest = path.startsWith(stripPrefix) ? path.slice(stripPrefix.length) : path;
  return `${addPrefix}${rest}` || '/';
}

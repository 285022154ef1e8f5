/**
 * A token in Sec-WebSocket-Protocol, `bearer, TOKEN`: the one header that a browser's WebSocket can set. Pure.
 * RFC 6455 sections 1.9 and 11.3.4.
 */
import { hasField, type FieldList } from './field-list.ts';

/** The protocol that stands before the token, and that the response to the handshake may name. */
const BEARER_PROTOCOL = 'bearer';

export interface OfferedProtocols {
  /** The member behind each `bearer`; empty if there is none. */
  readonly tokens: readonly string[];
  /** The protocols that are for the upstream. */
  readonly others: readonly string[];
}

/** @param values of the header's lines, as they came */
export function readProtocols(values: readonly string[]): OfferedProtocols {
  const tokens: string[] = [];
  const others: string[] = [];
  const members = values.flatMap((value) => value.split(',')).map((member) => member.trim());
  for (let index = 0; index < members.length; index++) {
    const member = members[index] ?? '';
    if (member === BEARER_PROTOCOL) tokens.push(members[++index] ?? '');
    else if (member !== '') others.push(member);
  }
  return { tokens, others };
}

/** A browser that offered protocols gives up unless the response chooses one: `bearer`, if the upstream chose none. */
export function withBearer(headers: FieldList): FieldList {
  if (hasField(headers, 'sec-websocket-protocol')) return headers;
  return [...headers, 'Sec-WebSocket-Protocol', BEARER_PROTOCOL];
}

/** The parts of a request that make it a handshake; header fields by lower-case name. */
export interface HandshakeHead {
  readonly method?: string | undefined;
  readonly httpVersion: string;
  readonly headers: {
    readonly upgrade?: string | undefined;
    readonly 'content-length'?: string | undefined;
    readonly 'transfer-encoding'?: string | undefined;
  };
}

/** Is this the one upgrade that is served? Any other Upgrade is ignored, and its request served as an ordinary one. */
export function isWebSocketHandshake(request: HandshakeHead): boolean {
  const { method, headers, httpVersion } = request;
  const hasBody = headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
  return (
    method === 'GET' && httpVersion === '1.1' && !hasBody && headers.upgrade?.toLowerCase() === 'websocket'
  );
}

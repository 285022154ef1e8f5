/** Opens a connection to a target: TCP, or TLS with an application protocol (ALPN, RFC 7301). */
import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { TCP_KEEPALIVE } from '../http/tcp-keepalive.ts';
import type { TlsClient } from '../tls/client-options.ts';

/** Where a connection goes. */
export interface Endpoint {
  /** http: or https:, and the name that the other side must have. */
  readonly origin: URL;
  /** One address of the name, or of its service; undefined: the host is an address. */
  readonly address?: string;
  /** Undefined: that of the origin. */
  readonly port?: number;
}

/**
 * @param protocols that are offered over TLS, the preferred one first
 * @param onread undefined: the socket delivers its bytes by events, as users of a switched protocol expect
 */
export function openSocket(
  { origin, address, port }: Endpoint,
  tls: TlsClient,
  protocols: readonly string[],
  onread?: OnReadOpts,
): Socket {
  const isTls = origin.protocol === 'https:';
  const host = origin.hostname.replace(/^\[|\]$/g, '');
  const options = {
    host: address ?? host,
    port: port ?? (origin.port === '' ? (isTls ? 443 : 80) : Number(origin.port)),
    noDelay: true,
    ...TCP_KEEPALIVE,
    ...(onread && { onread }),
  };
  if (!isTls) return connectTcp(options);
  // A name for SNI and the certificate; an address is checked against the certificate, but never sent (RFC 6066).
  return connectTls({
    ...options,
    ALPNProtocols: [...protocols],
    ...(isIP(host) === 0 && { servername: host }),
    ...tls,
  });
}

/** Opens a connection to a target: TCP, or TLS with an application protocol (ALPN, RFC 7301). */
import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { TlsClient } from '../tls/client-options.ts';

/**
 * @param protocols that are offered over TLS, the preferred one first
 * @param onread undefined: the socket delivers its bytes by events, as users of a switched protocol expect
 */
export function openSocket(
  origin: URL,
  tls: TlsClient,
  protocols: readonly string[],
  onread?: OnReadOpts,
): Socket {
  const isTls = origin.protocol === 'https:';
  const host = origin.hostname.replace(/^\[|\]$/g, '');
  const options = {
    host,
    port: origin.port === '' ? (isTls ? 443 : 80) : Number(origin.port),
    noDelay: true,
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

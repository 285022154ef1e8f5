/** The socket of a listener, and what it demands of its clients, as the configuration says. Pure. */
import { offeredOverTls, protocolsOf } from '../config/listener-protocols.ts';
import type { Configuration } from '../config/schema.ts';
import { listenerTls, strictTransportSecurity } from '../config/tls-schema.ts';
import type { ListenerOptions } from '../server/listener.ts';

export type ListenerConfiguration = Configuration['listeners'][number];

export function listenerOptions(
  listener: ListenerConfiguration,
  { limits, timeouts }: Configuration,
): ListenerOptions {
  const { host, port, reuse_port, tls } = listener;
  return {
    host,
    port,
    reusePort: reuse_port,
    tls: tls && listenerTls(tls, offeredOverTls(listener)),
    protocols: protocolsOf(listener),
    // Without TLS the clients of HTTP/2 are mostly proxies, for which the fields must be counted.
    countsFields: tls?.http2_strict_fields ?? true,
    strictTransportSecurity: tls && strictTransportSecurity(tls),
    uriBytes: limits.uri_bytes,
    headerBytes: limits.header_bytes,
    connections: limits.connections,
    headersTimeoutMs: timeouts.headers,
    idleTimeoutMs: timeouts.idle,
  };
}

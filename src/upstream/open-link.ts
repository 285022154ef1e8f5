/** Opens a link of its own, for one request that shares no connection: a health check. */
import type { TargetUrl } from '../http/target-url.ts';
import type { TlsClient } from '../tls/client-options.ts';
import { Http2Link, sensitiveFields } from './http2-link.ts';
import { Http2Session } from './http2-session.ts';
import { UpstreamConnection } from './upstream-connection.ts';
import type { UpstreamLink } from './upstream-link.ts';

export interface LinkEvents {
  readonly connected: (link: UpstreamLink) => void;
  /** It was never connected, or has ended. */
  readonly closed: (error: Error | undefined) => void;
}

/** Begins to connect, in the protocol of the target. */
export function openLink(
  { origin, isHttp2 }: TargetUrl,
  tls: TlsClient,
  { connected, closed }: LinkEvents,
): { close(error: Error): void } {
  const owner = {
    released: () => undefined,
    draining: () => undefined,
    closed: (_: unknown, error: Error | undefined) => closed(error),
  };
  return isHttp2
    ? new Http2Session(origin, tls, 1, {
        ...owner,
        connected: (made) => connected(new Http2Link(made, sensitiveFields())),
      })
    : new UpstreamConnection(origin, tls, { ...owner, connected });
}

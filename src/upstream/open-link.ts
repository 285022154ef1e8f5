/** Opens a link of its own, for one request that shares no connection: a health check. */
import type { TargetUrl } from '../http/target-url.ts';
import type { TlsClient } from '../tls/client-options.ts';
import { Http2Link, sensitiveFields } from './http2-link.ts';
import type { Endpoint } from './open-socket.ts';
import { Http2Session } from './http2-session.ts';
import { Negotiation } from './negotiation.ts';
import { UpstreamConnection } from './upstream-connection.ts';
import type { UpstreamLink } from './upstream-link.ts';

export interface LinkEvents {
  readonly connected: (link: UpstreamLink) => void;
  /** It was never connected, or has ended. */
  readonly closed: (error: Error | undefined) => void;
}

/** Begins to connect, in the protocol of the target. */
export function openLink(
  target: TargetUrl & Endpoint,
  tls: TlsClient,
  { connected, closed }: LinkEvents,
): { close(error: Error): void } {
  const owner = {
    released: () => undefined,
    draining: () => undefined,
    closed: (_: unknown, error: Error | undefined) => closed(error),
  };
  const http2Owner = {
    ...owner,
    connected: (made: Http2Session) => connected(new Http2Link(made, sensitiveFields())),
  };
  if (target.negotiates === true) {
    let current: { close(error: Error): void } = new Negotiation(target, tls, {
      failed: owner.closed,
      chosen(_, socket, protocol) {
        if (protocol === 'h2') {
          current = new Http2Session(target, tls, 1, http2Owner, socket);
          return;
        }
        const made = new UpstreamConnection(target, tls, { ...owner, connected }, false, socket);
        current = made;
        connected(made);
      },
    });
    return { close: (error) => current.close(error) };
  }
  return target.isHttp2
    ? new Http2Session(target, tls, 1, http2Owner)
    : new UpstreamConnection(target, tls, { ...owner, connected });
}

/** What a listener counts of its connections. Plain numbers, read when the metrics are asked for. */
import { HANDSHAKE_FAILURES, type HandshakeFailure } from '../tls/handshake-failure.ts';

/** What a client speaks: HTTP/2 over TLS, over TCP, or HTTP/1.1. */
export type ClientProtocol = 'http/1.1' | 'h2' | 'h2c';

export class ListenerCounts {
  readonly accepted: Record<ClientProtocol, number> = { 'http/1.1': 0, h2: 0, h2c: 0 };
  /** Above `limits.connections`: closed before a byte was read. */
  turnedAway = 0;
  /** HTTP/2 connections that ended with an error: a client that breaks the protocol, or a flood. */
  sessionErrors = 0;
  readonly handshakes: Record<HandshakeFailure | 'ok', number>;

  constructor() {
    const results = ['ok', ...HANDSHAKE_FAILURES] as const;
    this.handshakes = Object.fromEntries(results.map((result) => [result, 0])) as typeof this.handshakes;
  }
}

export function protocolOf({
  multiplexed,
  scheme,
}: {
  readonly multiplexed: boolean;
  readonly scheme: 'http' | 'https';
}): ClientProtocol {
  if (!multiplexed) return 'http/1.1';
  return scheme === 'https' ? 'h2' : 'h2c';
}

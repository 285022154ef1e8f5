/**
 * Two connections that have switched protocols, joined. Rule H12.
 */
import { pipeline, type Duplex } from 'node:stream';
import type { AnswerHeaders } from './http/answer-headers.ts';

export interface TunnelEnds {
  readonly client: Duplex;
  readonly upstream: Duplex;
  /** Of the upstream's 101. */
  readonly headers: AnswerHeaders;
  /** What the upstream sent behind its 101. */
  readonly early: Buffer;
}

/** Tells the client that the upstream has switched, then carries bytes both ways until either end closes. */
export function openTunnel({ client, upstream, headers, early }: TunnelEnds, closed: () => void): void {
  const lines = ['HTTP/1.1 101 Switching Protocols', 'connection: Upgrade'];
  for (const [name, value] of Object.entries(headers)) {
    if (name === 'connection') continue;
    for (const each of typeof value === 'string' ? [value] : (value ?? [])) lines.push(`${name}: ${each}`);
  }
  client.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  if (early.length > 0) client.write(early);
  let open = 2;
  const oneEnded = (): void => {
    if (--open > 0) return;
    client.destroy();
    upstream.destroy();
    closed();
  };
  // A half-closed direction lets the other finish; an error ends both.
  pipeline(client, upstream, oneEnded);
  pipeline(upstream, client, oneEnded);
}

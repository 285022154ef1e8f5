/**
 * Joins two connections that have switched to WebSocket. Rules H12, V10.
 */
import { pipeline, Transform, type Duplex } from 'node:stream';
import { fieldLines } from '../http/field-list.ts';
import type { ResponseHeaders } from '../http/response-head.ts';
import { FramePassage } from './websocket-frames.ts';

export interface TunnelEnds {
  readonly client: Duplex;
  readonly upstream: Duplex;
  /** Fields of the 101, end-to-end ones only. */
  readonly headers: ResponseHeaders;
  /** Bytes that the upstream sent behind its 101. */
  readonly early: Buffer;
}

export interface Tunnel {
  /** Closes both connections: with a close frame at the next border of frames, or without if none comes soon. */
  close(): void;
}

/** How long the border of frames may take. */
const CLOSE_WITHIN_MS = 500;
const MOST_LISTENERS = 20;
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n';

/** Tells the client that the upstream has switched, then carries bytes both ways until either end closes. */
export function openTunnel(ends: TunnelEnds, closed: () => void): Tunnel {
  const { client, upstream, headers, early } = ends;
  if (!client.writable || upstream.destroyed) return closedTunnel(ends, closed);
  client.write(`${SWITCHING}${fieldLines(headers)}\r\n`, 'latin1');
  const frames = new FramePassage();
  if (early.length > 0) frames.write(early);
  let open = 2;
  const oneEnded = (): void => {
    if (--open > 0) return;
    client.destroy();
    upstream.destroy();
    closed();
  };
  let closing = false;
  const gate = new Transform({
    transform(chunk, _encoding, done) {
      if (closing) done();
      else done(null, chunk);
    },
  });
  // Two pipelines and TLS listen to one socket: so many listeners that Node would warn of a leak.
  for (const end of [client, upstream]) end.setMaxListeners(MOST_LISTENERS);
  // A half-closed direction lets the other finish; an error ends both.
  pipeline(client, gate, upstream, oneEnded);
  pipeline(upstream, frames, client, oneEnded);
  return {
    close() {
      // The client may respond with its own close frame, but nothing from it reaches the upstream any more.
      closing = true;
      frames.closeAtBorder();
      setTimeout(() => {
        client.destroy();
        upstream.destroy();
      }, CLOSE_WITHIN_MS).unref();
    },
  };
}

/** The client has left while the upstream switched. Node throws where such a connection is joined to another. */
function closedTunnel({ client, upstream }: TunnelEnds, closed: () => void): Tunnel {
  client.destroy();
  upstream.destroy();
  setImmediate(closed);
  return { close: () => undefined };
}

/** An attempt to connect to a target over TLS that chooses the protocol itself: HTTP/2 or HTTP/1.1 (ALPN, RFC 7301). */
import type { TLSSocket } from 'node:tls';
import type { TlsClient } from '../tls/client-options.ts';
import { openSocket, type Endpoint } from './open-socket.ts';
import { ConnectionEnded } from './upstream-connection.ts';

export type NegotiatedProtocol = 'h2' | 'http/1.1';

/** Hears once how the attempt ended. */
export interface NegotiationOwner {
  /** The socket is the owner's from now on. Nothing was read from it and nothing written to it. */
  chosen(negotiation: Negotiation, socket: TLSSocket, protocol: NegotiatedProtocol): void;
  failed(negotiation: Negotiation, error: Error): void;
}

export class Negotiation {
  readonly #socket: TLSSocket;
  #error: Error | undefined;

  /** Begins to connect. */
  constructor(endpoint: Endpoint, tls: TlsClient, owner: NegotiationOwner) {
    const socket = openSocket(endpoint, tls, ['h2', 'http/1.1']) as TLSSocket;
    this.#socket = socket;
    const noteError = (error: Error): void => void (this.#error ??= error);
    const closed = (): void =>
      owner.failed(this, this.#error ?? new ConnectionEnded('the target closed the connection'));
    socket.on('error', noteError).on('close', closed);
    socket.once('secureConnect', () => {
      socket.off('error', noteError).off('close', closed);
      // A server that knows no ALPN speaks HTTP/1.1.
      owner.chosen(this, socket, socket.alpnProtocol === 'h2' ? 'h2' : 'http/1.1');
    });
  }

  close(error: Error): void {
    this.#error ??= error;
    this.#socket.destroy();
  }
}

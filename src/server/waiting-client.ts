/**
 * A client that waits for the response to its WebSocket handshake. Node has handed its socket over and reads it no more,
 * and a socket that is not read does not show that its client has left. Rules H12, H19.
 */
import type { Duplex } from 'node:stream';

/** A client must wait for the 101 (RFC 6455 section 4.1). One that has sent more than this is not read until then. */
const MOST_EARLY_BYTES = 65_536;

export class WaitingClient {
  readonly #socket: Duplex;
  readonly #early: Buffer[] = [];
  #earlyBytes = 0;

  /** Reads the socket until `release`. The end of what the client sends ends the connection, as in any other request. */
  constructor(socket: Duplex) {
    this.#socket = socket;
    socket.on('data', this.#keep);
    socket.on('end', this.#end);
    // It is paused where the handshake had to wait for an earlier response.
    socket.resume();
  }

  /** Stops reading. What the client has sent so far is what the next reader of the socket gets first. */
  release(): void {
    const socket = this.#socket;
    socket.off('data', this.#keep);
    socket.off('end', this.#end);
    socket.pause();
    if (this.#earlyBytes > 0 && !socket.readableEnded) socket.unshift(Buffer.concat(this.#early));
  }

  readonly #keep = (chunk: Buffer): void => {
    this.#early.push(chunk);
    this.#earlyBytes += chunk.length;
    if (this.#earlyBytes > MOST_EARLY_BYTES) this.#socket.pause();
  };

  readonly #end = (): void => void this.#socket.end();
}

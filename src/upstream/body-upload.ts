/**
 * Sends a request's body to an upstream, framed as the request was, at the upstream's pace. Rules H15, C20.
 */
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';

export interface UploadListener {
  /** This many more bytes of the body have come from the client. */
  uploading(bytes: number): void;
  /** The last byte of the request has been written. */
  uploaded(): void;
  /** The body broke off: the request is incomplete, and the connection must not be used any more. */
  failed(error: Error): void;
}

export class BodyUpload {
  readonly #socket: Socket;
  readonly #body: Readable;
  /** Bytes left of a body whose length was announced; undefined if it is chunked. */
  #left: number | undefined;
  readonly #listener: UploadListener;
  #isOver = false;

  constructor(socket: Socket, body: Readable, contentLength: number | undefined, listener: UploadListener) {
    this.#socket = socket;
    this.#body = body;
    this.#left = contentLength;
    this.#listener = listener;
    body.on('data', (chunk: Buffer) => this.#send(chunk));
    body.on('end', () => this.#finish());
    body.on('error', (error) => this.#fail(error));
    if (body.destroyed) this.#fail(body.errored ?? new Error('the body was closed'));
  }

  /** The upstream can take more. */
  resume(): void {
    this.#body.resume();
  }

  /**
   * Stops sending.
   *
   * @returns true if the body was not sent whole
   */
  stop(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#body.destroy();
    return true;
  }

  #send(chunk: Buffer): void {
    if (this.#isOver) return;
    this.#listener.uploading(chunk.length);
    if (!this.#write(chunk)) this.#body.pause();
  }

  #write(chunk: Buffer): boolean {
    if (this.#left !== undefined) {
      this.#left -= chunk.length;
      // Bytes beyond the announced length would be read as the next request.
      if (this.#left < 0) {
        this.#fail(new Error('the body is longer than announced'));
        return true;
      }
      return this.#socket.write(chunk);
    }
    this.#socket.cork();
    this.#socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
    this.#socket.write(chunk);
    const more = this.#socket.write('\r\n', 'latin1');
    this.#socket.uncork();
    return more;
  }

  #finish(): void {
    if (this.#isOver) return;
    if (this.#left !== undefined && this.#left > 0) {
      this.#fail(new Error('the body is shorter than announced'));
      return;
    }
    this.#isOver = true;
    if (this.#left === undefined) this.#socket.write('0\r\n\r\n', 'latin1');
    this.#listener.uploaded();
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#listener.failed(error);
  }
}

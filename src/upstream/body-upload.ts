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

/** Writes the bytes of a body in the framing of its message. */
export interface BodyWriter {
  /** @returns false if no more may come until resume() */
  write(chunk: Buffer): boolean;
  /** The body is whole. */
  end(): void;
}

/** RFC 9112 section 6: by its announced length, or chunked. */
export function http1BodyWriter(
  socket: Socket,
  { contentLength }: { contentLength: number | undefined },
): BodyWriter {
  if (contentLength !== undefined) return { write: (chunk) => socket.write(chunk), end: () => undefined };
  return {
    write(chunk) {
      socket.cork();
      socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
      socket.write(chunk);
      const more = socket.write('\r\n', 'latin1');
      socket.uncork();
      return more;
    },
    end: () => socket.write('0\r\n\r\n', 'latin1'),
  };
}

export class BodyUpload {
  readonly #writer: BodyWriter;
  readonly #body: Readable;
  /** Bytes left of a body whose length was announced; undefined if it was not. */
  #left: number | undefined;
  readonly #listener: UploadListener;
  #isOver = false;

  constructor(
    writer: BodyWriter,
    body: Readable,
    contentLength: number | undefined,
    listener: UploadListener,
  ) {
    this.#writer = writer;
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
    }
    return this.#writer.write(chunk);
  }

  #finish(): void {
    if (this.#isOver) return;
    if (this.#left !== undefined && this.#left > 0) {
      this.#fail(new Error('the body is shorter than announced'));
      return;
    }
    this.#isOver = true;
    this.#writer.end();
    this.#listener.uploaded();
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#listener.failed(error);
  }
}

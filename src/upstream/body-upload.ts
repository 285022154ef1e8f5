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

/** A larger body is not sent again where an upstream has refused its stream. */
const MAX_REPLAY_BYTES = 64 * 1024;

export class BodyUpload {
  readonly #writer: BodyWriter;
  readonly #body: Readable;
  /** Bytes left of a body whose length was announced; undefined if it was not. */
  #left: number | undefined;
  readonly #listener: UploadListener;
  /** What was sent, while it may have to be sent again; undefined once it is too much for that. */
  #sent: Buffer[] | undefined;
  #sentBytes = 0;
  #isOver = false;
  #hasFailed = false;

  /** @param replay what an earlier upload of this body has sent: it goes out first, and what is sent is kept, up to a limit */
  constructor(
    writer: BodyWriter,
    body: Readable,
    contentLength: number | undefined,
    listener: UploadListener,
    replay?: readonly Buffer[],
  ) {
    this.#writer = writer;
    this.#body = body;
    this.#left = contentLength;
    this.#listener = listener;
    if (replay) this.#sent = [];
    for (const chunk of replay ?? []) this.#send(chunk);
    body.on('data', this.#send);
    body.on('end', this.#finish);
    body.on('error', this.#fail);
    if (body.readableEnded) this.#finish();
    else if (body.destroyed) this.#fail(body.errored ?? new Error('the body was closed'));
    // An upload that was reclaimed has paused it.
    else if (replay || body.isPaused()) body.resume();
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

  /**
   * Stops sending, and leaves the body to another upload.
   *
   * @returns what was sent; undefined where that is too much to be sent again, or the body has broken off
   */
  reclaim(): readonly Buffer[] | undefined {
    if (this.#sent === undefined || this.#hasFailed) return undefined;
    this.#isOver = true;
    this.#body.pause();
    this.#body.off('data', this.#send).off('end', this.#finish).off('error', this.#fail);
    return this.#sent;
  }

  readonly #send = (chunk: Buffer): void => {
    if (this.#isOver) return;
    this.#keep(chunk);
    this.#listener.uploading(chunk.length);
    if (!this.#write(chunk)) this.#body.pause();
  };

  #keep(chunk: Buffer): void {
    this.#sentBytes += chunk.length;
    if (this.#sentBytes > MAX_REPLAY_BYTES) this.#sent = undefined;
    this.#sent?.push(chunk);
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

  readonly #finish = (): void => {
    if (this.#isOver) return;
    if (this.#left !== undefined && this.#left > 0) {
      this.#fail(new Error('the body is shorter than announced'));
      return;
    }
    this.#isOver = true;
    this.#writer.end();
    this.#listener.uploaded();
  };

  readonly #fail = (error: Error): void => {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#hasFailed = true;
    this.#listener.failed(error);
  };
}

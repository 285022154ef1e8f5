/**
 * How much of its body a stream may send before the gateway reads it. RFC 9113 sections 5.2 and 6.9.2. Rule H20.
 *
 * A lone upload gets the window of the whole connection: with the initial 64 KiB of RFC 9113 it would send 64 KiB per
 * round trip. Node keeps the connection's window open while bodies are unread, so only the windows of the streams bound
 * the memory that a client can fill. They add up to at most 128 times 64 KiB, as if none had grown: while the client may
 * use the large window, the bodies that it may send ahead have room within that, each by its announced length (a longer
 * one ends the connection) or else by the window, and a stream beyond them is refused unread.
 */
import {
  constants,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Clock } from '../clock.ts';
import { grpcTypeOf } from '../http/grpc-response.ts';

/** Bytes that one client may send before the gateway reads them. */
export const CONNECTION_WINDOW_BYTES = 1024 * 1024;
/** The initial window of RFC 9113. */
const SMALL_WINDOW_BYTES = 65_535;
/** Memory for the unread bodies of one connection, give or take a few bytes. */
const UNREAD_BYTES = 8 * 1024 * 1024;
/** A client whose uploads come now alone, now together must not cause SETTINGS all the time. */
const GROWS_AGAIN_MS = 1_000;

export class UploadWindow {
  readonly #session: ServerHttp2Session;
  readonly #clock: Clock;
  /** Streams whose bodies have not ended. */
  #uploads = 0;
  /** What these may send ahead where the window is large. */
  #mostUnread = 0;
  /** The window that was last sent. */
  #isLarge = false;
  /** The client may use the large window: it was sent, and no smaller one is acknowledged. */
  #mayBeLarge = false;
  /** SETTINGS that the client has not acknowledged: one at a time. */
  #isPending = false;
  #shrunkAtMs = -Infinity;

  constructor(session: ServerHttp2Session, clock: Clock) {
    this.#session = session;
    this.#clock = clock;
  }

  /**
   * Counts a stream with a body that has begun.
   *
   * @returns false if the stream was refused; its client may try again (RFC 9113 section 8.7)
   */
  admit(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
    const bytes = mostUnreadOf(headers);
    if (this.#mayBeLarge && this.#mostUnread + bytes > UNREAD_BYTES) {
      // An error without a listener ends the process.
      stream.on('error', () => undefined);
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return false;
    }
    this.#uploads++;
    this.#mostUnread += bytes;
    stream.once('close', () => {
      this.#uploads--;
      this.#mostUnread -= bytes;
    });
    if (this.#uploads > 1) this.#shrink();
    else if (mayBeLarge(headers)) this.#grow();
    return true;
  }

  #grow(): void {
    if (this.#isLarge || this.#isPending || this.#clock.monotonicMs() < this.#shrunkAtMs + GROWS_AGAIN_MS)
      return;
    this.#isLarge = true;
    this.#mayBeLarge = true;
    this.#tell(CONNECTION_WINDOW_BYTES);
  }

  #shrink(): void {
    if (!this.#isLarge || this.#isPending) return;
    this.#isLarge = false;
    this.#shrunkAtMs = this.#clock.monotonicMs();
    this.#tell(SMALL_WINDOW_BYTES);
  }

  #tell(initialWindowSize: number): void {
    if (this.#session.closed || this.#session.destroyed) return;
    this.#isPending = true;
    this.#session.settings({ initialWindowSize }, (error) => {
      // The session is over.
      if (error) return;
      this.#isPending = false;
      this.#mayBeLarge = this.#isLarge;
      if (this.#uploads > 1) this.#shrink();
    });
  }
}

/** A length that is no number was refused before. */
function mostUnreadOf({ 'content-length': length }: IncomingHttpHeaders): number {
  return length === undefined ? CONNECTION_WINDOW_BYTES : Math.min(Number(length), CONNECTION_WINDOW_BYTES);
}

/** Calls of gRPC come many at a time, each of small messages: as large uploads, most of them would be refused. */
function mayBeLarge({ 'content-length': length, 'content-type': type = '' }: IncomingHttpHeaders): boolean {
  return !(Number(length) <= SMALL_WINDOW_BYTES) && grpcTypeOf(['content-type', type]) === undefined;
}

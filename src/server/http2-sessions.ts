/**
 * The HTTP/2 connections of a listener: their limits, and their end. RFC 9113. Rules H19, H20, C17, C21.
 */
import { constants, performServerHandshake, type ServerHttp2Session, type ServerOptions } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Clock } from '../clock.ts';
import type { Connection } from './connection.ts';
import { Http2Response, Http2Request } from './http2-stream.ts';
import { FieldCounter } from './http2-field-count.ts';
import { tapped } from './http2-tap.ts';
import { CONNECTION_WINDOW_BYTES, UploadWindow } from './http2-upload-window.ts';

export interface Http2Limits {
  readonly uriBytes: number;
  readonly headerBytes: number;
  readonly headersTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Fields are counted as they come, so that one which nghttp2 drops is noticed (rule C27). */
  readonly countsFields: boolean;
}

/** Of one connection, at a time. */
const CONCURRENT_STREAMS = 128;
/** Streams that a client may reset, or make nghttp2 reset (rules H20, C17): so many at once, and so many a second. */
const RESETS = { burst: 200, aSecond: 33 };
/** Field lines beyond this are no request of anybody; up to it they are counted, and answered with 431. */
const FIELD_LINES = 2_000;
/** Between the word that no new stream should come, and the one that none will be served. */
const NOTICE_MS = 250;
const LAST_STREAM_ID = 2 ** 31 - 1;

export class Http2Sessions {
  readonly #limits: () => Http2Limits;
  readonly #serve: (request: Http2Request, response: Http2Response, connection: Connection) => void;
  readonly #clock: Clock;
  readonly #sessions = new Map<Duplex, ServerHttp2Session>();
  #draining = false;

  constructor(
    limits: () => Http2Limits,
    serve: (request: Http2Request, response: Http2Response, connection: Connection) => void,
    clock: Clock,
  ) {
    this.#limits = limits;
    this.#serve = serve;
    this.#clock = clock;
  }

  /** Takes over a connection that chose h2. */
  accept(socket: Duplex, connection: Connection): void {
    const limits = this.#limits();
    const counter = limits.countsFields ? new FieldCounter() : undefined;
    const transport = counter ? tapped(socket, (bytes) => counter.read(bytes)) : socket;
    const session = performServerHandshake(transport, sessionOptions(limits));
    this.#sessions.set(socket, session);
    // Whoever has chosen h2 and then asks for nothing is as slow as one whose header section does not come.
    const cancel = this.#clock.after(limits.headersTimeoutMs, () => socket.destroy());
    session.once('stream', cancel);
    // The socket and not the session: one that was told to close waits for its client to do so, for ever.
    socket.once('close', () => {
      cancel();
      this.#sessions.delete(socket);
    });
    // What went wrong was the client's doing, and its connection ends.
    session.on('error', () => socket.destroy());
    session.on('frameError', () => socket.destroy());
    session.on('remoteSettings', () => session.setLocalWindowSize(CONNECTION_WINDOW_BYTES));
    const uploads = new UploadWindow(session, this.#clock);
    session.on('stream', (stream, headers, _flags, rawHeaders) => {
      const fields = counter?.take(stream.id ?? 0);
      if (counter && fields === undefined) {
        socket.destroy();
        return;
      }
      if (!stream.endAfterHeaders && !uploads.admit(stream, headers['content-length'])) return;
      const isIntact = fields === undefined || fields === rawHeaders.length / 2;
      const request = new Http2Request(stream, rawHeaders, isIntact);
      const response = new Http2Response(stream, request, this.#limits().idleTimeoutMs);
      this.#serve(request, response, connection);
    });
    if (this.#draining) this.#drain(session);
  }

  /** The connection has been idle for too long. Returns whether it is one of these. */
  end(socket: Duplex): boolean {
    const session = this.#sessions.get(socket);
    if (!session) return false;
    session.close();
    // A client that does not take its farewell is left without.
    this.#clock.after(NOTICE_MS, () => socket.destroy());
    return true;
  }

  /** Streams under way come to their end; no new ones. */
  drain(): void {
    this.#draining = true;
    for (const session of this.#sessions.values()) this.#drain(session);
  }

  destroy(): void {
    for (const socket of this.#sessions.keys()) socket.destroy();
  }

  /**
   * First a notice: what a client has already sent when it hears of the end is still served (RFC 9113 section 6.8).
   * Not by the injected clock, as the drain itself is not.
   */
  #drain(session: ServerHttp2Session): void {
    if (session.destroyed) return;
    session.goaway(constants.NGHTTP2_NO_ERROR, LAST_STREAM_ID);
    setTimeout(() => session.close(), NOTICE_MS);
  }
}

function sessionOptions({ uriBytes, headerBytes }: Http2Limits): ServerOptions {
  const bytes = uriBytes + headerBytes;
  return {
    maxHeaderListPairs: FIELD_LINES,
    maxSessionInvalidFrames: 50,
    maxSessionRejectedStreams: 50,
    maxSettings: 32,
    streamResetBurst: RESETS.burst,
    streamResetRate: RESETS.aSecond,
    // Upstreams decide what they repeat; HTTP/1.1 clients get it as it is, too.
    strictSingleValueFields: false,
    // nghttp2 would drop fields with white space at their ends in silence; ours are seen and refused.
    strictFieldWhitespaceValidation: false,
    settings: {
      enablePush: false,
      maxConcurrentStreams: CONCURRENT_STREAMS,
      // Twice as much: what is beyond the limits is answered with 431 or 414, and only what is far beyond is cut off.
      maxHeaderListSize: 2 * bytes + FIELD_LINES * 32,
    },
  };
}

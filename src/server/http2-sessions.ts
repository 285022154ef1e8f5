/**
 * The HTTP/2 connections of a listener: their limits and their end. RFC 9113. Rules H19, H20, C17, C21.
 */
import { constants, performServerHandshake, type ServerHttp2Session, type ServerOptions } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Clock } from '../clock.ts';
import type { Connection } from './connection.ts';
import type { ListenerCounts } from './listener-counts.ts';
import { Http2Response, Http2Request } from './http2-stream.ts';
import { FieldCounter } from './http2-field-count.ts';
import { tapped } from './http2-tap.ts';
import { CONNECTION_WINDOW_BYTES, UploadWindow } from './http2-upload-window.ts';

export interface Http2Limits {
  readonly uriBytes: number;
  readonly headerBytes: number;
  readonly headersTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Count the fields of a client's bytes, to notice those that nghttp2 drops (rule C27). */
  readonly countsFields: boolean;
}

/** At a time, on one connection. */
const CONCURRENT_STREAMS = 128;
/**
 * Streams that a client may reset, or make nghttp2 reset (rules H20, C17): at once, and per second. A client of gRPC
 * resets each call that it cancels or whose deadline ends, and a proxy in front does so for all of its clients.
 */
const RESETS = { burst: 500, aSecond: 100 };
/** No real client sends more field lines than this. Up to it they are counted, and too many are refused with 431. */
const FIELD_LINES = 2_000;
/** Between the GOAWAY that asks for no new streams and the one that refuses them. */
const NOTICE_MS = 250;
const LAST_STREAM_ID = 2 ** 31 - 1;

export class Http2Sessions {
  readonly #limits: () => Http2Limits;
  readonly #serve: (request: Http2Request, response: Http2Response, connection: Connection) => void;
  readonly #counts: ListenerCounts;
  readonly #clock: Clock;
  readonly #sessions = new Map<Duplex, ServerHttp2Session>();
  #draining = false;

  constructor(
    limits: () => Http2Limits,
    serve: (request: Http2Request, response: Http2Response, connection: Connection) => void,
    counts: ListenerCounts,
    clock: Clock,
  ) {
    this.#limits = limits;
    this.#serve = serve;
    this.#counts = counts;
    this.#clock = clock;
  }

  /**
   * Takes over a connection that chose h2, or began with its preface.
   *
   * @param withinMs the time for its first request
   */
  accept(socket: Duplex, connection: Connection, withinMs: number = this.#limits().headersTimeoutMs): void {
    const limits = this.#limits();
    const counter = limits.countsFields ? new FieldCounter() : undefined;
    const transport = counter ? tapped(socket, (bytes) => counter.read(bytes)) : socket;
    const session = performServerHandshake(transport, sessionOptions(limits));
    this.#sessions.set(socket, session);
    // A client that negotiates h2 but sends no request is treated like one that does not send its headers in time.
    const cancel = this.#clock.after(withinMs, () => socket.destroy());
    session.once('stream', cancel);
    // The socket, not the session: a session that was told to close waits for its client for ever.
    socket.once('close', () => {
      cancel();
      this.#sessions.delete(socket);
    });
    // The client caused the error: its connection ends.
    session.on('error', () => {
      this.#counts.sessionErrors++;
      socket.destroy();
    });
    session.on('frameError', () => socket.destroy());
    session.on('remoteSettings', () => session.setLocalWindowSize(CONNECTION_WINDOW_BYTES));
    const uploads = new UploadWindow(session, this.#clock);
    session.on('stream', (stream, headers, _flags, rawHeaders) => {
      const fields = counter?.take(stream.id ?? 0);
      if (counter && fields === undefined) {
        socket.destroy();
        return;
      }
      if (!stream.endAfterHeaders && !uploads.admit(stream, headers)) return;
      const isIntact = fields === undefined || fields === rawHeaders.length / 2;
      const request = new Http2Request(stream, rawHeaders, isIntact, connection.scheme);
      const response = new Http2Response(stream, request, this.#limits().idleTimeoutMs);
      this.#serve(request, response, connection);
    });
    if (this.#draining) this.#drain(session);
  }

  /** Ends a connection that has been idle for too long. Returns false if it does not use HTTP/2. */
  end(socket: Duplex): boolean {
    const session = this.#sessions.get(socket);
    if (!session) return false;
    session.close();
    // A client that does not read the GOAWAY loses its connection without it.
    this.#clock.after(NOTICE_MS, () => socket.destroy());
    return true;
  }

  /** Open streams end by themselves; new ones are refused. */
  drain(): void {
    this.#draining = true;
    for (const session of this.#sessions.values()) this.#drain(session);
  }

  destroy(): void {
    for (const socket of this.#sessions.keys()) socket.destroy();
  }

  /**
   * First a notice: requests that the client sent before it read the notice are still served (RFC 9113 section 6.8).
   * Like the drain itself, this does not use the injected clock.
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
    // An upstream may repeat a field; HTTP/1.1 clients get it unchanged, too.
    strictSingleValueFields: false,
    // nghttp2 would drop fields with white space at their ends in silence; the gateway must see them to refuse them.
    strictFieldWhitespaceValidation: false,
    settings: {
      enablePush: false,
      maxConcurrentStreams: CONCURRENT_STREAMS,
      // Twice as much: a request beyond the limits is refused with 431 or 414; only one far beyond is cut off.
      maxHeaderListSize: 2 * bytes + FIELD_LINES * 32,
    },
  };
}

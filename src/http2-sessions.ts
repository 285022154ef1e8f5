/**
 * The HTTP/2 connections of a listener: their limits, and their end. RFC 9113. Rules H19, H20, C17, C21.
 */
import {
  constants,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Clock } from './clock.ts';
import type { Connection } from './gateway.ts';
import { Http2Answer, Http2Request } from './http2-exchange.ts';

export interface Http2Limits {
  readonly uriBytes: number;
  readonly headerBytes: number;
  readonly headersTimeoutMs: number;
  readonly idleTimeoutMs: number;
}

/** Of one connection, at a time. */
const CONCURRENT_STREAMS = 128;
/** What may be on its way up on one connection. Of a single stream, 64 KiB: the default of RFC 9113. */
const CONNECTION_WINDOW_BYTES = 1024 * 1024;
/** Streams that may end before their time (rules H20, C17): so many at once, and so many a second. */
const RESETS = { burst: 200, aSecond: 33 };
/** Field lines beyond this are no request of anybody; up to it they are counted, and answered with 431. */
const FIELD_LINES = 2_000;
/** Between the word that no new stream should come, and the one that none will be served. */
const NOTICE_MS = 250;
const LAST_STREAM_ID = 2 ** 31 - 1;

/** An HTTP/2 connection and what is noted of it. */
interface Session {
  readonly session: ServerHttp2Session;
  readonly connection: Connection;
  /** Resets that it may still cause now. */
  resetsLeft: number;
  resetsCountedAtMs: number;
}

export class Http2Sessions {
  readonly #limits: () => Http2Limits;
  readonly #serve: (request: Http2Request, answer: Http2Answer, connection: Connection) => void;
  readonly #clock: Clock;
  readonly #sessions = new Map<Duplex, Session>();
  #draining = false;

  constructor(
    limits: () => Http2Limits,
    serve: (request: Http2Request, answer: Http2Answer, connection: Connection) => void,
    clock: Clock,
  ) {
    this.#limits = limits;
    this.#serve = serve;
    this.#clock = clock;
  }

  /** Takes over a connection that chose h2. */
  accept(socket: Duplex, connection: Connection): void {
    const limits = this.#limits();
    const session = performServerHandshake(socket, sessionOptions(limits));
    const noted: Session = {
      session,
      connection,
      resetsLeft: RESETS.burst,
      resetsCountedAtMs: this.#clock.monotonicMs(),
    };
    this.#sessions.set(socket, noted);
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
    session.on('stream', (stream, _headers, _flags, rawHeaders) => {
      this.#begun(noted, stream, rawHeaders);
      stream.on('close', () => {
        if (stream.rstCode !== constants.NGHTTP2_NO_ERROR && !this.#mayReset(noted))
          this.#calm(socket, session);
      });
    });
    if (this.#draining) this.#drain(session);
  }

  /** The connection has been idle for too long. Returns whether it is one of these. */
  end(socket: Duplex): boolean {
    const noted = this.#sessions.get(socket);
    if (!noted) return false;
    noted.session.close();
    this.#endSoon(socket);
    return true;
  }

  /** Streams under way come to their end; no new ones. */
  drain(): void {
    this.#draining = true;
    for (const { session } of this.#sessions.values()) this.#drain(session);
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

  #begun(noted: Session, stream: ServerHttp2Stream, rawHeaders: readonly string[]): void {
    const request = new Http2Request(stream, rawHeaders);
    const answer = new Http2Answer(stream, request, this.#limits().idleTimeoutMs);
    this.#serve(request, answer, noted.connection);
  }

  /** Whoever resets, or makes the gateway reset, stream after stream has it work for nothing. */
  #calm(socket: Duplex, session: ServerHttp2Session): void {
    session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
    this.#endSoon(socket);
  }

  /** A client that does not take its farewell is left without. */
  #endSoon(socket: Duplex): void {
    this.#clock.after(NOTICE_MS, () => socket.destroy());
  }

  /** Counts a stream that ended before its time. */
  #mayReset(noted: Session): boolean {
    const nowMs = this.#clock.monotonicMs();
    const regained = ((nowMs - noted.resetsCountedAtMs) / 1000) * RESETS.aSecond;
    noted.resetsLeft = Math.min(RESETS.burst, noted.resetsLeft + regained) - 1;
    noted.resetsCountedAtMs = nowMs;
    return noted.resetsLeft >= 0;
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
    settings: {
      enablePush: false,
      maxConcurrentStreams: CONCURRENT_STREAMS,
      // Twice as much: what is beyond the limits is answered with 431 or 414, and only what is far beyond is cut off.
      maxHeaderListSize: 2 * bytes + FIELD_LINES * 32,
    },
  };
}

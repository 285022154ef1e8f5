/**
 * One HTTP/2 connection to a target (RFC 9113): streams share it up to what both sides allow. It is used only once the
 * peer's SETTINGS have come, so that a server of another protocol never gets a request. Rules H15, H17.
 */
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { TlsClient } from '../tls/client-options.ts';
import { openSocket, type Endpoint } from './open-socket.ts';
import { collectAfter, nativePart, type StreamsAlive } from './native-session.ts';
import { MAX_HEAD_BYTES } from './response-reader.ts';
import { SessionWatch } from './session-watch.ts';
import { PeerSilent } from './upstream-errors.ts';
import { ConnectionEnded } from './upstream-connection.ts';

/** Hears of the states of a session. */
export interface SessionOwner {
  connected(session: Http2Session): void;
  /** A stream has ended: another may begin. */
  released(session: Http2Session): void;
  /** It takes no more streams, but some are still open. */
  draining(session: Http2Session): void;
  /** It has ended. `error` is set if it served no request: it was never connected, or took none. */
  closed(session: Http2Session, error: Error | undefined): void;
}

/** What a stream may have on its way that its client has not taken: bounds the memory of a slow client. */
const STREAM_WINDOW_BYTES = 256 * 1024;
/** All streams together; Node opens it again as the bytes arrive. */
const SESSION_WINDOW_BYTES = 4 * 1024 * 1024;

const OPTIONS = {
  settings: {
    enablePush: false,
    initialWindowSize: STREAM_WINDOW_BYTES,
    maxHeaderListSize: MAX_HEAD_BYTES,
  },
  maxReservedRemoteStreams: 0,
  // A client may repeat any field, as over HTTP/1.1.
  strictSingleValueFields: false,
};

/** Stream ids end at 2^31 (RFC 9113 section 5.1.1). */
const MAX_STREAMS = 2 ** 29;

/** The peer speaks another protocol. */
class NotHttp2 extends Error {
  override readonly name = 'NotHttp2';
}

export class Http2Session {
  readonly scheme: 'http' | 'https';
  readonly #session: ClientHttp2Session;
  readonly #socket: Socket;
  readonly #owner: SessionOwner;
  readonly #maxStreams: number;
  #native: unknown;
  #streamsAlive: StreamsAlive = {};
  readonly #watch = new SessionWatch();
  #error: Error | undefined;
  #isConnected = false;
  /** GOAWAY has come, or it is closed: no new stream. */
  #isEnding = false;
  #isClosed = false;
  /** Streams with a higher id were not processed (RFC 9113 section 6.8). */
  #lastProcessed = Infinity;
  /** Streams that were ever opened. */
  #opened = 0;
  /** It has refused a stream, and gets no other until the pool's next sweep. */
  isResting = false;
  /** Streams that have not ended. */
  streams = 0;
  /** When the last stream ended, on the forwarder's coarse clock. */
  idleSinceMs = 0;

  /**
   * Begins to connect.
   *
   * @param ready a socket whose TLS handshake is over and has chosen HTTP/2
   */
  constructor(endpoint: Endpoint, tls: TlsClient, maxStreams: number, owner: SessionOwner, ready?: Socket) {
    const { origin } = endpoint;
    this.#owner = owner;
    this.#maxStreams = maxStreams;
    const socket = ready ?? openSocket(endpoint, tls, ['h2']);
    this.#socket = socket;
    const isTls = origin.protocol === 'https:';
    this.scheme = isTls ? 'https' : 'http';
    this.#session = connect(origin, { ...OPTIONS, createConnection: () => socket });
    if (isTls && !ready) socket.once('secureConnect', () => this.#checkProtocol(socket as TLSSocket));
    this.#session.once('connect', () => {
      this.#native = nativePart(this.#session);
      // A peer of another protocol may have ended it in this moment.
      if (!this.#session.destroyed) this.#session.setLocalWindowSize(SESSION_WINDOW_BYTES);
    });
    this.#session.on('remoteSettings', () => this.#settled());
    this.#session.on('goaway', (_code: number, lastStreamId: number) => {
      this.#lastProcessed = lastStreamId;
      this.#end();
    });
    this.#session.on('error', (error: Error) => (this.#error ??= error));
    this.#session.on('close', () => this.#closed());
  }

  /** Can it take another stream? */
  get hasRoom(): boolean {
    const { maxConcurrentStreams = Infinity } = this.#session.remoteSettings;
    return (
      this.#isConnected &&
      !this.#isEnding &&
      !this.isResting &&
      !this.#watch.isSuspect &&
      !this.#session.closed &&
      !this.#session.destroyed &&
      this.streams < Math.min(this.#maxStreams, maxConcurrentStreams)
    );
  }

  /** The peer allows no stream at all for now: another session would not help. */
  get isShut(): boolean {
    return this.#isConnected && this.#session.remoteSettings.maxConcurrentStreams === 0;
  }

  /** Why it ended; undefined while it has not. */
  get error(): Error | undefined {
    if (!this.#isClosed && !this.#session.destroyed) return undefined;
    return this.#error ?? new ConnectionEnded('the upstream closed the connection');
  }

  /** Each stream must refer to it. */
  get streamsAlive(): StreamsAlive {
    return this.#streamsAlive;
  }

  /** The peer has said that it did not look at this stream. */
  hasSkipped(streamId: number | undefined): boolean {
    return streamId !== undefined && streamId > this.#lastProcessed;
  }

  /**
   * Opens a stream. It must be told of its end by streamEnded().
   *
   * @param head names and values in turn, pseudo-header fields first
   * @throws whatever Node does not send
   */
  open(head: readonly string[], endStream: boolean): ClientHttp2Stream {
    const stream = this.#session.request(head, { endStream });
    this.streams++;
    if (++this.#opened === MAX_STREAMS) this.#end();
    return stream;
  }

  streamEnded(): void {
    this.streams--;
    if (!this.#isEnding) this.#owner.released(this);
    else if (this.streams === 0) this.#goodbye();
  }

  /** A part of a response has come on one of its streams. */
  responded(): void {
    this.#watch.responded();
  }

  /** Now and then: is its peer still there? */
  look(nowMs: number): void {
    if (!this.#isConnected || this.#session.destroyed) return;
    const { streams } = this;
    const { bytesRead } = this.#socket;
    const next = this.#watch.look(nowMs, { bytesRead, streams, opened: this.#opened });
    // Its reply counts as any byte that comes.
    if (next === 'probe') this.#session.ping(() => undefined);
    else if (next === 'give up') this.close(new PeerSilent());
  }

  /** Ends it now; its streams fail. */
  close(error: Error): void {
    this.#error ??= error;
    this.#goodbye();
  }

  /** It takes no new streams; those that are open go on. */
  retire(): void {
    this.#end();
  }

  #checkProtocol({ alpnProtocol }: TLSSocket): void {
    if (alpnProtocol !== 'h2')
      this.close(new NotHttp2('the target does not speak HTTP/2 over TLS (ALPN h2)'));
  }

  /** SETTINGS have come, for the first time or again. */
  #settled(): void {
    if (this.#isConnected) {
      if (!this.#isEnding) this.#owner.released(this);
      return;
    }
    this.#isConnected = true;
    this.#owner.connected(this);
  }

  #end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    if (this.streams === 0) this.#goodbye();
    else this.#owner.draining(this);
  }

  /** Sends GOAWAY. A peer that never closes its side must not keep the socket. */
  #goodbye(): void {
    this.#session.destroy(undefined, constants.NGHTTP2_NO_ERROR);
    this.#socket.destroy();
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isEnding = true;
    this.#socket.destroy();
    collectAfter(this.#streamsAlive, this.#native);
    this.#native = undefined;
    this.#streamsAlive = {};
    this.#owner.closed(this, this.#opened === 0 ? this.error : undefined);
  }
}

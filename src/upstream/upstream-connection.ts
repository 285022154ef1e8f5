/**
 * One HTTP/1.1 connection to an upstream: a request goes out, its answer comes in, then the next. A connection
 * about which anything is in doubt is closed, not used again. Rules H4, H15, H17, C18, C19, C20.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { BrokenResponse, type ResponseHead, type ResponseHeaders } from '../http/response-head.ts';
import type { TlsClient } from '../tls/client-options.ts';
import { ResponseReader, type ResponseListener } from './response-reader.ts';
import { BodyUpload } from './body-upload.ts';

/** What goes out on a connection. */
export interface UpstreamRequest {
  readonly method: string;
  /** Request line and fields, as latin1, with the empty line at the end. */
  readonly head: string;
  readonly body: Readable | undefined;
  /** Undefined: the body is chunked. */
  readonly contentLength: number | undefined;
  /** The protocol that it asks to switch to, in lower case. */
  readonly upgrade: string | undefined;
}

/** Who sent a request, and is told of its answer. */
export interface ConnectionUser extends Omit<ResponseListener, 'switched'> {
  /** The upstream has switched protocols: the connection is the user's now. It is paused. */
  switched(head: ResponseHead, socket: Socket, early: Buffer): void;
  /** So much more of the body has come from the client. */
  uploading(bytes: number): void;
  /** The whole request is on its way; the wait for the answer begins. */
  uploaded(): void;
  /** Everything that came in one read has been handed over. */
  received(): void;
  /**
   * The connection ended, with the request or the answer on it unfinished. Nothing follows.
   *
   * @param heard a byte of a response had come
   */
  failed(error: Error, heard: boolean): void;
}

/** What becomes of a connection. */
export interface ConnectionOwner {
  connected(connection: UpstreamConnection): void;
  /** Its request is answered, and it can take another. */
  released(connection: UpstreamConnection): void;
  /** It has ended, or is its user's now. `error` is there where it never was connected. */
  closed(connection: UpstreamConnection, error: Error | undefined): void;
}

/** The upstream closed the connection before its answer was whole. Has a `code` like errors of the system. */
export class ConnectionEnded extends Error {
  override readonly name = 'ConnectionEnded';
  readonly code = 'ECONNRESET';
}

/** What a read may bring at most. One for all connections: its bytes are used up before the next read. */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

/** @param read undefined: the socket brings its bytes by events, as everybody else expects them */
function openSocket(origin: URL, tls: TlsClient, read: ((bytes: number) => boolean) | undefined): Socket {
  const isTls = origin.protocol === 'https:';
  const host = origin.hostname.replace(/^\[|\]$/g, '');
  const options = {
    host,
    port: origin.port === '' ? (isTls ? 443 : 80) : Number(origin.port),
    noDelay: true,
    ...(read && { onread: { buffer: READ_BUFFER, callback: read } }),
  };
  if (!isTls) return connectTcp(options);
  // A name for SNI and the certificate; an address is checked against the certificate, but never sent (RFC 6066).
  return connectTls({
    ...options,
    ALPNProtocols: ['http/1.1'],
    ...(isIP(host) === 0 && { servername: host }),
    ...tls,
  });
}

export class UpstreamConnection implements ResponseListener {
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #reader = new ResponseReader(this);
  #user: ConnectionUser | undefined;
  #upload: BodyUpload | undefined;
  /** A byte of the response to the request under way has come. */
  #heard = false;
  #isConnected = false;
  #isClosed = false;
  #isHandedOver = false;
  #mayBeUsedAgain = true;
  #error: Error | undefined;
  /** How long the upstream says that it keeps an idle connection, in seconds. */
  keepAliveSeconds: number | undefined;
  /** When the last answer ended, on the forwarder's coarse clock. */
  idleSinceMs = 0;

  /**
   * Begins to connect.
   *
   * @param maySwitch it is for a request that asks to switch protocols
   */
  constructor(origin: URL, tls: TlsClient, owner: ConnectionOwner, maySwitch = false) {
    this.#owner = owner;
    const readShared = (bytes: number): boolean => {
      this.#read(READ_BUFFER.subarray(0, bytes));
      return true;
    };
    this.#socket = openSocket(origin, tls, maySwitch ? undefined : readShared);
    if (maySwitch) this.#socket.on('data', this.#read);
    this.#socket.on(origin.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
      this.#isConnected = true;
      owner.connected(this);
    });
    this.#socket.on('error', (error) => (this.#error ??= error));
    this.#socket.on('end', () => this.#ended());
    this.#socket.on('drain', () => this.#upload?.resume());
    this.#socket.on('close', () => this.#closed());
  }

  /** No answer is under way, and the connection is open: it can take a request. */
  get usable(): boolean {
    return this.#isConnected && !this.#isClosed && this.#user === undefined && !this.#socket.destroyed;
  }

  send(request: UpstreamRequest, user: ConnectionUser): void {
    this.#user = user;
    this.#heard = false;
    this.#reader.expect(request.method, request.upgrade);
    if (request.body === undefined) {
      this.#socket.write(request.head, 'latin1');
      user.uploaded();
      return;
    }
    this.#socket.write(request.head, 'latin1');
    this.#upload = new BodyUpload(this.#socket, request.body, request.contentLength, {
      uploading: (bytes) => user.uploading(bytes),
      uploaded: () => user.uploaded(),
      failed: (error) => this.close(error),
    });
  }

  /** The upstream takes no more of a request for now. */
  get congested(): boolean {
    return this.#socket.writableNeedDrain;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Ends the connection now; its user, if it has one, is told why. */
  close(error: Error): void {
    this.#error ??= error;
    this.#socket.destroy();
  }

  /** Its user is gone: ends the connection and tells nobody. */
  abandon(): void {
    this.#user = undefined;
    this.#socket.destroy();
  }

  informational(head: ResponseHead): void {
    this.#user?.informational(head);
  }

  begin(head: ResponseHead): void {
    this.#mayBeUsedAgain = head.keepAlive;
    this.keepAliveSeconds = head.keepAliveSeconds;
    this.#user?.begin(head);
  }

  data(chunk: Buffer): void {
    this.#user?.data(chunk);
  }

  end(trailers: ResponseHeaders): void {
    // The connection is not handed on before the rest of the read has been looked at: bytes behind an answer
    // must never pass for the next one (rule H17).
    this.#user?.end(trailers);
    this.#user = undefined;
  }

  switched(head: ResponseHead, early: Buffer): void {
    const user = this.#user;
    this.#user = undefined;
    this.#isHandedOver = true;
    this.#socket.off('data', this.#read);
    this.#socket.pause();
    this.#owner.closed(this, undefined);
    user?.switched(head, this.#socket, early);
  }

  readonly #read = (bytes: Buffer): void => {
    const user = this.#user;
    this.#heard = true;
    try {
      this.#reader.read(bytes);
    } catch (error) {
      if (!(error instanceof BrokenResponse)) throw error;
      this.close(error);
      return;
    }
    if (this.#isHandedOver) return;
    user?.received();
    if (user !== undefined && this.#user === undefined) this.#answered();
  };

  /** The answer is whole. */
  #answered(): void {
    // An answer that did not wait for the whole request leaves the rest of it in nobody's message.
    const uploading = this.#upload?.stop() ?? false;
    this.#upload = undefined;
    // The client was slower than the answer; the next one on this connection has a client of its own.
    if (this.#socket.isPaused()) this.#socket.resume();
    if (this.#mayBeUsedAgain && !uploading && !this.#socket.destroyed) this.#owner.released(this);
    else this.#socket.destroy();
  }

  /** The upstream has closed its side. */
  #ended(): void {
    if (this.#isHandedOver) return;
    if (this.#user !== undefined) {
      const user = this.#user;
      try {
        this.#reader.finish();
        user.received();
        this.#upload?.stop();
      } catch {
        this.#error ??= new ConnectionEnded('the upstream closed the connection');
      }
    }
    this.#socket.destroy();
  }

  #closed(): void {
    this.#isClosed = true;
    if (this.#isHandedOver) return;
    const user = this.#user;
    this.#user = undefined;
    this.#upload?.stop();
    const error = this.#error ?? new ConnectionEnded('the connection was closed');
    this.#owner.closed(this, this.#isConnected ? undefined : error);
    user?.failed(error, this.#heard);
  }
}

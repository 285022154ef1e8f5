/**
 * One HTTP/1.1 connection to an upstream: a request goes out, its response comes in, then the next. A connection in
 * any doubtful state is closed, not used again. Rules H4, H15, H17, C18, C19, C20.
 */
import type { Socket } from 'node:net';
import { BrokenResponse, type ResponseHead, type ResponseHeaders } from '../http/response-head.ts';
import type { TlsClient } from '../tls/client-options.ts';
import { ResponseReader, type ResponseListener } from './response-reader.ts';
import { BodyUpload, http1BodyWriter } from './body-upload.ts';
import { openSocket, type Endpoint } from './open-socket.ts';
import { ReadBuffer } from './read-buffer.ts';
import { writeRequestHead } from './request-writer.ts';
import type { LinkUser, UpstreamLink, UpstreamRequest } from './upstream-link.ts';

/** Hears of the states of a connection. */
export interface ConnectionOwner {
  connected(connection: UpstreamConnection): void;
  /** Its response is complete, and it can take another request. */
  released(connection: UpstreamConnection): void;
  /** It has ended, or its user has taken it over. `error` is set if it was never connected. */
  closed(connection: UpstreamConnection, error: Error | undefined): void;
}

/** The upstream closed the connection before its response was whole. Has a `code` like errors of the system. */
export class ConnectionEnded extends Error {
  override readonly name = 'ConnectionEnded';
  readonly code = 'ECONNRESET';
}

export class UpstreamConnection implements UpstreamLink, ResponseListener {
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #reader = new ResponseReader(this);
  readonly #buffer = new ReadBuffer();
  #user: LinkUser | undefined;
  #upload: BodyUpload | undefined;
  /** A byte of the response to the current request has come. */
  #heard = false;
  #isConnected = false;
  #isClosed = false;
  #isHandedOver = false;
  #mayBeUsedAgain = true;
  #error: Error | undefined;
  /** How long the upstream says that it keeps an idle connection, in seconds. */
  keepAliveSeconds: number | undefined;
  /** When the last response ended, on the forwarder's coarse clock. */
  idleSinceMs = 0;

  /**
   * Begins to connect.
   *
   * @param maySwitch it is for a request that asks to switch protocols
   * @param ready a socket that is connected: the owner does not hear of it
   */
  constructor(endpoint: Endpoint, tls: TlsClient, owner: ConnectionOwner, maySwitch = false, ready?: Socket) {
    this.#owner = owner;
    const callback = (bytes: number, buffer: Uint8Array): boolean => {
      this.#buffer.read(bytes);
      this.#read((buffer as Buffer).subarray(0, bytes));
      return true;
    };
    // A socket that was opened for either protocol delivers its bytes by events.
    const readsByEvent = maySwitch || ready !== undefined;
    const onread = readsByEvent ? undefined : { buffer: this.#buffer.next, callback };
    this.#socket = ready ?? openSocket(endpoint, tls, ['http/1.1'], onread);
    this.#isConnected = ready !== undefined;
    if (readsByEvent) this.#socket.on('data', this.#read);
    if (!ready)
      this.#socket.on(endpoint.origin.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
        this.#isConnected = true;
        owner.connected(this);
      });
    this.#socket.on('error', (error) => (this.#error ??= error));
    this.#socket.on('end', () => this.#ended());
    this.#socket.on('drain', () => this.#upload?.resume());
    this.#socket.on('close', () => this.#closed());
  }

  /** The connection is open and waits for no response: it can take a request. */
  get usable(): boolean {
    return this.#isConnected && !this.#isClosed && this.#user === undefined && !this.#socket.destroyed;
  }

  send(request: UpstreamRequest, user: LinkUser): void {
    this.#user = user;
    this.#heard = false;
    const { outbound, host, body, replay } = request;
    this.#reader.expect(outbound.method, outbound.upgrade);
    this.#socket.write(writeRequestHead(outbound, host), 'latin1');
    if (body === undefined) {
      user.uploaded();
      return;
    }
    const listener = {
      uploading: (bytes: number) => user.uploading(bytes),
      uploaded: () => user.uploaded(),
      failed: (error: Error) => this.close(error),
    };
    this.#upload = new BodyUpload(
      http1BodyWriter(this.#socket, outbound),
      body,
      outbound.contentLength,
      listener,
      // Nothing of this connection is sent again, but a stream of HTTP/2 may have been refused before.
      replay.length > 0 ? replay : undefined,
    );
  }

  get congested(): boolean {
    return this.#socket.writableNeedDrain;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Ends the connection now, and tells its user why, if it has one. */
  close(error: Error): void {
    this.#error ??= error;
    this.#socket.destroy();
  }

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
    this.#user?.data(chunk, this.#buffer.keep);
  }

  end(trailers: ResponseHeaders): void {
    // The connection is not handed on before the rest of the read has been checked: bytes behind a response
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
    if (user !== undefined && this.#user === undefined) this.#responseComplete();
  };

  /** The response is whole. */
  #responseComplete(): void {
    this.#buffer.rest();
    // If the response came before the end of the request, the rest of the body would belong to no message.
    const uploading = this.#upload?.stop() ?? false;
    this.#upload = undefined;
    // A slow client has paused the socket; the next response on this connection has its own client.
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
    this.#buffer.close();
    if (this.#isHandedOver) return;
    const user = this.#user;
    this.#user = undefined;
    this.#upload?.stop();
    const error = this.#error ?? new ConnectionEnded('the connection was closed');
    this.#owner.closed(this, this.#isConnected ? undefined : error);
    user?.failed(error, this.#heard);
  }
}

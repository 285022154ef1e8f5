/**
 * The connections of a listener's clients: what is known of each, and how they end, so that a client gets to read why.
 * Rules H16, H19.
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../clock.ts';
import type { Connection } from './connection.ts';
import { normalAddress } from '../http/client-address.ts';

/** What a listener says of all its connections. */
export interface ConnectionPolicy {
  readonly scheme: 'http' | 'https';
  /** May this peer speak for others? */
  readonly isTrusted: (peer: string) => boolean;
  /** Names and values in turn: what every answer says. */
  readonly commonHeaders: readonly string[];
}

/** How long a connection is read on after an answer that ends it, so that the client gets to read that answer. */
export const LINGER_MS = 2_000;

export class ClientConnections {
  readonly #clock: Clock;
  readonly #known = new Map<Duplex, ClientConnection>();
  #policy: ConnectionPolicy;

  constructor(policy: ConnectionPolicy, clock: Clock) {
    this.#policy = policy;
    this.#clock = clock;
  }

  add(socket: Socket, multiplexed: boolean): ClientConnection {
    const connection = new ClientConnection(socket, multiplexed, this.#policy, this.#clock.monotonicMs());
    this.#known.set(socket, connection);
    socket.once('close', () => this.#known.delete(socket));
    if (!multiplexed) this.#lingerAtEnd(socket, connection);
    return connection;
  }

  /** Undefined where it has gone. */
  of(socket: Duplex): ClientConnection | undefined {
    return this.#known.get(socket);
  }

  /** Another configuration is in place, for those that are open, too. */
  update(policy: ConnectionPolicy): void {
    this.#policy = policy;
    for (const connection of this.#known.values()) connection.applyPolicy(policy);
  }

  /** Those on which nothing has been served for that long, or whose clients have not taken an answer for that long. */
  idleFor(ms: number): Duplex[] {
    const before = this.#clock.monotonicMs() - ms;
    return [...this.#known]
      .filter(([, connection]) => connection.idleSinceMs < before)
      .map(([socket]) => socket);
  }

  /**
   * Node calls destroySoon after an answer that ends the connection. Closing at once, with a part of the request unread,
   * makes the kernel reset the connection, and the client never reads why it was refused.
   */
  #lingerAtEnd(socket: Socket, connection: Connection): void {
    socket.destroySoon = () => {
      if (!connection.closing) {
        Socket.prototype.destroySoon.call(socket);
        return;
      }
      socket.end();
      this.#clock.after(LINGER_MS, () => socket.destroy());
    };
  }
}

export class ClientConnection implements Connection {
  readonly peer: string;
  peerIsTrusted: boolean;
  readonly scheme: 'http' | 'https';
  readonly multiplexed: boolean;
  commonHeaders: readonly string[];
  closing = false;
  /** Node's parser has given up: what has not come of a request will not come. */
  parserFailed = false;
  readonly #socket: Socket;
  /** Requests being served. */
  #inFlight = 0;
  #endedSinceMs: number;
  /** Since when an answer has been complete but not taken by the client; Infinity while none is. */
  #answeredSinceMs = Infinity;
  /** What the client has sent behind a request that is not yet answered. */
  readonly #next: (() => void)[] = [];
  /** Its socket is somebody else's now. */
  #isDetached = false;

  constructor(socket: Socket, multiplexed: boolean, policy: ConnectionPolicy, nowMs: number) {
    this.#socket = socket;
    this.peer = normalAddress(socket.remoteAddress ?? '');
    this.peerIsTrusted = policy.isTrusted(this.peer);
    this.scheme = policy.scheme;
    this.multiplexed = multiplexed;
    this.commonHeaders = policy.commonHeaders;
    this.#endedSinceMs = nowMs;
  }

  /** Since when nothing happens but for the client's part, on the monotonic clock. */
  get idleSinceMs(): number {
    return this.#inFlight === 0 ? this.#endedSinceMs : this.#answeredSinceMs;
  }

  /** A request is being served, and another must wait for it. */
  get isBusy(): boolean {
    return this.#inFlight > 0 && !this.multiplexed;
  }

  /**
   * Serves this when everything before it is answered. Node hands over whatever a client sends at once: it would be
   * served all at once, too, and its answers would pile up.
   */
  enqueue(serve: () => void): void {
    this.#next.push(serve);
    this.#socket.pause();
  }

  /** Nobody here reads from its socket any more. */
  detach(): void {
    this.#isDetached = true;
  }

  requestStarted(): void {
    this.#inFlight++;
  }

  responseComplete(sinceMs: number): void {
    // Streams of HTTP/2 see to that themselves.
    if (!this.multiplexed) this.#answeredSinceMs = sinceMs;
  }

  requestEnded(nowMs: number): void {
    this.#inFlight--;
    this.#endedSinceMs = nowMs;
    this.#answeredSinceMs = Infinity;
    if (this.#next.length > 0) this.#serveNext();
  }

  #serveNext(): void {
    while (this.#inFlight === 0) {
      const serve = this.#next.shift();
      if (!serve) break;
      serve();
    }
    if (this.#next.length === 0 && !this.#isDetached) this.#socket.resume();
  }

  applyPolicy({ isTrusted, commonHeaders: alwaysSaid }: ConnectionPolicy): void {
    this.peerIsTrusted = isTrusted(this.peer);
    this.commonHeaders = alwaysSaid;
  }

  end(): void {
    if (this.multiplexed) return;
    this.closing = true;
    this.#socket.destroySoon();
  }
}

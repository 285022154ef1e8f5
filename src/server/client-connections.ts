/**
 * The connections of a listener's clients: their state, and how they end, so that a client can read why.
 * Rules H16, H19.
 */
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Duplex } from 'node:stream';
import type { Clock } from '../clock.ts';
import type { Connection } from './connection.ts';
import { protocolOf, type ClientProtocol, type ListenerCounts } from './listener-counts.ts';
import { normalAddress } from '../http/client-address.ts';
import { certificateThumbprint } from '../http/client-cert-header.ts';
import { LastCredentials } from '../http/credentials.ts';

/** What all connections of a listener have in common. */
export interface ConnectionPolicy {
  readonly scheme: 'http' | 'https';
  /** May this peer speak for others? */
  readonly isTrusted: (peer: string) => boolean;
  /** Names and values in turn: fields of every response. */
  readonly commonHeaders: readonly string[];
  /** Does a client certificate that no authority of the listener has signed count? */
  readonly takesUnverified: boolean;
}

/** How long the listener reads from a connection after its last response, so that the client can read that response. */
export const LINGER_MS = 2_000;

export class ClientConnections {
  readonly #clock: Clock;
  readonly #known = new Map<Duplex, ClientConnection>();
  readonly #counts: ListenerCounts;
  #policy: ConnectionPolicy;

  constructor(policy: ConnectionPolicy, counts: ListenerCounts, clock: Clock) {
    this.#policy = policy;
    this.#counts = counts;
    this.#clock = clock;
  }

  add(socket: Socket, multiplexed: boolean): ClientConnection {
    const connection = new ClientConnection(socket, multiplexed, this.#policy, this.#clock.monotonicMs());
    this.#known.set(socket, connection);
    this.#counts.accepted[protocolOf(connection)]++;
    socket.once('close', () => this.#known.delete(socket));
    if (!multiplexed) this.#lingerAtEnd(socket, connection);
    return connection;
  }

  /** Undefined if the connection has ended. */
  of(socket: Duplex): ClientConnection | undefined {
    return this.#known.get(socket);
  }

  /** How many are open, by protocol. */
  open(): Record<ClientProtocol, number> {
    const open = { 'http/1.1': 0, h2: 0, h2c: 0 };
    for (const connection of this.#known.values()) open[protocolOf(connection)]++;
    return open;
  }

  /** Their sockets are about to be destroyed, with what is in flight on them. */
  cutOff(): void {
    for (const connection of this.#known.values()) connection.isCutOff = true;
  }

  /** Applies another configuration, to open connections too. */
  update(policy: ConnectionPolicy): void {
    this.#policy = policy;
    for (const connection of this.#known.values()) connection.applyPolicy(policy);
  }

  /** Connections that have served nothing, or whose client has not taken a response, for that long. */
  idleFor(ms: number): Duplex[] {
    const before = this.#clock.monotonicMs() - ms;
    return [...this.#known]
      .filter(([, connection]) => connection.idleSinceMs < before)
      .map(([socket]) => socket);
  }

  /**
   * Node calls destroySoon after the last response of a connection. Closing at once, with a part of the request unread,
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
  readonly credentials = new LastCredentials();
  commonHeaders: readonly string[];
  closing = false;
  isCutOff = false;
  /** Node's parser has failed: it reads no more of a request. */
  parserFailed = false;
  readonly #socket: Socket;
  /** Requests being served. */
  #inFlight = 0;
  #endedSinceMs: number;
  /** Since when a response has been complete but not taken by the client; Infinity while there is none. */
  #untakenSinceMs = Infinity;
  /** Requests that the client sent before the response to an earlier one was complete. */
  readonly #next: (() => void)[] = [];
  /** A tunnel, or a response of its own, uses the socket now. */
  #isDetached = false;
  readonly #takesUnverified: boolean;
  /** Null until it is first asked for. */
  #thumbprint: string | undefined | null = null;

  constructor(socket: Socket, multiplexed: boolean, policy: ConnectionPolicy, nowMs: number) {
    this.#socket = socket;
    this.peer = normalAddress(socket.remoteAddress ?? '');
    this.peerIsTrusted = policy.isTrusted(this.peer);
    this.scheme = policy.scheme;
    this.multiplexed = multiplexed;
    this.commonHeaders = policy.commonHeaders;
    this.#takesUnverified = policy.takesUnverified;
    this.#endedSinceMs = nowMs;
  }

  /** Stays the same while the connection lasts: listeners refuse to renegotiate. */
  get clientCertificateThumbprint(): string | undefined {
    if (this.#thumbprint === null) this.#thumbprint = thumbprintOf(this.#socket, this.#takesUnverified);
    return this.#thumbprint;
  }

  /** Since when it has been waiting for its client, on the monotonic clock. */
  get idleSinceMs(): number {
    return this.#inFlight === 0 ? this.#endedSinceMs : this.#untakenSinceMs;
  }

  /** A request is being served, and another must wait for it. */
  get isBusy(): boolean {
    return this.#inFlight > 0 && !this.multiplexed;
  }

  /**
   * Serves this after the response to everything before it. Node hands over all requests that a client sends at once;
   * served at once, their responses would pile up.
   */
  enqueue(serve: () => void): void {
    this.#next.push(serve);
    this.#socket.pause();
  }

  /** Its socket has left Node's server, which reads from it no more. */
  detach(): void {
    this.#isDetached = true;
  }

  requestStarted(): void {
    this.#inFlight++;
  }

  responseComplete(sinceMs: number): void {
    // HTTP/2 streams time this themselves.
    if (!this.multiplexed) this.#untakenSinceMs = sinceMs;
  }

  requestEnded(nowMs: number): void {
    this.#inFlight--;
    this.#endedSinceMs = nowMs;
    this.#untakenSinceMs = Infinity;
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

  applyPolicy({ isTrusted, commonHeaders }: ConnectionPolicy): void {
    this.peerIsTrusted = isTrusted(this.peer);
    this.commonHeaders = commonHeaders;
  }

  end(): void {
    if (this.multiplexed) return;
    this.closing = true;
    this.#socket.destroySoon();
  }
}

/** A resumed session has the certificate of its first handshake, and what was found about it. */
function thumbprintOf(socket: Socket, takesUnverified: boolean): string | undefined {
  if (!(socket instanceof TLSSocket) || !(socket.authorized || takesUnverified)) return undefined;
  const certificate = socket.getPeerX509Certificate();
  return certificate && certificateThumbprint(certificate.raw);
}

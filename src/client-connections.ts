/**
 * The connections of a listener's clients: what is known of each, and how they end, so that a client gets to read why.
 * Rules H16, H19.
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from './clock.ts';
import type { Connection } from './gateway.ts';
import { normalAddress } from './http/client-address.ts';

/** What a listener says of all its connections. */
export interface ConnectionPolicy {
  readonly scheme: 'http' | 'https';
  /** May this peer speak for others? */
  readonly isTrusted: (peer: string) => boolean;
  /** Names and values in turn: what every answer says. */
  readonly alwaysSaid: readonly string[];
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

  add(socket: Socket, multiplexed: boolean): Connection {
    const connection = new ClientConnection(socket, multiplexed, this.#policy, this.#clock.monotonicMs());
    this.#known.set(socket, connection);
    socket.once('close', () => this.#known.delete(socket));
    if (!multiplexed) this.#lingerAtEnd(socket, connection);
    return connection;
  }

  of(socket: Duplex): Connection {
    return this.#known.get(socket) ?? CLOSED_CONNECTION;
  }

  /** Another configuration is in place, for those that are open, too. */
  update(policy: ConnectionPolicy): void {
    this.#policy = policy;
    for (const connection of this.#known.values()) connection.follow(policy);
  }

  /** Those on which nothing has been served for that long. */
  idleFor(ms: number): Duplex[] {
    const before = this.#clock.monotonicMs() - ms;
    return [...this.#known]
      .filter(([, { inFlight, idleSinceMs }]) => inFlight === 0 && idleSinceMs < before)
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

class ClientConnection implements Connection {
  readonly peer: string;
  peerIsTrusted: boolean;
  readonly scheme: 'http' | 'https';
  readonly multiplexed: boolean;
  alwaysSaid: readonly string[];
  closing = false;
  inFlight = 0;
  idleSinceMs: number;
  readonly #socket: Socket;

  constructor(socket: Socket, multiplexed: boolean, policy: ConnectionPolicy, nowMs: number) {
    this.#socket = socket;
    this.peer = normalAddress(socket.remoteAddress ?? '');
    this.peerIsTrusted = policy.isTrusted(this.peer);
    this.scheme = policy.scheme;
    this.multiplexed = multiplexed;
    this.alwaysSaid = policy.alwaysSaid;
    this.idleSinceMs = nowMs;
  }

  follow({ isTrusted, alwaysSaid }: ConnectionPolicy): void {
    this.peerIsTrusted = isTrusted(this.peer);
    this.alwaysSaid = alwaysSaid;
  }

  end(): void {
    if (this.multiplexed) return;
    this.closing = true;
    this.#socket.destroySoon();
  }
}

/** Of a socket that has gone. */
const CLOSED_CONNECTION: Connection = {
  peer: '',
  peerIsTrusted: false,
  scheme: 'http',
  multiplexed: false,
  alwaysSaid: [],
  closing: true,
  inFlight: 0,
  idleSinceMs: 0,
  end: () => undefined,
};

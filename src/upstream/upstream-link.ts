/**
 * One way to a target that carries one request at a time: an HTTP/1.1 connection between two of its requests, or a stream
 * of an HTTP/2 connection; and where such ways come from.
 */
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { OutboundRequest } from '../stages/rewrite-headers.ts';
import type { TlsClient } from '../tls/client-options.ts';
import type { Keep } from './forwarder.ts';
import type { Endpoint } from './open-socket.ts';
import type { ResponseListener } from './response-reader.ts';
import type { ResponseHead } from '../http/response-head.ts';

/** What goes out. */
export interface UpstreamRequest {
  readonly outbound: Pick<
    OutboundRequest,
    'method' | 'target' | 'headers' | 'hasBody' | 'contentLength' | 'upgrade'
  >;
  readonly host: string;
  readonly body: Readable | undefined;
  /** What of the body a stream has taken that the upstream refused; it goes out once more, in front of the rest. */
  readonly replay: readonly Buffer[];
}

/** The sender of a request, which gets its response. */
export interface LinkUser extends Omit<ResponseListener, 'switched' | 'data'> {
  /** As ResponseSink.data. */
  data(chunk: Buffer, keep?: Keep): void;
  /** The upstream has switched protocols: the connection is the user's now. It is paused. */
  switched(head: ResponseHead, socket: Socket, early: Buffer): void;
  /** This many more bytes of the body have come from the client. */
  uploading(bytes: number): void;
  /** The whole request has been sent; the wait for the response begins. */
  uploaded(): void;
  /** Everything that came in one read has been handed over. */
  received(): void;
  /**
   * The link ended with an unfinished request or response. Nothing follows.
   *
   * @param heard a byte of a response had come
   */
  failed(error: Error, heard: boolean): void;
}

export interface UpstreamLink {
  send(request: UpstreamRequest, user: LinkUser): void;
  /** The upstream reads no more of the request for now. */
  readonly congested: boolean;
  /** No more of the response, for now. */
  pause(): void;
  resume(): void;
  /** Its user has gone: ends the request without a call back, so that the upstream is told. */
  abandon(): void;
}

/** A request that needs a link. */
export interface Waiter {
  /** The waiter must use the link at once. */
  connected(link: UpstreamLink): void;
  /** No connection could be opened. */
  unconnected(error: Error): void;
}

/** The links to one target. */
export interface OpenConnections {
  readonly protocol: 'http/1.1' | 'h2';
  readonly count: number;
}

export interface LinkPool {
  /** Connections that are open, or being opened, by protocol. */
  readonly open: readonly OpenConnections[];
  /** Calls the waiter back, at once where a link is free. */
  acquire(waiter: Waiter): void;
  /** As acquire, for a request that asks to switch protocols: the connection is new and serves no other request. */
  acquireAlone(waiter: Waiter): void;
  /** The waiter needs no link any more. */
  leave(waiter: Waiter): void;
  /** Closes what has been idle for too long. */
  sweep(): void;
  /** Its server is to get no more requests: keeps nothing that is idle, and those that wait in line choose again. */
  drain(): void;
  /** Its server gets requests again after all. */
  revive(): void;
  close(): void;
}

/** The line of two pools of one target, which opens their connections for them. */
export interface SharedQueue {
  /** First come, first served. */
  readonly waiters: Set<Waiter>;
  /** Opens connections, if requests wait and the target may get more. */
  open(): void;
}

/** Hears how attempts to connect end. */
export interface ConnectObserver {
  reached(): void;
  unreached(): void;
}

export interface PoolOptions {
  readonly endpoint: Endpoint;
  readonly attempts: ConnectObserver;
  readonly tls: TlsClient;
  /** Largest number of connections. */
  readonly connections: number;
  /** Of HTTP/2: largest number of requests at the same time on one connection. */
  readonly streams: number;
  /** Of HTTP/2: names of fields that are as secret as credentials. */
  readonly sensitive: readonly string[];
  readonly connectTimeoutMs: number;
}

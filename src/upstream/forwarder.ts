/**
 * The interface for sending a request to an upstream and receiving its response, as a stream both ways. The adapter is
 * upstream-forwarder.ts.
 */
import type { Duplex, Readable } from 'node:stream';
import type { GatewayError } from '../errors.ts';
import type { ResponseHeaders } from '../http/response-head.ts';
import type { OutboundRequest } from '../stages/rewrite-headers.ts';

/**
 * Within the call that hands over bytes of a read: keeps these bytes as they are until the function that it returns is called.
 *
 * @returns undefined where it cannot: what is needed later must be copied
 */
export type Keep = () => (() => void) | undefined;

/** Takes a response piece by piece: informational*, begin, data*, then end or fail, in this order; received() in between. */
export interface ResponseSink {
  /** A 1xx response other than 100 and 101. */
  informational(status: number, headers: ResponseHeaders): void;
  begin(status: number, headers: ResponseHeaders): void;
  /**
   * @param chunk valid during the call only: its bytes are overwritten by the next read, unless they are kept
   * @param keep undefined where they cannot be kept
   * @returns false if no more may come until resume()
   */
  data(chunk: Buffer, keep?: Keep): boolean;
  /** Everything that came in one read has been handed over: the sink should hold nothing back. */
  received(): void;
  end(trailers: ResponseHeaders): void;
  /** There is no response, or no more of it. */
  fail(error: GatewayError): void;
  /** Why the request must not wait for its response any longer; undefined if it may, or if the response has begun. */
  refusal(): GatewayError | undefined;
  /** A target was chosen; again for each retry. */
  sentTo(target: string): void;
  /**
   * In place of begin and what follows: the upstream has switched to the protocol that the request asked for.
   *
   * @param headers fields of its 101, end-to-end ones only
   * @param socket paused
   * @param early bytes that it sent behind its 101
   */
  tunnel(headers: ResponseHeaders, socket: Duplex, early: Buffer): void;
}

/** A request in flight. */
export interface Forwarding {
  /** The client has gone: the upstream is told by closing its connection. */
  abort(): void;
  /** The client cannot take more for now. */
  pause(): void;
  /** The client can take more. */
  resume(): void;
}

export interface Forwarder {
  /** @param body the client's body, as it comes; undefined if there is none */
  forward(outbound: OutboundRequest, body: Readable | undefined, sink: ResponseSink): Forwarding;
  close(): void;
}

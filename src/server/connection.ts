/** A client's connection, as the handlers of its requests see it. */

/** What a listener knows of a client's connection. */
export interface Connection {
  /** The peer's address, IPv4-mapped IPv6 as IPv4. */
  readonly peer: string;
  /** May it speak for others? A reload may change that. */
  readonly peerIsTrusted: boolean;
  readonly scheme: 'http' | 'https';
  /** HTTP/2: several requests at a time; the end of one does not affect the others. */
  readonly multiplexed: boolean;
  /** Names and values in turn: fields of every response on it. */
  readonly commonHeaders: readonly string[];
  /**
   * Set with the last response of the connection: requests that the client has pipelined behind this one must not
   * be served any more.
   */
  closing: boolean;
  /** A request is served on it from now on. */
  requestStarted(): void;
  /** The response is complete and being sent to the client; or a tunnel, which is never complete, has begun. */
  responseComplete(sinceMs: number): void;
  /** The client has taken the response, or has gone. */
  requestEnded(nowMs: number): void;
  /** The response came before the end of the request: ends the connection, unless it is multiplexed. */
  end(): void;
}

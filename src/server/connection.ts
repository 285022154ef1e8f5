/** A client's connection, as the handlers of its requests see it. */

/** What a listener knows of a client's connection. */
export interface Connection {
  /** The peer's address, IPv4-mapped IPv6 as IPv4. */
  readonly peer: string;
  /** May it speak for others? A reload may change that. */
  readonly peerIsTrusted: boolean;
  readonly scheme: 'http' | 'https';
  /** Several requests at a time: what becomes of one is no matter of the others'. HTTP/2. */
  readonly multiplexed: boolean;
  /** Names and values in turn: what every answer on it says. */
  readonly commonHeaders: readonly string[];
  /**
   * Set with an answer that ends the connection: whatever the client has pipelined behind the request must not
   * be served any more.
   */
  closing: boolean;
  /** A request is served on it from now on. */
  requestStarted(): void;
  /** The answer is complete, and on its way to the client; or it is the beginning of a tunnel, which never is. */
  responseComplete(sinceMs: number): void;
  /** The answer has been taken, or the client has gone. */
  requestEnded(nowMs: number): void;
  /** The rest of a request that was answered early is not waited for: the connection ends, unless it is multiplexed. */
  end(): void;
}

/** A client's connection, as the handlers of its requests see it. */

import type { LastCredentials } from '../http/credentials.ts';

/** What a listener knows of a client's connection. */
export interface Connection {
  /** The peer's address, IPv4-mapped IPv6 as IPv4. */
  readonly peer: string;
  /** May it speak for others? A reload may change that. */
  readonly peerIsTrusted: boolean;
  readonly scheme: 'http' | 'https';
  /**
   * Of the certificate whose key the client has proved to hold in the handshake, or in the one that it resumes: base64url of
   * the SHA-256 of its DER, as in `cnf["x5t#S256"]` (RFC 8705 section 3.1). Undefined in plaintext, without a certificate, and
   * with one that the listener's authorities did not sign, unless the listener takes those too. Computed when first asked for.
   */
  readonly clientCertificateThumbprint: string | undefined;
  /** Those that came last. */
  readonly credentials: LastCredentials;
  /** HTTP/2: several requests at a time; the end of one does not affect the others. */
  readonly multiplexed: boolean;
  /** Names and values in turn: fields of every response on it. */
  readonly commonHeaders: readonly string[];
  /**
   * Set with the last response of the connection: requests that the client has pipelined behind this one must not
   * be served any more.
   */
  closing: boolean;
  /** The gateway ends, and cuts off what is still served on it: its client has not left. */
  readonly isCutOff: boolean;
  /** A request is served on it from now on. */
  requestStarted(): void;
  /** The response is complete and being sent to the client; or a tunnel, which is never complete, has begun. */
  responseComplete(sinceMs: number): void;
  /** The client has taken the response, or has gone. */
  requestEnded(nowMs: number): void;
  /** The response came before the end of the request: ends the connection, unless it is multiplexed. */
  end(): void;
}

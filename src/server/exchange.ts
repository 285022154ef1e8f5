/**
 * A client's request and its response, alike for HTTP/1.1 and HTTP/2. http1-request.ts and http1-response.ts extend
 * Node's own classes; http2-stream.ts wraps an HTTP/2 stream.
 */
import type { Readable } from 'node:stream';

export interface ClientRequest {
  readonly method?: string | undefined;
  /** The request target as it came, bytes as latin1. */
  readonly url?: string | undefined;
  readonly httpVersion: string;
  /** Names and values in turn; of HTTP/2 without pseudo-header fields, with `:authority` as Host. */
  readonly rawHeaders: readonly string[];
  /** HTTP/2 says that a body follows by not ending the stream; HTTP/1.1 says it in header fields. */
  readonly bodyFollows: boolean;
  /** The whole body has come, and the client has marked its end. */
  readonly complete: boolean;
  readonly body: Readable;
}

/** The used part of Node's ServerResponse. */
export interface ClientResponse {
  readonly destroyed: boolean;
  readonly headersSent: boolean;
  /** The whole response has been handed to the operating system. */
  readonly writableFinished: boolean;
  on(event: 'close', listener: () => void): unknown;
  once(event: 'drain', listener: () => void): unknown;
  writeContinue(): void;
  /** Sends an informational response: a 1xx other than 100 and 101. */
  writeInformational(status: number, headers: readonly string[]): void;
  /** @param headers names and values in turn */
  writeHead(status: number, headers: string[]): unknown;
  flushHeaders(): void;
  /**
   * Does write() tell when nothing reads the bytes of its chunk any more? Over HTTP/2 it does not: where a stream is reset, bytes of it
   * may still be on their way out of its connection.
   */
  readonly tellsWritten: boolean;
  /** @param written called once, where the response tells it */
  write(chunk: Buffer | string, encoding: 'latin1', written?: () => void): boolean;
  addTrailers(trailers: [string, string][]): void;
  end(chunk?: string, encoding?: BufferEncoding): unknown;
  /** Aborts the response, so that the client sees that it is not whole. */
  destroy(): unknown;
  /** The same; over HTTP/2 with this code of RST_STREAM, never NO_ERROR. */
  reset(code: number): void;
}

/**
 * A client's request and the answer to it, as HTTP/1.1 and HTTP/2 both show them: in lean-request.ts and
 * http1-answer.ts, Node's own classes with little more, and in http2-exchange.ts.
 */
import type { Readable } from 'node:stream';

export interface ClientRequest {
  readonly method?: string | undefined;
  /** The request target as it came, bytes as latin1. */
  readonly url?: string | undefined;
  readonly httpVersion: string;
  /** Names and values in turn; of HTTP/2 without pseudo-header fields, with `:authority` as Host. */
  readonly rawHeaders: readonly string[];
  /** The transport itself says that a body follows; HTTP/1.1 says it in header fields. */
  readonly bodyFollows: boolean;
  /** The whole body has come, and the client has said that it is whole. */
  readonly complete: boolean;
  readonly body: Readable;
}

/** What of Node's ServerResponse is used. */
export interface ClientResponse {
  readonly destroyed: boolean;
  readonly headersSent: boolean;
  /** The whole answer has been handed to the operating system. */
  readonly writableFinished: boolean;
  on(event: 'close', listener: () => void): unknown;
  once(event: 'drain', listener: () => void): unknown;
  writeContinue(): void;
  /** An answer before the answer: a 1xx other than 100 and 101. */
  writeInformational(status: number, headers: readonly string[]): void;
  /** @param headers names and values in turn */
  writeHead(status: number, headers: string[]): unknown;
  flushHeaders(): void;
  write(chunk: Buffer | string, encoding: 'latin1'): boolean;
  addTrailers(trailers: [string, string][]): void;
  end(chunk?: string, encoding?: BufferEncoding): unknown;
  /** Breaks the answer off, so that the client sees that it is not whole. */
  destroy(): unknown;
}

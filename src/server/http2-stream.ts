/**
 * One HTTP/2 stream as a request and its response (RFC 9113 section 8). Pseudo-header fields, Host and split cookies are
 * translated to HTTP/1.1 semantics, so that everything behind it handles one kind of request. Rules H7, H15.
 */
import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Readable } from 'node:stream';
import type { ClientResponse, ClientRequest } from './exchange.ts';
import { isSameHost } from '../http/host-name.ts';

/** Origin-form without control bytes and spaces, which would end a request line. */
const TARGET = /^\/[^\0-\x20\x7f]*$/;
const SCHEME = /^https?$/i;

export class Http2Request implements ClientRequest {
  readonly httpVersion = '2.0';
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly bodyFollows: boolean;
  readonly #stream: ServerHttp2Stream;
  #ended: boolean;

  /**
   * @param rawHeaders names and values in turn, as they came
   * @param isIntact no field was dropped on the way
   * @param scheme of the connection
   */
  constructor(
    stream: ServerHttp2Stream,
    rawHeaders: readonly string[],
    isIntact: boolean,
    scheme: 'http' | 'https',
  ) {
    this.#stream = stream;
    const { pseudo, fields, isTrimmed } = separated(rawHeaders, scheme);
    this.method = pseudo.get(':method') ?? '';
    const path = pseudo.get(':path') ?? '';
    // An empty target is refused as malformed; so is a request with an impossible field (rule C27).
    const isWellFormed =
      isIntact && isTrimmed && TARGET.test(path) && SCHEME.test(pseudo.get(':scheme') ?? '');
    this.url = isWellFormed ? path : '';
    this.rawHeaders = fields;
    this.bodyFollows = !stream.endAfterHeaders;
    this.#ended = stream.endAfterHeaders;
    // The body of a stream that was reset also ends in order, but then the stream is already closed.
    stream.on('end', () => {
      if (!stream.closed) this.#ended = true;
    });
  }

  get body(): Readable {
    return this.#stream;
  }

  get complete(): boolean {
    return this.#ended || (!this.#stream.closed && this.#stream.state.remoteClose === 1);
  }
}

/**
 * The rest of a refused upload is read and discarded: some clients (Java 17) wait for ever when they are told to stop.
 * Beyond this size or time the stream is closed all the same.
 */
const DISCARDABLE_BODY_BYTES = 1024 * 1024;
const DISCARD_MS = 2_000;

/** Fields for an HTTP/1.1 connection (RFC 9113 section 8.2.2); the upstream's own are already removed. */
const NOT_IN_HTTP2: ReadonlySet<string> = new Set(['connection', 'http2-settings']);

/** Separates pseudo-header fields. `:authority` passes as Host; a Host field that differs passes as a second one. */
function separated(
  rawHeaders: readonly string[],
  scheme: 'http' | 'https',
): {
  pseudo: Map<string, string>;
  fields: string[];
  /** No value begins or ends with white space, which RFC 9113 section 8.2.1 forbids. */
  isTrimmed: boolean;
} {
  const pseudo = new Map<string, string>();
  const fields: string[] = [];
  let cookieAt = -1;
  let isTrimmed = true;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    const value = rawHeaders[index + 1] ?? '';
    if (isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(value.length - 1))) isTrimmed = false;
    if (name.charCodeAt(0) === COLON) {
      pseudo.set(name, value);
      if (name === ':authority') fields.push('host', value);
    } else if (name === 'host') {
      // Two that differ stay two, and the request is refused (rule H7).
      if (!isSameHost(pseudo.get(':authority') ?? '', value, scheme)) fields.push(name, value);
    } else if (name === 'cookie' && cookieAt >= 0) {
      // Split only to compress better (RFC 9113 section 8.2.3).
      fields[cookieAt] = `${fields[cookieAt]}; ${value}`;
    } else {
      if (name === 'cookie') cookieAt = fields.length + 1;
      fields.push(name, value);
    }
  }
  return { pseudo, fields, isTrimmed };
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

const COLON = 0x3a;

/** Header fields as an object, for Node APIs that do not accept a list. */
function fieldsOf(headers: readonly string[]): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = {};
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]?.toLowerCase() ?? '';
    if (NOT_IN_HTTP2.has(name)) continue;
    const before = fields[name];
    const value = headers[index + 1] ?? '';
    fields[name] = before === undefined ? value : [before, value].flat();
  }
  return fields;
}

export class Http2Response implements ClientResponse {
  readonly tellsWritten = false;
  readonly #stream: ServerHttp2Stream;
  readonly #request: ClientRequest;
  readonly #stallMs: number;
  /** Written but not yet sent. */
  #head: string[] | undefined;
  #trailers: Record<string, string | string[]> = {};
  #ended = false;
  /** 205 (Reset Content): Node ends the stream with the head, since RFC 9110 section 15.3.6 allows no body. */
  #isReset = false;
  /** Callbacks for the end; undefined once they have been called. */
  #listeners: (() => void)[] | undefined = [];

  /** @param stallMs how long a client may take to read the end of a response */
  constructor(stream: ServerHttp2Stream, request: ClientRequest, stallMs: number) {
    this.#stallMs = stallMs;
    this.#stream = stream;
    this.#request = request;
    // The stream's code says what went wrong, and 'close' follows.
    stream.on('error', () => undefined);
    stream.on('close', () => this.#over());
    stream.on('wantTrailers', () => stream.sendTrailers(this.#trailers));
  }

  get destroyed(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  get headersSent(): boolean {
    return this.#stream.headersSent;
  }

  get writableFinished(): boolean {
    return this.#ended && this.#stream.rstCode === constants.NGHTTP2_NO_ERROR;
  }

  /** As in HTTP/1.1: the end of the response. The request may end later. */
  on(_event: 'close', listener: () => void): void {
    this.#listeners?.push(listener);
  }

  once(event: 'drain', listener: () => void): void {
    this.#stream.once(event, listener);
  }

  writeContinue(): void {
    if (!this.destroyed) this.#stream.additionalHeaders({ ':status': 100 });
  }

  writeInformational(status: number, headers: readonly string[]): void {
    if (this.destroyed || this.headersSent) return;
    this.#stream.additionalHeaders({ ...fieldsOf(headers), ':status': status });
  }

  writeHead(status: number, headers: string[]): void {
    const head = [':status', String(status)];
    this.#isReset = status === constants.HTTP_STATUS_RESET_CONTENT;
    for (let index = 0; index < headers.length; index += 2) {
      const name = (headers[index] ?? '').toLowerCase();
      if (!NOT_IN_HTTP2.has(name) && !(this.#isReset && name === 'content-length'))
        head.push(name, headers[index + 1] ?? '');
    }
    this.#head = head;
  }

  flushHeaders(): void {
    this.#sendHead(false);
  }

  write(chunk: Buffer | string, encoding: 'latin1'): boolean {
    this.#sendHead(false);
    return this.destroyed || this.#isReset || this.#stream.write(chunk, encoding);
  }

  addTrailers(trailers: [string, string][]): void {
    this.#trailers = fieldsOf(trailers.flat());
  }

  end(chunk?: string, encoding: BufferEncoding = 'utf8'): void {
    this.#ended = true;
    const isEmpty = chunk === undefined && Object.keys(this.#trailers).length === 0;
    this.#sendHead(isEmpty);
    if (this.destroyed) return;
    if (!this.#stream.writableEnded) this.#stream.end(this.#isReset ? undefined : chunk, encoding);
    if (this.#stream.writableFinished) {
      this.#responseComplete();
      return;
    }
    // A client that opens no window would keep the stream for ever (rule H19).
    const stalled = setTimeout(() => this.#stream.close(constants.NGHTTP2_CANCEL), this.#stallMs);
    this.#listeners?.push(() => clearTimeout(stalled));
    this.#stream.once('finish', () => this.#responseComplete());
  }

  destroy(): void {
    // Node's close() first ends the stream in order: a part would pass for the whole (rule H15).
    this.#stream.destroy(new Error('the response ends here'));
  }

  reset(code: number): void {
    if (this.destroyed) return;
    // What close() does first is to end in order.
    this.#stream._final = (done) => done();
    this.#stream.close(code);
  }

  #sendHead(endStream: boolean): void {
    const head = this.#head;
    this.#head = undefined;
    if (!head || this.destroyed) return;
    // Only a response without a length can have trailers; only then must Node wait for them.
    const waitForTrailers = !endStream && !this.#isReset && !head.includes('content-length');
    this.#stream.respond(head, { endStream, waitForTrailers });
  }

  /** The whole response has been sent. */
  #responseComplete(): void {
    this.#over();
    const stream = this.#stream;
    if (this.#request.complete || this.destroyed) {
      // Until its body was read to the end, Node keeps a stream and counts it in the streams at a time (rule H20).
      stream.resume();
      return;
    }
    let bytesLeft = DISCARDABLE_BODY_BYTES;
    const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), DISCARD_MS);
    stream.on('close', () => clearTimeout(timer));
    stream.on('data', (chunk: Buffer) => {
      bytesLeft -= chunk.length;
      // RFC 9113 section 8.1: not an error; the client should stop sending.
      if (bytesLeft < 0) stream.close(constants.NGHTTP2_NO_ERROR);
    });
    stream.resume();
  }

  #over(): void {
    const listeners = this.#listeners;
    this.#listeners = undefined;
    for (const listener of listeners ?? []) listener();
  }
}

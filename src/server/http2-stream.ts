/**
 * One HTTP/2 stream as a request and its answer. RFC 9113 section 8. What nghttp2 lets through is put into the words of
 * HTTP/1.1, and goes the same way from there on: pseudo-header fields, Host, cookies in pieces. Rules H7, H15.
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
   */
  constructor(stream: ServerHttp2Stream, rawHeaders: readonly string[], isIntact: boolean) {
    this.#stream = stream;
    const { pseudo, fields, isTrimmed } = separated(rawHeaders);
    this.method = pseudo.get(':method') ?? '';
    const path = pseudo.get(':path') ?? '';
    // No target at all is refused like any other that is malformed; so is a field that no field can be (rule C27).
    const isWellFormed =
      isIntact && isTrimmed && TARGET.test(path) && SCHEME.test(pseudo.get(':scheme') ?? '');
    this.url = isWellFormed ? path : '';
    this.rawHeaders = fields;
    this.bodyFollows = !stream.endAfterHeaders;
    this.#ended = stream.endAfterHeaders;
    // Also the body of a stream that was reset ends in order; only then the stream is closed already.
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
 * What is left of a refused upload is read and thrown away: some clients (Java 17) wait for ever when they are told to
 * stop. Beyond this, or when it takes too long, they are told.
 */
const DISCARDABLE_BODY_BYTES = 1024 * 1024;
const DISCARD_MS = 2_000;

/** About a connection of HTTP/1.1; what else there is of it ends with the upstream's answer (RFC 9113 section 8.2.2). */
const NOT_IN_HTTP2: ReadonlySet<string> = new Set(['connection', 'http2-settings']);

/** Pseudo-header fields apart; `:authority` as Host, unless it says something else than a Host that is there, too. */
function separated(rawHeaders: readonly string[]): {
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
      // Two that differ stay two, and are refused as such (rule H7). HTTP/2 is spoken over TLS only.
      if (!isSameHost(pseudo.get(':authority') ?? '', value, 'https')) fields.push(name, value);
    } else if (name === 'cookie' && cookieAt >= 0) {
      // In pieces only so that they compress better (RFC 9113 section 8.2.3).
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

/** As Node takes them where it takes no list: by name. */
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
  readonly #stream: ServerHttp2Stream;
  readonly #request: ClientRequest;
  readonly #stallMs: number;
  /** Set and not yet sent. */
  #head: string[] | undefined;
  #trailers: Record<string, string | string[]> = {};
  #ended = false;
  /** Node ends the stream with the head, and takes no body: RFC 9110 section 15.3.6 allows none. */
  #isReset = false;
  /** Who is told of the end; undefined when they have been. */
  #waiting: (() => void)[] | undefined = [];

  /** @param stallMs how long a client may take to take the end of an answer */
  constructor(stream: ServerHttp2Stream, request: ClientRequest, stallMs: number) {
    this.#stallMs = stallMs;
    this.#stream = stream;
    this.#request = request;
    // What went wrong with a stream shows in its code, and 'close' follows.
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

  /** As in HTTP/1.1 the end of the answer, which the end of the request may come after. */
  on(_event: 'close', listener: () => void): void {
    this.#waiting?.push(listener);
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
      this.#answered();
      return;
    }
    // A client that opens no window would keep it for ever (rule H19).
    const stalled = setTimeout(() => this.#stream.close(constants.NGHTTP2_CANCEL), this.#stallMs);
    this.#waiting?.push(() => clearTimeout(stalled));
    this.#stream.once('finish', () => this.#answered());
  }

  destroy(): void {
    // Node's close() ends the stream in order first, and a part would pass for the whole (rule H15).
    this.#stream.destroy(new Error('the answer ends here'));
  }

  #sendHead(endStream: boolean): void {
    const head = this.#head;
    this.#head = undefined;
    if (!head || this.destroyed) return;
    // Only an answer without a length can have trailers, and only then Node is to wait for them.
    const waitForTrailers = !endStream && !this.#isReset && !head.includes('content-length');
    this.#stream.respond(head, { endStream, waitForTrailers });
  }

  /** The answer is out. */
  #answered(): void {
    this.#over();
    if (this.#request.complete || this.destroyed) return;
    const stream = this.#stream;
    let bytesLeft = DISCARDABLE_BODY_BYTES;
    const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), DISCARD_MS);
    stream.on('close', () => clearTimeout(timer));
    stream.on('data', (chunk: Buffer) => {
      bytesLeft -= chunk.length;
      // RFC 9113 section 8.1: no error, but no more of it is wanted.
      if (bytesLeft < 0) stream.close(constants.NGHTTP2_NO_ERROR);
    });
    stream.resume();
  }

  #over(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    for (const tell of waiting ?? []) tell();
  }
}

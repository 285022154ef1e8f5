/**
 * One request as a stream of an HTTP/2 connection, and its response (RFC 9113 section 8). nghttp2 refuses what is no
 * HTTP/2; what is more than that is checked here, as strictly as an HTTP/1.1 response. Rules H4, H9, H15, C18, C19.
 */
import { constants, sensitiveHeaders, type ClientHttp2Stream } from 'node:http2';
import { hasField, type FieldList } from '../http/field-list.ts';
import { grpcTypeOf } from '../http/grpc-response.ts';
import { BrokenResponse, trailerFields, type ResponseHead } from '../http/response-head.ts';
import { BodyUpload } from './body-upload.ts';
import { StreamRefused, StreamReset } from './stream-errors.ts';
import type { Http2Session } from './http2-session.ts';
import type { LinkUser, UpstreamLink, UpstreamRequest } from './upstream-link.ts';

/** Credentials that clients send. */
const CREDENTIALS = ['authorization', 'cookie', 'proxy-authorization'];

/**
 * The fields that never enter the table of the compression, from which others' requests could learn them, and that no hop
 * behind may put into its own (RFC 7541 section 7.1).
 *
 * @param more names in any case
 */
export function sensitiveFields(more: readonly string[] = []): readonly string[] {
  return [...CREDENTIALS, ...more.map((name) => name.toLowerCase())];
}

const STREAMS_ALIVE = Symbol('streamsAlive');

export class Http2Link implements UpstreamLink {
  readonly #session: Http2Session;
  readonly #sensitive: readonly string[];
  #stream: ClientHttp2Stream | undefined;
  #user: LinkUser | undefined;
  #upload: BodyUpload | undefined;
  /** A frame of the response has come. */
  #heard = false;
  /** END_STREAM has come, rather than a reset: only then is the response whole. */
  #isWhole = false;
  #trailers: FieldList = [];
  /** Of a session that fails, its streams hear first. */
  #streamError: Error | undefined;

  /** @param sensitive names of sensitiveFields() */
  constructor(session: Http2Session, sensitive: readonly string[]) {
    this.#session = session;
    this.#sensitive = sensitive;
  }

  get congested(): boolean {
    return this.#stream?.writableNeedDrain === true;
  }

  send({ outbound, host, body, replay }: UpstreamRequest, user: LinkUser): void {
    this.#user = user;
    const fields = requestHead(outbound, this.#session.scheme, host);
    const stream = this.#open(
      Object.assign(fields, { [sensitiveHeaders]: this.#sensitive }),
      body === undefined,
    );
    if (!stream) return;
    this.#stream = stream;
    this.#listen(stream);
    if (body === undefined) {
      user.uploaded();
      return;
    }
    const writer = {
      write: (chunk: Buffer): boolean => stream.write(chunk),
      end: () => void stream.end(),
    };
    const listener = {
      uploading: (bytes: number) => user.uploading(bytes),
      uploaded: () => user.uploaded(),
      failed: (error: Error) => this.#fail(error, constants.NGHTTP2_CANCEL),
    };
    this.#upload = new BodyUpload(writer, body, outbound.contentLength, listener, replay);
    stream.on('drain', () => this.#upload?.resume());
  }

  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  abandon(): void {
    this.#user = undefined;
    this.#upload?.stop();
    this.#reset(constants.NGHTTP2_CANCEL);
  }

  /** Undefined where nothing could be sent; the user hears of it later, as of any other failure. */
  #open(head: readonly string[], endStream: boolean): ClientHttp2Stream | undefined {
    try {
      return this.#session.open(head, endStream);
    } catch (error) {
      setImmediate(() => this.#fail(error as Error));
      return undefined;
    }
  }

  #reset(code: number): void {
    if (this.#stream) resetStream(this.#stream, code);
  }

  #listen(stream: ClientHttp2Stream): void {
    noteEndOfStream(stream, () => (this.#isWhole = true));
    Object.assign(stream, { [STREAMS_ALIVE]: this.#session.streamsAlive });
    stream.on('headers', (_, __, raw: readonly string[]) =>
      this.#take(raw, (head) => this.#user?.informational(head)),
    );
    stream.on('response', (_, flags: number, raw: readonly string[]) =>
      this.#take(raw, (head) => this.#begin(head, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0)),
    );
    stream.on('trailers', (_, __, raw: readonly string[]) =>
      this.#guard(() => (this.#trailers = trailerFields(separated(raw).fields))),
    );
    stream.on('data', (chunk: Buffer) => {
      this.#hear();
      this.#user?.data(chunk);
    });
    stream.on('end', () => this.#ended());
    // 'close' follows.
    stream.on('error', (error: Error) => (this.#streamError = error));
    stream.on('close', () => this.#closed(stream));
  }

  /** @param isAll nothing follows: the head and the end are to go out in one */
  #begin(head: ResponseHead, isAll: boolean): void {
    const user = this.#user;
    user?.begin(head);
    if (isAll) return;
    // What came with the head has been handed over by then.
    setImmediate(() => {
      if (user !== undefined && this.#user === user) user.received();
    });
  }

  #hear(): void {
    this.#heard = true;
    this.#session.responded();
  }

  #take(raw: readonly string[], hand: (head: ResponseHead) => void): void {
    this.#hear();
    this.#guard(() => hand(responseHead(raw)));
  }

  #guard(read: () => void): void {
    try {
      read();
    } catch (error) {
      if (!(error instanceof BrokenResponse)) throw error;
      this.#fail(error, constants.NGHTTP2_PROTOCOL_ERROR);
    }
  }

  #ended(): void {
    if (!this.#isWhole) return;
    const user = this.#user;
    this.#user = undefined;
    // If the response came before the end of the request, the rest of the body is of no use.
    if (this.#upload?.stop() === true) this.#reset(constants.NGHTTP2_NO_ERROR);
    user?.end(this.#trailers);
  }

  #closed(stream: ClientHttp2Stream): void {
    const reason = this.#user && this.#reasonOf(stream);
    this.#session.streamEnded();
    if (reason) this.#fail(reason);
  }

  /** Why the stream has ended without a whole response. */
  #reasonOf({ rstCode, id }: ClientHttp2Stream): Error {
    const isRefused = rstCode === constants.NGHTTP2_REFUSED_STREAM;
    if (isRefused) this.#session.isResting = true;
    if ((isRefused || this.#session.hasSkipped(id)) && !this.#heard)
      return new StreamRefused(this.#upload ? this.#upload.reclaim() : []);
    const sessionError = this.#session.error;
    if (sessionError) return this.#streamError ?? sessionError;
    return new StreamReset(rstCode ?? constants.NGHTTP2_NO_ERROR);
  }

  /** @param code to reset the stream with */
  #fail(error: Error, code?: number): void {
    const user = this.#user;
    this.#user = undefined;
    this.#upload?.stop();
    if (code !== undefined) this.#reset(code);
    user?.failed(error, this.#heard);
  }
}

/**
 * Node ends a stream that was reset like one that is whole, where the code is NO_ERROR. In the first case it is closed
 * before its end is pushed.
 */
function noteEndOfStream(stream: ClientHttp2Stream, note: () => void): void {
  const push = stream.push.bind(stream);
  stream.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk === null && !stream.closed) note();
    return push(chunk, encoding);
  };
}

/** Node ends a body in order before it resets its stream: a part would pass for the whole (rule H15). */
function resetStream(stream: ClientHttp2Stream, code: number): void {
  stream._final = (done) => done();
  stream.close(code);
}

/** RFC 9113 section 8.3.1. The fields are without those of a connection; none can be taken for a pseudo-header field. */
function requestHead(
  { method, target, headers, contentLength, hasBody }: UpstreamRequest['outbound'],
  scheme: string,
  host: string,
): string[] {
  const head = [':method', method, ':scheme', scheme, ':authority', host, ':path', target];
  if (contentLength !== undefined && hasBody) head.push('content-length', String(contentLength));
  for (let index = 0; index < headers.length; index += 2) {
    const name = (headers[index] ?? '').toLowerCase();
    if (name !== 'connection' && !name.startsWith(':')) head.push(name, headers[index + 1] ?? '');
  }
  // Servers of gRPC refuse a request without it.
  if (grpcTypeOf(headers) !== undefined && !hasField(headers, 'te')) head.push('te', 'trailers');
  return head;
}

const STATUS = /^[1-5][0-9]{2}$/;
/** Only HTTP/1.1 has them (RFC 9113 section 8.2.2); nghttp2 refuses most. */
const OF_CONNECTIONS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);
/** As for HTTP/1.1: the gateway sets its own id. */
const DROPPED: ReadonlySet<string> = new Set(['x-request-id', 'proxy-authenticate', 'te']);

/** @throws BrokenResponse */
function responseHead(raw: readonly string[]): ResponseHead {
  const { pseudo, fields } = separated(raw);
  const [status = '', second] = pseudo;
  // 101 is for HTTP/1.1 (RFC 9113 section 8.6).
  if (second !== undefined || !STATUS.test(status) || status === '101')
    throw new BrokenResponse('no status, two of them, or one that HTTP/2 does not have');
  return {
    status: Number(status),
    headers: fields,
    framing: { kind: 'none' },
    keepAlive: true,
    keepAliveSeconds: undefined,
    upgrade: undefined,
  };
}

/** @throws BrokenResponse for a field that no HTTP/2 message may have */
function separated(raw: readonly string[]): { pseudo: string[]; fields: string[] } {
  const pseudo: string[] = [];
  const fields: string[] = [];
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? '';
    const value = raw[index + 1] ?? '';
    if (OF_CONNECTIONS.has(name)) throw new BrokenResponse('a field of HTTP/1.1 connections');
    if (name.startsWith(':')) pseudo.push(value);
    else if (!DROPPED.has(name)) fields.push(name, value);
  }
  return { pseudo, fields };
}

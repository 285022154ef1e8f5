/**
 * Reads the responses on one upstream connection, one at a time, from bytes as they come. Pure: no I/O. Bytes that are
 * no response by RFC 9112 end in an error, never in a guess. Rules H4, H9, H15, C18, C19.
 */
import {
  BrokenResponse,
  NO_HEADERS,
  readResponseHead,
  readTrailers,
  type ResponseHead,
  type ResponseHeaders,
} from '../http/response-head.ts';
import { UnfinishedHead } from '../http/unfinished-head.ts';

/** The parts of a response, in this order. */
export interface ResponseListener {
  /** Any 1xx but 101; 100 included. */
  informational(head: ResponseHead): void;
  begin(head: ResponseHead): void;
  /** @param chunk valid during the call only: the bytes are overwritten by the next read */
  data(chunk: Buffer): void;
  end(trailers: ResponseHeaders): void;
  /**
   * 101, instead of all that: the bytes that follow belong to the other protocol.
   *
   * @param early bytes that came behind it
   */
  switched(head: ResponseHead, early: Buffer): void;
}

/** A response with a larger header or trailer section counts as broken. */
export const MAX_HEAD_BYTES = 64 * 1024;
/** A chunk's size with its extensions, which no known upstream uses. */
const MAX_CHUNK_LINE_BYTES = 4 * 1024;
/** At most 2^52 bytes, so that the number is exact. */
const CHUNK_LINE = /^([0-9A-Fa-f]{1,13})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;
/** How such a line can begin. */
const CHUNK_LINE_SO_FAR = /^[0-9A-Fa-f]{1,13}(?:[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?)\r?$/;
const CRLF = '\r\n';
const HEAD_END = '\r\n\r\n';
const NOTHING = Buffer.alloc(0);

type State = 'idle' | 'head' | 'length' | 'rest' | 'chunk line' | 'chunk' | 'chunk end' | 'trailers';

export class ResponseReader {
  readonly #listener: ResponseListener;
  #state: State = 'idle';
  #method = '';
  #upgrade: string | undefined;
  /** Bytes of the body, or of the chunk, that have not come yet. */
  #left = 0;
  /** The beginning of an incomplete part. */
  #held: Buffer = NOTHING;
  /** Checks a head or trailers of which a part has come. */
  #unfinished: UnfinishedHead | undefined;

  constructor(listener: ResponseListener) {
    this.#listener = listener;
  }

  /**
   * A response to a request with this method comes next.
   *
   * @param upgrade the protocol that the request asked to switch to, in lower case
   */
  expect(method: string, upgrade?: string): void {
    this.#method = method;
    this.#upgrade = upgrade;
    this.#state = 'head';
  }

  /** No response is expected or incomplete. */
  get idle(): boolean {
    return this.#state === 'idle';
  }

  /**
   * @param bytes may be reused by the caller afterwards
   * @throws BrokenResponse also for bytes that no request asked for (rule H17)
   */
  read(bytes: Buffer): void {
    let rest = this.#withHeld(bytes);
    while (rest.length > 0) {
      const taken = this.#take(rest);
      if (taken === 0) {
        // Its memory is the caller's.
        this.#held = Buffer.from(rest);
        return;
      }
      if (taken === rest.length) return;
      rest = rest.subarray(taken);
    }
  }

  /**
   * The connection has ended in order.
   *
   * @throws BrokenResponse if the response is not whole
   */
  finish(): void {
    if (this.#state !== 'rest') throw new BrokenResponse('the connection ended within a response');
    this.#end(NO_HEADERS);
  }

  #withHeld(bytes: Buffer): Buffer {
    if (this.#held.length === 0) return bytes;
    const joined = Buffer.concat([this.#held, bytes]);
    this.#held = NOTHING;
    return joined;
  }

  /** @returns how many bytes were read; 0 if more are needed first */
  #take(bytes: Buffer): number {
    switch (this.#state) {
      case 'head':
        return this.#takeHead(bytes);
      case 'rest':
        this.#listener.data(bytes);
        return bytes.length;
      case 'length':
      case 'chunk':
        return this.#takeBody(bytes);
      case 'chunk line':
        return this.#takeChunkLine(bytes);
      case 'chunk end':
        return this.#takeChunkEnd(bytes);
      case 'trailers':
        return this.#takeTrailers(bytes);
      case 'idle':
        throw new BrokenResponse('bytes that no request asked for');
    }
  }

  #takeHead(bytes: Buffer): number {
    const end = bytes.indexOf(HEAD_END, 0, 'latin1');
    if ((end < 0 ? bytes.length : end) > MAX_HEAD_BYTES) throw new BrokenResponse('the head is too large');
    if (end < 0) return this.#awaitRest(bytes, true);
    this.#unfinished = undefined;
    const head = readResponseHead(bytes.toString('latin1', 0, end), this.#method);
    if (head.status === 101) {
      if (this.#upgrade === undefined || head.upgrade !== this.#upgrade)
        throw new BrokenResponse('it switches to a protocol that the request did not ask for');
      this.#state = 'idle';
      this.#listener.switched(head, Buffer.from(bytes.subarray(end + HEAD_END.length)));
      return bytes.length;
    }
    if (head.status < 200) {
      this.#listener.informational(head);
      return end + HEAD_END.length;
    }
    const { framing } = head;
    this.#left = framing.kind === 'length' ? framing.bytes : 0;
    if (framing.kind === 'chunked') this.#state = 'chunk line';
    else if (framing.kind !== 'none') this.#state = framing.kind;
    this.#listener.begin(head);
    if (framing.kind === 'none') this.#end(NO_HEADERS);
    return end + HEAD_END.length;
  }

  #takeBody(bytes: Buffer): number {
    const taken = Math.min(this.#left, bytes.length);
    this.#left -= taken;
    this.#listener.data(taken === bytes.length ? bytes : bytes.subarray(0, taken));
    if (this.#left > 0) return taken;
    if (this.#state === 'chunk') this.#state = 'chunk end';
    else this.#end(NO_HEADERS);
    return taken;
  }

  #takeChunkLine(bytes: Buffer): number {
    const end = bytes.indexOf(CRLF, 0, 'latin1');
    if ((end < 0 ? bytes.length : end) > MAX_CHUNK_LINE_BYTES)
      throw new BrokenResponse('a chunk line is too long');
    if (end < 0) {
      if (!CHUNK_LINE_SO_FAR.test(bytes.toString('latin1'))) throw new BrokenResponse('a chunk has no size');
      return 0;
    }
    const size = CHUNK_LINE.exec(bytes.toString('latin1', 0, end))?.[1];
    if (size === undefined) throw new BrokenResponse('a chunk has no size');
    this.#left = parseInt(size, 16);
    this.#state = this.#left === 0 ? 'trailers' : 'chunk';
    return end + CRLF.length;
  }

  #takeChunkEnd(bytes: Buffer): number {
    if (bytes[0] !== 0x0d || (bytes.length > 1 && bytes[1] !== 0x0a))
      throw new BrokenResponse('a chunk is longer than its size');
    if (bytes.length < CRLF.length) return 0;
    this.#state = 'chunk line';
    return CRLF.length;
  }

  #takeTrailers(bytes: Buffer): number {
    if (bytes.length >= CRLF.length && bytes[0] === 0x0d && bytes[1] === 0x0a) {
      this.#end(NO_HEADERS);
      return CRLF.length;
    }
    const end = bytes.indexOf(HEAD_END, 0, 'latin1');
    if ((end < 0 ? bytes.length : end) > MAX_HEAD_BYTES)
      throw new BrokenResponse('the trailers are too large');
    if (end < 0) return this.#awaitRest(bytes, false);
    this.#unfinished = undefined;
    this.#end(readTrailers(bytes.toString('latin1', 0, end)));
    return end + HEAD_END.length;
  }

  /** @returns 0: more must come */
  #awaitRest(bytes: Buffer, hasStatusLine: boolean): 0 {
    this.#unfinished ??= new UnfinishedHead(hasStatusLine);
    this.#unfinished.check(bytes);
    return 0;
  }

  #end(trailers: ResponseHeaders): void {
    this.#state = 'idle';
    this.#listener.end(trailers);
  }
}

/**
 * Reads the head of an upstream's response strictly: a response that two readers could frame differently is broken.
 * Hop-by-hop fields end here. Pure. RFC 9112 sections 4 to 7, RFC 9110 section 7.6.1. Rules H4, H9, C18.
 */
import { withoutFields, type FieldList } from './field-list.ts';
import { RecentReadings } from './recent-readings.ts';

/** Spelled as they came, without the fields that are for the upstream's connection only. */
export type ResponseHeaders = FieldList;

/** How long the body is. */
export type BodyFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' }
  /** To the end of the connection. */
  | { readonly kind: 'rest' };

export interface ResponseHead {
  readonly status: number;
  readonly headers: ResponseHeaders;
  readonly framing: BodyFraming;
  /** The connection may be used again after this response. */
  readonly keepAlive: boolean;
  /** After how long idle the upstream closes the connection (`Keep-Alive: timeout`); undefined if it does not say. */
  readonly keepAliveSeconds: number | undefined;
  /** The protocol of its Upgrade field, in lower case. */
  readonly upgrade: string | undefined;
}

/** What an upstream sent is no response by RFC 9112. */
export class BrokenResponse extends Error {
  override readonly name = 'BrokenResponse';
}

const FieldKind = {
  forward: 0,
  drop: 1,
  connection: 2,
  keepAlive: 3,
  contentLength: 4,
  transferEncoding: 5,
  upgrade: 6,
} as const;
type FieldKind = (typeof FieldKind)[keyof typeof FieldKind];

const KINDS: ReadonlyMap<string, FieldKind> = new Map([
  ['connection', FieldKind.connection],
  ['keep-alive', FieldKind.keepAlive],
  ['content-length', FieldKind.contentLength],
  ['transfer-encoding', FieldKind.transferEncoding],
  ['proxy-connection', FieldKind.drop],
  ['proxy-authenticate', FieldKind.drop],
  ['te', FieldKind.drop],
  ['upgrade', FieldKind.upgrade],
  // The gateway sets its own, so that client, gateway and upstream use one id for a request.
  ['x-request-id', FieldKind.drop],
]);

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5][0-9]{2})(?: |$)/;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** A control byte, CR or LF alone, or a folded line (obs-fold). */
const BROKEN_TEXT = /[^\t\r\n\x20-\x7e\x80-\xff]|\r(?!\n)|(?:^|[^\r])\n|\r\n[\t ]/;
const LENGTH = /^[0-9]{1,15}$/;
/** By the exact spelling that came; only names that are tokens. */
const spellings = new RecentReadings<FieldKind>();

function kindOf(name: string): FieldKind {
  const known = spellings.get(name);
  if (known !== undefined) return known;
  if (!TOKEN.test(name)) throw new BrokenResponse('a field name is not a token');
  const kind = KINDS.get(name.toLowerCase()) ?? FieldKind.forward;
  spellings.add(name, kind);
  return kind;
}

/** The fields, and what they say about the message and its connection. */
class Fields {
  readonly passed: string[] = [];
  contentLength: string | undefined;
  transferEncoding: string | undefined;
  connection: string | undefined;
  keepAlive: string | undefined;
  upgrade: string | undefined;

  /** @param text field lines, without the CRLF of the last one */
  constructor(text: string, start: number) {
    let at = start;
    while (at < text.length) {
      const found = text.indexOf('\r\n', at);
      const end = found < 0 ? text.length : found;
      const colon = text.indexOf(':', at);
      if (colon < 0 || colon > end) throw new BrokenResponse('a field line has no colon');
      this.#add(text.slice(at, colon), trimmed(text, colon + 1, end));
      at = end + 2;
    }
  }

  #add(name: string, value: string): void {
    switch (kindOf(name)) {
      case FieldKind.forward:
        this.passed.push(name, value);
        break;
      case FieldKind.contentLength:
        // A repeated one is refused even if both agree: the next reader may decide otherwise (rule C18).
        if (this.contentLength !== undefined || !LENGTH.test(value))
          throw new BrokenResponse('Content-Length is repeated or no number');
        this.contentLength = value;
        this.passed.push(name, value);
        break;
      case FieldKind.transferEncoding:
        if (this.transferEncoding !== undefined || value.toLowerCase() !== 'chunked')
          throw new BrokenResponse('Transfer-Encoding is not just chunked');
        this.transferEncoding = value;
        break;
      case FieldKind.connection:
        this.connection = this.connection === undefined ? value : `${this.connection}, ${value}`;
        break;
      case FieldKind.keepAlive:
        this.keepAlive = value;
        break;
      case FieldKind.upgrade:
        this.upgrade = this.upgrade === undefined ? value : `${this.upgrade}, ${value}`;
        break;
      default:
    }
  }
}

/** The value between two places, without the white space around it (RFC 9110 section 5.5). */
function trimmed(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/**
 * Reads a response's head.
 *
 * @param text the head as latin1, from the status line on, without the empty line that ends it
 * @param method of the request: a response to HEAD has no body
 * @throws BrokenResponse
 */
export function readResponseHead(text: string, method: string): ResponseHead {
  if (BROKEN_TEXT.test(text)) throw new BrokenResponse('a byte that no head may have');
  const lineEnd = text.indexOf('\r\n');
  const statusLine = STATUS_LINE.exec(lineEnd < 0 ? text : text.slice(0, lineEnd));
  if (!statusLine) throw new BrokenResponse('no status line of HTTP/1.0 or HTTP/1.1');
  const isHttp10 = statusLine[1] === '0';
  const status = Number(statusLine[2]);
  const fields = new Fields(text, lineEnd < 0 ? text.length : lineEnd + 2);
  const options = connectionOptions(fields.connection);
  const framing = bodyFraming(fields, method, status, isHttp10);
  return {
    status,
    // RFC 9110 section 8.6: no length in 1xx and 204. In HTTP/2 a length without a body breaks the response.
    headers: withoutFields(
      fields.passed,
      status < 200 || status === 204 ? [...options, 'content-length'] : options,
    ),
    framing,
    keepAlive:
      !isHttp10 && framing.kind !== 'rest' && !options.includes('close') && !isAmbiguous(fields, status),
    keepAliveSeconds: keepAliveSeconds(fields.keepAlive),
    upgrade: fields.upgrade?.toLowerCase(),
  };
}

/**
 * Reads the trailer section of a chunked response (RFC 9112 section 7.1.2).
 *
 * @param text field lines as latin1; empty for none
 * @returns without fields that frame, route or control a message (RFC 9110 section 6.5.1)
 */
export function readTrailers(text: string): ResponseHeaders {
  if (text === '') return NO_HEADERS;
  if (BROKEN_TEXT.test(text)) throw new BrokenResponse('a byte that no trailer may have');
  return trailerFields(new Fields(text, 0).passed);
}

/** The fields that may be in trailers. */
export function trailerFields(fields: FieldList): ResponseHeaders {
  return withoutFields(fields, NOT_IN_TRAILERS);
}

export const NO_HEADERS: ResponseHeaders = [];

const NOT_IN_TRAILERS: readonly string[] = [
  ...['content-length', 'content-encoding', 'content-type', 'content-range', 'trailer', 'host'],
  ...['set-cookie', 'www-authenticate', 'authorization', 'cache-control', 'location', 'date'],
];

const NO_BODY: BodyFraming = { kind: 'none' };
const CHUNKED: BodyFraming = { kind: 'chunked' };
const REST: BodyFraming = { kind: 'rest' };

/** RFC 9112 section 6.3. */
function bodyFraming(fields: Fields, method: string, status: number, isHttp10: boolean): BodyFraming {
  const { contentLength, transferEncoding } = fields;
  // Two framings in one message, or one that HTTP/1.0 does not have, is an attempt to smuggle a response.
  if (transferEncoding !== undefined && (contentLength !== undefined || isHttp10))
    throw new BrokenResponse('two framings, or chunked in HTTP/1.0');
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return NO_BODY;
  if (transferEncoding !== undefined) return CHUNKED;
  if (contentLength === undefined) return REST;
  return contentLength === '0' ? NO_BODY : { kind: 'length', bytes: Number(contentLength) };
}

/** A 1xx or 204 that announces a body, which it must not have: the next bytes could be that body or a response. */
function isAmbiguous({ contentLength, transferEncoding }: Fields, status: number): boolean {
  if (status !== 204 && status >= 200) return false;
  return transferEncoding !== undefined || (contentLength !== undefined && contentLength !== '0');
}

const NO_OPTIONS: readonly string[] = [];
const CLOSE: readonly string[] = ['close'];

/** Field names in Connection, lower-case; and `close`. */
function connectionOptions(connection: string | undefined): readonly string[] {
  if (connection === undefined || connection === 'keep-alive') return NO_OPTIONS;
  if (connection === 'close') return CLOSE;
  return (
    connection
      .toLowerCase()
      .split(',')
      .map((option) => option.trim())
      // Removing the field that frames the message would turn one message into two.
      .filter((option) => option !== 'content-length')
  );
}

function keepAliveSeconds(keepAlive: string | undefined): number | undefined {
  const seconds =
    keepAlive === undefined ? undefined : /(?:^|[,;\s])timeout=([0-9]{1,6})/i.exec(keepAlive)?.[1];
  return seconds === undefined ? undefined : Number(seconds);
}

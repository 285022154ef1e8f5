/**
 * Reads the head of a request, once and strictly, before anything else happens to the request. A head that two readers
 * could understand differently is refused here, before any matching. Pure.
 *
 * RFC 9112 sections 3 and 6, RFC 9110 sections 5, 7 and 10. Rules H1 to H8, H18.
 */
import {
  BAD_HOST,
  BODY_TOO_LARGE,
  HEADERS_TOO_LARGE,
  MALFORMED_REQUEST,
  METHOD_REFUSED,
  URI_TOO_LONG,
} from '../errors.ts';
import { onlyFieldValue } from './field-list.ts';
import { HeaderKind, type HeaderTable } from './header-names.ts';
import { readHost, type HostReading } from './host-name.ts';

export interface HeadLimits {
  readonly uriBytes: number;
  readonly headerBytes: number;
  readonly headerCount: number;
  /** 0 = no limit. */
  readonly bodyBytes: number;
}

/** A request as the transport delivers it; nothing of it is trusted. */
export interface RawHead {
  readonly method: string;
  /** The request target as it came, bytes as latin1. */
  readonly target: string;
  readonly httpVersion: string;
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
  readonly scheme: 'http' | 'https';
  /** The transport says that a body follows, without a header field for that: HTTP/2. */
  readonly bodyFollows: boolean;
  /** The transport can switch protocols for this request; otherwise any Upgrade is ignored. */
  readonly wantsTunnel: boolean;
}

/** A request head that has one reading. */
export interface RequestHead extends RawHead {
  /** Origin-form path, raw bytes, without the query. */
  readonly path: string;
  /** With its `?`, or empty. */
  readonly query: string;
  /** The Host in its one form (see readHost): what every later hop gets. */
  readonly authority: string;
  /** Its name alone, without port: what routes match. */
  readonly hostname: string;
  /** The kind of each pair of rawHeaders. */
  readonly kinds: readonly HeaderKind[];
  /** Field names in Connection, lower-case; they end here (RFC 9110 section 7.6.1). */
  readonly connectionOptions: readonly string[];
  readonly authorization: readonly string[];
  /** Headers for API keys: names in lower case and values, in turn. Whether they are read is the route's to say. */
  readonly keyFields: readonly string[];
  /** Undefined for a chunked body or none. */
  readonly contentLength: number | undefined;
  readonly hasBody: boolean;
  /** Lower-case protocol of an Upgrade header that Connection announces, else undefined. */
  readonly upgrade: string | undefined;
  readonly expectsContinue: boolean;
  /** Undefined if absent or invalid. */
  readonly requestId: string | undefined;
  /** Not validated; the last one if repeated. */
  readonly traceparent: string | undefined;
}

const NO_OPTIONS: readonly string[] = [];
const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;
const LENGTH = /^[0-9]{1,15}$/;

/**
 * Reads and checks a request head.
 *
 * @throws GatewayError with one of the statuses 400, 405, 413, 414 or 431.
 */
export function readHead(raw: RawHead, table: HeaderTable, limits: HeadLimits): RequestHead {
  const { method, target, rawHeaders, httpVersion } = raw;
  if (target.length > limits.uriBytes) throw URI_TOO_LONG;
  if (rawHeaders.length > 2 * limits.headerCount) throw HEADERS_TOO_LARGE;
  // Node's parser takes a 0.9 with header fields, which that version did not have: no rule of 1.0 would hold for it.
  if (httpVersion === '0.9') throw MALFORMED_REQUEST;
  if (method === 'CONNECT' || method === 'TRACE') throw METHOD_REFUSED;
  return new ReadHead(raw, table, limits);
}

/** Reads the fields into itself, in turn, and then what follows from them: one object for a request. */
class ReadHead implements RequestHead {
  readonly method: string;
  readonly target: string;
  readonly httpVersion: string;
  readonly rawHeaders: readonly string[];
  readonly scheme: 'http' | 'https';
  readonly bodyFollows: boolean;
  readonly wantsTunnel: boolean;
  readonly path: string;
  readonly query: string;
  readonly authority: string;
  readonly hostname: string;
  readonly kinds: HeaderKind[] = [];
  connectionOptions = NO_OPTIONS;
  authorization = NO_OPTIONS;
  keyFields = NO_OPTIONS;
  contentLength: number | undefined;
  readonly hasBody: boolean;
  upgrade: string | undefined;
  expectsContinue = false;
  requestId: string | undefined;
  traceparent: string | undefined;
  #host: string | undefined;
  #isChunked = false;

  constructor(raw: RawHead, table: HeaderTable, limits: HeadLimits) {
    this.method = raw.method;
    this.target = raw.target;
    this.httpVersion = raw.httpVersion;
    this.rawHeaders = raw.rawHeaders;
    this.scheme = raw.scheme;
    this.bodyFollows = raw.bodyFollows;
    this.wantsTunnel = raw.wantsTunnel;
    this.#readFields(table, limits.headerBytes);
    this.#checkFraming(limits.bodyBytes);
    const host = this.#host === undefined ? undefined : readHost(this.#host, raw.scheme);
    if (!host) throw BAD_HOST;
    this.authority = host.authority;
    this.hostname = host.hostname;
    const pathAndQuery = readTarget(raw.target, host, raw.scheme);
    const question = pathAndQuery.indexOf('?');
    this.path = question < 0 ? pathAndQuery : pathAndQuery.slice(0, question);
    this.query = question < 0 ? '' : pathAndQuery.slice(question);
    const { contentLength } = this;
    this.hasBody = this.#isChunked || (contentLength === undefined ? raw.bodyFollows : contentLength > 0);
    if (!raw.wantsTunnel || !this.connectionOptions.includes('upgrade')) this.upgrade = undefined;
    if (this.requestId === '') this.requestId = undefined;
  }

  #readFields(table: HeaderTable, maxBytes: number): void {
    const { rawHeaders } = this;
    let bytes = 0;
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const value = rawHeaders[index + 1] ?? '';
      const name = rawHeaders[index] ?? '';
      // ": " and CRLF are part of what was sent.
      bytes += name.length + value.length + 4;
      const kind = table.kindOf(name);
      this.kinds.push(kind);
      if (kind !== HeaderKind.forward) this.#take(kind, value, name);
    }
    if (bytes > maxBytes) throw HEADERS_TOO_LARGE;
  }

  #take(kind: HeaderKind, value: string, name: string): void {
    switch (kind) {
      case HeaderKind.host:
        if (this.#host !== undefined) throw BAD_HOST;
        this.#host = value;
        break;
      case HeaderKind.connection:
        this.connectionOptions = [...this.connectionOptions, ...listOf(value)];
        break;
      case HeaderKind.authorization:
        this.authorization = [...this.authorization, value];
        break;
      case HeaderKind.apiKey:
        this.keyFields = [...this.keyFields, name.toLowerCase(), value];
        break;
      case HeaderKind.contentLength:
        if (this.contentLength !== undefined || !LENGTH.test(value)) throw MALFORMED_REQUEST;
        this.contentLength = Number(value);
        break;
      case HeaderKind.transferEncoding:
        // Any other coding would reach the upstream undone but unannounced.
        if (this.#isChunked || value.toLowerCase() !== 'chunked') throw MALFORMED_REQUEST;
        this.#isChunked = true;
        break;
      case HeaderKind.upgrade:
        this.upgrade = joined(this.upgrade, value.trim().toLowerCase());
        break;
      case HeaderKind.expect:
        // In HTTP/1.0 it means nothing (RFC 9110 section 10.1.1).
        this.expectsContinue ||= this.httpVersion !== '1.0' && value.toLowerCase() === '100-continue';
        break;
      case HeaderKind.requestId:
        // A repeated id is no id: the empty text is not valid, and stays.
        this.requestId = this.requestId === undefined && REQUEST_ID.test(value) ? value : '';
        break;
      case HeaderKind.traceparent:
        this.traceparent = value;
        break;
      default:
    }
  }

  #checkFraming(maxBodyBytes: number): void {
    const { contentLength } = this;
    // Two framings in one message, or a framing that HTTP/1.0 does not have: request smuggling (rules H2, H3).
    if (this.#isChunked && (contentLength !== undefined || this.httpVersion === '1.0'))
      throw MALFORMED_REQUEST;
    if (maxBodyBytes > 0 && contentLength !== undefined && contentLength > maxBodyBytes) throw BODY_TOO_LARGE;
  }
}

/** The members of a comma-separated list, in lower case. */
function listOf(value: string): string[] {
  return value
    .toLowerCase()
    .split(',')
    .map((member) => member.trim());
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`;
}

/**
 * Origin-form or absolute-form (RFC 9112 section 3.2); the latter must name the same host as Host (rule H7).
 *
 * @returns path and query
 */
function readTarget(target: string, host: HostReading, scheme: RawHead['scheme']): string {
  // What follows # is no part of a request target, and readers differ on where it begins.
  if (target.includes('#')) throw MALFORMED_REQUEST;
  if (target.charCodeAt(0) === 0x2f) return target;
  const [, authority, pathAndQuery] = /^https?:\/\/([^/?]*)([\s\S]*)$/i.exec(target) ?? [];
  if (authority === undefined || pathAndQuery === undefined) throw MALFORMED_REQUEST;
  if (readHost(authority, scheme)?.authority !== host.authority) throw BAD_HOST;
  return pathAndQuery.startsWith('/') ? pathAndQuery : `/${pathAndQuery}`;
}

/** The values of all headers of a kind, as they came. */
export function valuesOf(head: RequestHead, kind: HeaderKind): string[] {
  const values: string[] = [];
  for (let index = 0; index < head.kinds.length; index++) {
    if (head.kinds[index] === kind) values.push(head.rawHeaders[2 * index + 1] ?? '');
  }
  return values;
}

/** The value of a header by its lower-case name; undefined if it is absent or repeated. */
export function singleHeader(head: RawHead, name: string): string | undefined {
  return onlyFieldValue(head.rawHeaders, name);
}

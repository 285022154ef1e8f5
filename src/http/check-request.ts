/**
 * What Envoy asks by gRPC: `envoy.service.auth.v3.CheckRequest`, and the original request in it. Pure.
 * Field numbers: attribute_context.proto and external_auth.proto of Envoy’s API v3. Rules B2, C3, C10.
 *
 * The message is believed as far as its sender is, which is one of `trusted_peers`. Only attributes decide that the proxy
 * has read itself. `context_extensions`, metadata and the body are not looked at.
 */
import { MALFORMED_REQUEST, UNCLEAR_ORIGINAL } from '../errors.ts';
import { forwardedScheme } from './forwarded-headers.ts';
import { isSameHost } from './host-name.ts';
import { METHOD, withoutOtherUrls } from './original-request.ts';
import { eachField, latin1 } from './protobuf.ts';
import type { RawHead } from './request-head.ts';

/** The attributes that are read; text is empty where it is absent. */
export interface CheckRequest {
  method: string;
  path: string;
  host: string;
  scheme: string;
  protocol: string;
  /** From `headers`, a map: Envoy has joined repeated fields by commas. Names and values in turn. */
  joined: string[];
  /** From `header_map`, with `encode_raw_headers`: each field as it came. Names and values in turn. */
  raw: string[];
  /** Of the connection to Envoy; empty where it is no IP address. */
  sourceAddress: string;
  /** Of that connection, with `include_peer_certificate`: percent-encoded PEM; empty where it has none. */
  sourceCertificate: string;
}

/** CheckRequest */
const ATTRIBUTES = 1;
/** AttributeContext */
const Context = { source: 1, request: 4 } as const;
/** AttributeContext.Peer, core.v3.Address, core.v3.SocketAddress */
const Peer = { address: 1, certificate: 5 } as const;
const SOCKET_ADDRESS = 1;
const ADDRESS = 2;
/** AttributeContext.Request */
const HTTP = 2;
/** AttributeContext.HttpRequest */
const Http = { method: 2, headers: 3, path: 4, host: 5, scheme: 6, protocol: 10, headerMap: 13 } as const;
/** core.v3.HeaderMap */
const HEADERS = 1;
/** core.v3.HeaderValue, and the entry of a map, which has the first two. */
const Pair = { key: 1, value: 2, rawValue: 3 } as const;

/** @throws MalformedMessage if the bytes are none; a CheckRequest without attributes is read as an empty one */
export function readCheckRequest(message: Uint8Array): CheckRequest {
  const check: CheckRequest = {
    ...{ method: '', path: '', host: '', scheme: '', protocol: '', sourceAddress: '', sourceCertificate: '' },
    joined: [],
    raw: [],
  };
  eachField(message, (field, attributes) => {
    if (field !== ATTRIBUTES) return;
    eachField(attributes, (of, value) => {
      if (of === Context.source) readSource(value, check);
      else if (of === Context.request) inner(value, [HTTP], (http) => readHttp(http, check));
    });
  });
  return check;
}

function readSource(source: Uint8Array, check: CheckRequest): void {
  inner(source, [Peer.address, SOCKET_ADDRESS, ADDRESS], (address) => {
    check.sourceAddress = latin1(address);
  });
  inner(source, [Peer.certificate], (certificate) => {
    check.sourceCertificate = latin1(certificate);
  });
}

/** Follows a path of fields into a message. */
function inner(
  message: Uint8Array,
  [first, ...rest]: readonly number[],
  take: (value: Uint8Array) => void,
): void {
  if (first === undefined) take(message);
  else
    eachField(message, (field, value) => {
      if (field === first) inner(value, rest, take);
    });
}

function readHttp(http: Uint8Array, check: CheckRequest): void {
  eachField(http, (field, value) => {
    switch (field) {
      case Http.method:
        check.method = latin1(value);
        break;
      case Http.path:
        check.path = latin1(value);
        break;
      case Http.host:
        check.host = latin1(value);
        break;
      case Http.scheme:
        check.scheme = latin1(value);
        break;
      case Http.protocol:
        check.protocol = latin1(value);
        break;
      case Http.headers:
        check.joined.push(...pairOf(value));
        break;
      case Http.headerMap:
        inner(value, [HEADERS], (pair) => check.raw.push(...pairOf(pair)));
        break;
      default:
    }
  });
}

function pairOf(message: Uint8Array): [name: string, value: string] {
  let name = '';
  let text = '';
  eachField(message, (field, value) => {
    if (field === Pair.key) name = latin1(value);
    else if (field === Pair.value || field === Pair.rawValue) text = latin1(value);
  });
  return [name, text];
}

/** Origin-form without control bytes and spaces. */
const TARGET = /^\/[^\0-\x20\x7f]*$/;
/** RFC 9110 section 5.6.2 */
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110 section 5.5 */
const FIELD_VALUE = /^[^\0-\x08\x0a-\x1f\x7f]*$/;
const VERSIONS: Readonly<Record<string, string>> = { 'HTTP/1.0': '1.0', 'HTTP/2': '2.0', 'HTTP/3': '3.0' };

/**
 * The request that is asked about, as if it had come here itself.
 *
 * @throws GatewayError 400 UNCLEAR_ORIGINAL if a part is missing or impossible, or said in two ways; MALFORMED_REQUEST
 */
export function checkedRequest(check: CheckRequest): RawHead {
  const { method, path, host, protocol, joined, raw } = check;
  const scheme = forwardedScheme(check.scheme);
  if (!scheme || host === '' || !METHOD.test(method) || !TARGET.test(path)) throw UNCLEAR_ORIGINAL;
  // In a map each name stands once, and one of the two lists is empty: anything else has two readings.
  if (raw.length > 0 ? joined.length > 0 : hasRepeatedName(joined)) throw UNCLEAR_ORIGINAL;
  const rawHeaders = ['host', host];
  const fields = raw.length > 0 ? raw : joined;
  for (let at = 0; at < fields.length; at += 2) {
    const [name = '', value = ''] = [fields[at], fields[at + 1]];
    if (name.startsWith(':')) checkPseudo(check, name, value);
    else if (!FIELD_NAME.test(name) || !FIELD_VALUE.test(value)) throw MALFORMED_REQUEST;
    else if (name.toLowerCase() !== 'host') rawHeaders.push(name, value);
    else if (!isSameHost(host, value, scheme)) throw UNCLEAR_ORIGINAL;
  }
  return {
    method,
    target: path,
    httpVersion: VERSIONS[protocol] ?? '1.1',
    rawHeaders: withoutOtherUrls(rawHeaders),
    scheme,
    bodyFollows: false,
    wantsTunnel: false,
  };
}

function hasRepeatedName(fields: readonly string[]): boolean {
  const names = new Set<string>();
  for (let at = 0; at < fields.length; at += 2) names.add((fields[at] ?? '').toLowerCase());
  return names.size < fields.length / 2;
}

/**
 * Envoy repeats the attributes as pseudo-header fields. In `header_map` these are the bytes as they came, while `path` has
 * `!` for bytes that are no UTF-8: a path that reads differently is no path to decide on.
 */
function checkPseudo(check: CheckRequest, name: string, value: string): void {
  const { method, path, host, scheme } = check;
  const said: Readonly<Record<string, string>> = {
    ':method': method,
    ':path': path,
    ':authority': host,
    ':scheme': scheme,
  };
  if (Object.hasOwn(said, name) && said[name] !== value) throw UNCLEAR_ORIGINAL;
}

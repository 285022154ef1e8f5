/**
 * What each request header name means to the gateway. Names are looked up by the exact spelling that came, so that the
 * usual ones cost one Map look-up and no lower-casing. Pure.
 *
 * Sources: RFC 9110 sections 5.1 and 7.6.1; RFC 7239; RFC 9440. Advisories: SECURITY.md, C1 to C3.
 */
import { RecentReadings } from './recent-readings.ts';

/**
 * The name that servers in the CGI tradition (WSGI, PHP, Rack, CGI itself) read: they turn `-` into `_`, some turn `.`
 * too, and some every sign, so `X_User_Id`, `X.User.Id` and `X~User~Id` arrive as `X-User-Id` (RFC 3875 section 4.1.18).
 */
export function headerAlias(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9-]/g, '-');
}

/** What happens to a header on its way to the upstream. */
export const HeaderKind = {
  /** Passes as it is. */
  forward: 0,
  /** Never passes, and nothing reads it. */
  drop: 1,
  connection: 2,
  transferEncoding: 3,
  upgrade: 4,
  te: 5,
  host: 6,
  contentLength: 7,
  expect: 8,
  authorization: 9,
  /** Only the gateway may set it (rule C2). */
  identity: 10,
  /** Describes the hops before the gateway: believed from trusted peers only (rule F1). */
  forwarded: 11,
  forwardedFor: 12,
  forwardedProto: 13,
  forwardedHost: 14,
  requestId: 15,
  traceparent: 16,
  via: 17,
  /** May carry a token, on routes that allow it. */
  webSocketProtocol: 18,
  forwardedPrefix: 19,
  /** A proof of possession, which ends here. */
  dpop: 20,
  /** The client's certificate (RFC 9440): read from the peers of `client_cert_header` alone, and never passes (rule M1). */
  clientCert: 21,
  /** May hold an API key on the routes that accept its issuer; it ends here on all (rule X2). */
  apiKey: 22,
} as const;
export type HeaderKind = (typeof HeaderKind)[keyof typeof HeaderKind];

const KINDS: Readonly<Record<string, HeaderKind>> = {
  connection: HeaderKind.connection,
  'keep-alive': HeaderKind.drop,
  'proxy-connection': HeaderKind.drop,
  'proxy-authorization': HeaderKind.drop,
  'proxy-authenticate': HeaderKind.drop,
  'http2-settings': HeaderKind.drop,
  // Request trailers are discarded (RFC 9110 section 6.5.1), so announcing them would be a lie.
  trailer: HeaderKind.drop,
  dpop: HeaderKind.dpop,
  'client-cert': HeaderKind.clientCert,
  'client-cert-chain': HeaderKind.drop,
  'transfer-encoding': HeaderKind.transferEncoding,
  upgrade: HeaderKind.upgrade,
  te: HeaderKind.te,
  host: HeaderKind.host,
  'content-length': HeaderKind.contentLength,
  expect: HeaderKind.expect,
  authorization: HeaderKind.authorization,
  forwarded: HeaderKind.forwarded,
  'x-real-ip': HeaderKind.forwarded,
  'x-forwarded-for': HeaderKind.forwardedFor,
  'x-forwarded-proto': HeaderKind.forwardedProto,
  'x-forwarded-host': HeaderKind.forwardedHost,
  'x-forwarded-prefix': HeaderKind.forwardedPrefix,
  'x-request-id': HeaderKind.requestId,
  traceparent: HeaderKind.traceparent,
  via: HeaderKind.via,
  'sec-websocket-protocol': HeaderKind.webSocketProtocol,
};

/** X-Forwarded-*, X-Original-* and proxies' own names for the client's certificate. */
const HOP_HISTORY =
  /^(?:x-forwarded-|x-original-|(?:x-)?(?:ssl|tls)-client-|(?:x-)?client-cert(?:$|-|ificate)|x-arr-clientcert$|x-amzn-mtls-)/;

/** Classifies header names for one set of identity headers and of headers for API keys. */
export class HeaderTable {
  readonly #identityAliases: ReadonlySet<string>;
  /** By alias: the one spelling that is read, in lower case. */
  readonly #keyNames: ReadonlyMap<string, string>;
  readonly #spellings = new RecentReadings<HeaderKind>();

  /**
   * @param identityNames every header that is configured as identity on any route, in any spelling.
   * @param keyNames every header that an issuer names for its API keys
   */
  constructor(identityNames: Iterable<string>, keyNames: Iterable<string> = []) {
    this.#identityAliases = new Set([...identityNames].map(headerAlias));
    this.#keyNames = new Map([...keyNames].map((name) => [headerAlias(name), name.toLowerCase()]));
  }

  kindOf(name: string): HeaderKind {
    const known = this.#spellings.get(name);
    if (known !== undefined) return known;
    const kind = this.#classify(name);
    this.#spellings.add(name, kind);
    return kind;
  }

  #classify(name: string): HeaderKind {
    const alias = headerAlias(name);
    if (this.#identityAliases.has(alias)) return HeaderKind.identity;
    const keyName = this.#keyNames.get(alias);
    // Another spelling is not read, and must not pass, either: the upstream may fold names, and log what it gets.
    if (keyName !== undefined) return keyName === name.toLowerCase() ? HeaderKind.apiKey : HeaderKind.drop;
    const kind = Object.hasOwn(KINDS, alias)
      ? (KINDS[alias] ?? HeaderKind.forward)
      : HOP_HISTORY.test(alias)
        ? HeaderKind.forwarded
        : HeaderKind.forward;
    // An odd spelling of a name that the gateway sets or reads must not reach an upstream that folds names.
    return kind !== HeaderKind.forward && alias !== name.toLowerCase() ? HeaderKind.drop : kind;
  }
}

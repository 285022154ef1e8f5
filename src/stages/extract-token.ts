/**
 * Third stage: the token that the client presents, if any. Pure. RFC 6750 sections 2 and 3.1, RFC 9110
 * section 11, RFC 9449 section 7.1. Rules B1, B2, B6 to B9, J13, X2.
 *
 * Only Authorization authenticates, and where a route allows it the protocols that a WebSocket handshake offers, and the
 * headers that its issuers of API keys name. Cookies and bodies are never examined.
 */
import { hidesKey } from '../api-keys/key-elsewhere.ts';
import { hasKeyPrefix } from '../api-keys/key-text.ts';
import {
  INVALID_AUTHORIZATION,
  invalidToken,
  KEY_IN_QUERY,
  MISSING_TOKEN,
  TWO_CREDENTIALS,
} from '../auth-errors.ts';
import { hasAccessToken } from '../http/access-token-query.ts';
import type { Scheme } from '../http/challenge.ts';
import { LastCredentials, TOKEN68, type Credentials } from '../http/credentials.ts';
import { HeaderKind } from '../http/header-names.ts';
import { valuesOf, type RequestHead } from '../http/request-head.ts';
import { readProtocols } from '../http/websocket-protocol.ts';
import type { Route } from '../policy.ts';
import { isTokenText } from '../token/token-text.ts';
import type { OpenRoute } from './limit-address.ts';

/** What the client presents: the text of a token, of which nothing is verified, or nothing where the route allows that. */
class PresentedToken {
  declare protected readonly made: 'by extractToken';
  /** Undefined: anonymous. */
  readonly token: string | undefined;
  /** By which it was sent. */
  readonly scheme: Scheme;
  readonly #credentials: Credentials | undefined;

  constructor(credentials: Credentials | undefined, scheme: Scheme) {
    this.token = credentials?.token;
    this.scheme = scheme;
    this.#credentials = credentials;
  }

  /** SHA-256 of the token, base64url; computed once for a connection's requests with it. */
  get digest(): string | undefined {
    return this.#credentials?.digest;
  }
}
export type { PresentedToken };

const ANONYMOUS = new PresentedToken(undefined, 'Bearer');

/**
 * Takes the token from the request.
 *
 * @param maxBytes longer tokens are refused before anything looks at them
 * @param last credentials of the connection: where these are the same, they need not be read again
 * @throws GatewayError 401 MISSING_TOKEN, `too_large` or `malformed`; 400 INVALID_AUTHORIZATION, KEY_IN_QUERY or TWO_CREDENTIALS
 */
export function extractToken(
  head: RequestHead,
  route: OpenRoute,
  maxBytes: number,
  last?: LastCredentials,
): PresentedToken {
  if (route.mode === 'none') return ANONYMOUS;
  // A token in a URL ends up in logs, histories and Referer: refused, so that no client comes to rely on it.
  if (head.query !== '') {
    if (hasAccessToken(head.query)) throw INVALID_AUTHORIZATION;
    if (hidesKey(head.query)) throw KEY_IN_QUERY;
  }
  const all = allCredentials(head, route);
  const keys = head.keyFields.length === 0 ? NO_KEYS : keysIn(head.keyFields, route.keyHeaders);
  const [key] = keys;
  if (key === undefined) return takeToken(all, route, maxBytes, last);
  // A proxy may have joined two fields by a comma, which no key has in it.
  if (keys.length > 1 || all.length > 0 || key.includes(',')) throw TWO_CREDENTIALS;
  // Here nothing but a key is a credential. A token of another kind goes to no server from here.
  if (!hasKeyPrefix(key) || !TOKEN68.test(key)) throw NO_KEY_IN_HEADER;
  return takeToken([`Bearer ${key}`], route, maxBytes, last);
}

const NO_KEYS: readonly string[] = [];

/**
 * The values of the headers in which the route reads API keys.
 *
 * @param fields names in lower case and values, in turn
 */
function keysIn(fields: readonly string[], names: ReadonlySet<string>): readonly string[] {
  return fields.filter((_, index) => index % 2 === 1 && names.has(fields[index - 1] ?? ''));
}

const NO_KEY_IN_HEADER = invalidToken('malformed', undefined, 'the header for API keys holds none');

/** What of a route says which credentials it takes. */
export type CredentialRules = Pick<Route, 'mode' | 'mayHaveBars' | 'senderConstrained'>;

/**
 * The token among the credentials of a request.
 *
 * @param all each is the value of an Authorization line
 * @throws GatewayError as extractToken
 */
export function takeToken(
  all: readonly string[],
  { mode, mayHaveBars, senderConstrained }: CredentialRules,
  maxBytes: number,
  last = new LastCredentials(),
): PresentedToken {
  const [text, second] = all;
  if (text === undefined) {
    if (mode === 'optional') return ANONYMOUS;
    throw MISSING_TOKEN;
  }
  if (second !== undefined) throw INVALID_AUTHORIZATION;
  const credentials = last.read(text);
  const { scheme: schemeText, token } = credentials;
  if (schemeText === undefined) throw INVALID_AUTHORIZATION;
  const scheme =
    schemeText === 'bearer'
      ? 'Bearer'
      : schemeText === 'dpop' && senderConstrained !== undefined
        ? 'DPoP'
        : undefined;
  if (scheme === undefined) throw MISSING_TOKEN;
  if (token === undefined || !(credentials.isToken68 || (mayHaveBars && isTokenText(token, true))))
    throw INVALID_AUTHORIZATION;
  if (token.length > maxBytes)
    throw invalidToken('too_large', undefined, `it is longer than limits.token_bytes (${maxBytes})`);
  return new PresentedToken(credentials, scheme);
}

/** Two ways to send a token in one request are as wrong as one way twice (RFC 6750 section 2). */
function allCredentials(head: RequestHead, route: Route): readonly string[] {
  if (!route.webSocketProtocol || head.upgrade === undefined) return head.authorization;
  const { tokens } = readProtocols(valuesOf(head, HeaderKind.webSocketProtocol));
  return [...head.authorization, ...tokens.map((token) => `Bearer ${token}`)];
}

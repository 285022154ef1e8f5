/**
 * The gate before any key is looked up: is this a JWT, and is it spelt the one way that a JWT is spelt? Pure.
 *
 * JOSE libraries accept other spellings of a valid token: other last characters, padding, white space. Each
 * would be a second key to the same door, unknown to a list of revoked tokens. RFC 7515 section 7.1,
 * RFC 4648 section 3.5. Rules J0, J9, J10, J11, J14.
 */
import { invalidToken } from '../auth-errors.ts';
import { isJsonObject, type JsonObject } from './claims.ts';
import { parseStrictJson } from './strict-json.ts';

/** A JWS (RFC 7515, compact) in its canonical spelling. Nothing in it is verified. */
export interface JwsText {
  readonly token: string;
  readonly header: JsonObject;
  readonly algorithm: string;
  /** Undefined where the header has none. */
  readonly keyId: string | undefined;
  /** What is signed: the first two segments with their dot, ASCII. */
  readonly content: string;
  readonly payload: Buffer;
  readonly signature: Buffer;
}

/** A JWS whose payload is claims. */
export interface JwtText extends JwsText {
  readonly claims: JsonObject;
}

const MAX_KEY_ID_CHARACTERS = 128;

/**
 * Reads a presented token.
 *
 * @returns undefined for an opaque token
 * @throws GatewayError 401 `malformed` for what is a JWT but not well-formed
 */
export function readJwt(token: string): JwtText | undefined {
  return readJwtWith(readHeader, token);
}

/**
 * The same with another reader of headers, which may keep what it knows of them.
 *
 * @param headerOf takes the first segment, as parseHeader does
 */
export function readJwtWith<H extends JwsHeader>(
  headerOf: (segment: string) => H | undefined,
  token: string,
): (H & JwtText) | undefined {
  const jws = readJwsWith(headerOf, token);
  return jws && { ...jws, claims: strictObject(jws.payload) };
}

/** The same, whatever the payload is. */
export function readJws(token: string): JwsText | undefined {
  return readJwsWith(readHeader, token);
}

function readJwsWith<H extends JwsHeader>(
  headerOf: (segment: string) => H | undefined,
  token: string,
): (H & JwsText) | undefined {
  const firstDot = token.indexOf('.');
  const lastDot = token.lastIndexOf('.');
  if (firstDot < 0 || firstDot === lastDot || token.indexOf('.', firstDot + 1) !== lastDot) return undefined;
  const header = headerOf(token.slice(0, firstDot));
  if (header === undefined) return undefined;
  const payload = canonicalBytes(token.slice(firstDot + 1, lastDot));
  const signature = canonicalBytes(token.slice(lastDot + 1));
  // An empty payload is well-formed for a JWS; as claims it is refused later.
  if (!payload || !signature || signature.length === 0) throw invalidToken('malformed');
  return { token, ...header, content: token.slice(0, lastDot), payload, signature };
}

/**
 * Would a lenient server take this for a JWT that readJwt does not see? Such a server would accept many spellings of
 * one token. A JWE (five parts) may be introspected, in its one spelling.
 *
 * @param token for which readJwt returned undefined
 * @throws GatewayError 401 `malformed`
 */
export function isMisspeltJwt(token: string): boolean {
  if (!token.includes('.')) return false;
  const parts = token.split('.');
  const header = looseHeader(parts.find((part) => part !== '') ?? '');
  if (header === undefined) return false;
  const isJwe = parts.length === 5 && Object.hasOwn(header, 'enc');
  return !isJwe || !parts.every((part) => canonicalBytes(part) !== undefined);
}

/** What the first segment says. */
export interface JwsHeader {
  readonly header: JsonObject;
  readonly algorithm: string;
  readonly keyId: string | undefined;
}

/** Good headers by their spelling: an issuer writes the same one for all tokens of a key. */
const knownHeaders = new Map<string, JwsHeader>();
const MAX_KNOWN_HEADERS = 256;
const MAX_KNOWN_HEADER_CHARACTERS = 512;

function readHeader(segment: string): JwsHeader | undefined {
  const known = knownHeaders.get(segment);
  if (known !== undefined) return known;
  const read = parseHeader(segment);
  if (read !== undefined && segment.length <= MAX_KNOWN_HEADER_CHARACTERS) {
    // A flood of made-up headers empties the list now and then, and never makes it grow.
    if (knownHeaders.size >= MAX_KNOWN_HEADERS) knownHeaders.clear();
    knownHeaders.set(segment, read);
  }
  return read;
}

/**
 * @returns undefined where the segment is no JSON object with `alg`
 * @throws GatewayError 401 `malformed`
 */
export function parseHeader(segment: string): JwsHeader | undefined {
  // Loosely at first: what any JOSE library might take for a JWT must pass the gate or go nowhere.
  const header = looseHeader(segment);
  if (header === undefined) return undefined;
  if (!canonicalBytes(segment)) throw invalidToken('malformed');
  const { alg: algorithm, kid: keyId } = header;
  if (typeof algorithm !== 'string') throw invalidToken('malformed');
  if (keyId !== undefined && (typeof keyId !== 'string' || keyId.length > MAX_KEY_ID_CHARACTERS)) {
    throw invalidToken('malformed');
  }
  // No extension is understood here, so any that claims to be critical makes the token unusable; b64 is one.
  if (Object.hasOwn(header, 'crit') || Object.hasOwn(header, 'b64')) throw invalidToken('malformed');
  return { header, algorithm, keyId };
}

/** The decoded segment, or undefined where it is not its own re-encoding. */
function canonicalBytes(segment: string): Buffer | undefined {
  const bytes = Buffer.from(segment, 'base64url');
  return bytes.toString('base64url') === segment ? bytes : undefined;
}

/** The header, if the segment decodes to a JSON object with `alg`. */
function looseHeader(segment: string): JsonObject | undefined {
  // Every JSON object that has a member begins with "{" and white space or a quote.
  const bytes = Buffer.from(segment, 'base64url');
  let header: unknown;
  try {
    header = JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof header !== 'object' || header === null || !Object.hasOwn(header, 'alg')) return undefined;
  return strictObject(bytes);
}

function strictObject(bytes: Uint8Array): JsonObject {
  try {
    const value = parseStrictJson(bytes);
    if (isJsonObject(value)) return value;
  } catch {
    // falls through: the parser's message says nothing that the reason does not
  }
  throw invalidToken('malformed');
}

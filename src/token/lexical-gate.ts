/**
 * The gate before any key is looked up: is this a JWT, and is it spelt the one way that a JWT is spelt? Pure.
 *
 * JOSE libraries accept other spellings of a valid token: other last characters, padding, white space. Each
 * would be a second key to the same door, unknown to a list of revoked tokens. RFC 7515 section 7.1,
 * RFC 4648 section 3.5. Rules J0, J9, J10, J11, J14.
 */
import { invalidToken } from '../errors.ts';
import { isJsonObject, type JsonObject } from './claims.ts';
import { parseStrictJson } from './strict-json.ts';

/** A JWT in its canonical spelling. Nothing in it is verified. */
export interface JwtText {
  readonly token: string;
  readonly header: JsonObject;
  readonly algorithm: string;
  /** Undefined where the header has none. */
  readonly keyId: string | undefined;
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
  const firstDot = token.indexOf('.');
  const lastDot = token.lastIndexOf('.');
  if (firstDot < 0 || firstDot === lastDot || token.indexOf('.', firstDot + 1) !== lastDot) return undefined;
  const headerText = token.slice(0, firstDot);
  // Loosely at first: what any JOSE library might take for a JWT must pass the gate below or go nowhere.
  const header = looseHeader(headerText);
  if (header === undefined) return undefined;

  const payload = canonicalBytes(token.slice(firstDot + 1, lastDot));
  if (!canonicalBytes(headerText) || !payload || !canonicalBytes(token.slice(lastDot + 1))) {
    throw invalidToken('malformed');
  }
  const { alg: algorithm, kid: keyId } = header;
  if (typeof algorithm !== 'string') throw invalidToken('malformed');
  if (keyId !== undefined && (typeof keyId !== 'string' || keyId.length > MAX_KEY_ID_CHARACTERS)) {
    throw invalidToken('malformed');
  }
  // No extension is understood here, so any that claims to be critical makes the token unusable; b64 is one.
  if ('crit' in header || 'b64' in header) throw invalidToken('malformed');
  return { token, header, algorithm, keyId, claims: strictObject(payload) };
}

/** The decoded segment, or undefined where it is empty or not its own re-encoding. */
function canonicalBytes(segment: string): Buffer | undefined {
  const bytes = Buffer.from(segment, 'base64url');
  return segment !== '' && bytes.toString('base64url') === segment ? bytes : undefined;
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

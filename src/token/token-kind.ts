/**
 * Tells access tokens from the other tokens that the same server signs with the same keys: refresh, ID and logout
 * tokens, proofs, other security events. Pure. RFC 8725 section 3.11, OpenID Connect Core section 2, Back-Channel
 * Logout section 2.4, RFC 8417. Rules J1, J18.
 */
import { isJsonObject, type JsonObject, type JsonValue } from './claims.ts';

/** at+jwt: RFC 9068 access tokens. any: all that is not known to be something else. id_token: ID tokens count too. */
export const TOKEN_TYPES = ['at+jwt', 'any', 'id_token'] as const;
export type TokenType = (typeof TOKEN_TYPES)[number];

/** How servers name them in `typ`, `token_use`, `token_type` or `type`: without case, `_`, `-` and spaces. */
const REFRESH_OR_LOGOUT: ReadonlySet<string> = new Set([
  'refresh',
  'refreshtoken',
  'rt',
  'offline',
  'offlinetoken',
  'logout',
  'logouttoken',
  // Keycloak: what lets a client register or change itself.
  'initialaccesstoken',
  'registrationaccesstoken',
]);
const ID: ReadonlySet<string> = new Set([
  'id',
  'idtoken',
  // Keycloak: its cookie.
  'serializedid',
]);

/** `token_type` of an introspection response for an access token (RFC 6749, 9449, 8693). Without case. */
const ACCESS_TOKEN_TYPES: ReadonlySet<string> = new Set([
  'bearer',
  'dpop',
  'access_token',
  'n_a',
  'urn:ietf:params:oauth:token-type:access_token',
]);
const ACCESS_TOKEN_USES: ReadonlySet<string> = new Set(['access', 'access_token']);

/** Claims that only ID tokens carry (OpenID Connect Core section 3.3.2.11, FAPI). */
const ID_TOKEN_HASHES = ['at_hash', 'c_hash', 's_hash'] as const;
/** Where servers say what a token is. */
const KIND_CLAIMS = ['typ', 'token_use', 'token_type'] as const;
/** Some servers say it in `type`, where others keep a user's kind: only a refresh token is beyond doubt. */
const REFRESH_TYPES: ReadonlySet<JsonValue | undefined> = new Set(['refresh', 'refresh_token']);

/** May a JWT with this header and these claims, of which nothing is verified, be an access token of this issuer? */
export function isAccessJwt(header: JsonObject, claims: JsonObject, tokenType: TokenType): boolean {
  return typFits(header['typ'], tokenType) && claimsFit(claims, tokenType);
}

/**
 * May a JWT that its server is asked about be an access token? As for `any`: the server has the last word, but many
 * servers respond about refresh and ID tokens too.
 */
export function isIntrospectableJwt(header: JsonObject, claims: JsonObject): boolean {
  return isAccessJwt(header, claims, 'any');
}

/** May the token of an introspection response (RFC 7662 section 2.2) be an access token? */
export function isAccessResponse(claims: JsonObject): boolean {
  return (
    absentOr(claims['token_type'], (text) => ACCESS_TOKEN_TYPES.has(text)) &&
    absentOr(claims['token_use'], (text) => ACCESS_TOKEN_USES.has(text)) &&
    claimsFit(claims, 'any')
  );
}

/** The same for a service that is not RFC 7662: its words are its own, apart from those that are beyond doubt. */
export function isAccessValidation(claims: JsonObject): boolean {
  return claimsFit(claims, 'any');
}

/** The claims by which a token says what it is, of those that it has: for people. */
export function kindClaimsOf(claims: JsonObject): string[] {
  return [...KIND_CLAIMS, 'type', ...ID_TOKEN_HASHES, 'events'].filter((name) => Object.hasOwn(claims, name));
}

/** RFC 9068 section 4; RFC 8725 section 3.11: an explicit type names the only use of a token. */
function typFits(typ: JsonValue | undefined, tokenType: TokenType): boolean {
  if (typ === undefined) return tokenType !== 'at+jwt';
  if (typeof typ !== 'string') return false;
  const written = typ.toLowerCase();
  if (tokenType === 'at+jwt') return written === 'at+jwt' || written === 'application/at+jwt';
  // Parameters and white space do not make another type of it (RFC 9110 section 8.3.1).
  const [essence = ''] = written.split(';');
  const name = essence.trim().replace(/^application\//, '');
  if (name === 'at+jwt') return tokenType !== 'id_token';
  const isOther = name.includes('+') && name.includes('jwt');
  return !isOther && kindFits(name, tokenType);
}

function claimsFit(claims: JsonObject, tokenType: TokenType): boolean {
  const kindsFit = KIND_CLAIMS.every((name) => {
    const value = claims[name];
    return typeof value !== 'string' || kindFits(value, tokenType);
  });
  const isId = tokenType === 'any' && ID_TOKEN_HASHES.some((name) => (claims[name] ?? null) !== null);
  return kindsFit && !isId && !REFRESH_TYPES.has(claims['type']) && !isSecurityEvent(claims['events']);
}

function kindFits(text: string, tokenType: TokenType): boolean {
  const name = text.toLowerCase().replace(/[-_ ]/g, '');
  return !REFRESH_OR_LOGOUT.has(name) && (tokenType === 'id_token' || !ID.has(name));
}

/** RFC 8417 section 2.2: an object whose members are URIs. A logout token is one, whatever its `typ`. */
function isSecurityEvent(events: JsonValue | undefined): boolean {
  return isJsonObject(events) && Object.keys(events).some((name) => name.includes(':'));
}

function absentOr(value: JsonValue | undefined, fits: (lowerCase: string) => boolean): boolean {
  return value === undefined || value === null || (typeof value === 'string' && fits(value.toLowerCase()));
}

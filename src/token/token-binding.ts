/**
 * What a token is bound to: its confirmation claim (RFC 7800 section 3.1, RFC 9449 section 6, RFC 8705 section 3.1). Pure.
 * Rules D12, D13, M1.
 */
import { isJsonObject, type JsonObject, type JsonValue } from './claims.ts';

/** At least one of the two. */
export interface TokenBinding {
  /** `jkt`: the SHA-256 thumbprint (RFC 7638) of the client's key, base64url. */
  readonly keyThumbprint: string | undefined;
  /** `x5t#S256`: the SHA-256 of the client's certificate (DER), base64url. */
  readonly certificateThumbprint: string | undefined;
}

/** 32 bytes in the one spelling of base64url. */
const THUMBPRINT = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;

/**
 * Reads the confirmations of one token: that of its response, and that within the token where it is a JWT.
 *
 * @returns undefined: it is bound to nothing. 'unknown': to something that cannot be checked here, or to two different keys
 */
export function bindingOf(
  readings: readonly (JsonObject | undefined)[],
): TokenBinding | undefined | 'unknown' {
  let keyThumbprint: string | undefined;
  let certificateThumbprint: string | undefined;
  for (const claims of readings) {
    if (claims?.['cnf'] === undefined) continue;
    const read = confirmation(claims['cnf']);
    if (read === undefined) return 'unknown';
    if (
      differ(keyThumbprint, read.keyThumbprint) ||
      differ(certificateThumbprint, read.certificateThumbprint)
    )
      return 'unknown';
    keyThumbprint ??= read.keyThumbprint;
    certificateThumbprint ??= read.certificateThumbprint;
  }
  if (keyThumbprint === undefined && certificateThumbprint === undefined) return undefined;
  return { keyThumbprint, certificateThumbprint };
}

/**
 * Registered confirmation methods that are not checked here (RFC 7800 section 3.1, RFC 9203 section 3.2.1): to let one of them
 * count for nothing would be to let anyone use the token.
 */
const NOT_CHECKED: ReadonlySet<string> = new Set(['jwk', 'jwe', 'kid', 'jku', 'osc']);

/**
 * Undefined where a member cannot be checked, or where none can. Beside one that is checked, others that are no registered
 * method are ignored, as RFC 7800 section 3.1 demands: Keycloak writes `kc-jkt-type` beside `jkt`.
 */
function confirmation(cnf: JsonValue): TokenBinding | undefined {
  if (!isJsonObject(cnf)) return undefined;
  const { jkt, 'x5t#S256': certificate, ...others } = cnf;
  if (jkt === undefined && certificate === undefined) return undefined;
  if (Object.keys(others).some((name) => NOT_CHECKED.has(name))) return undefined;
  if (!isThumbprint(jkt) || !isThumbprint(certificate)) return undefined;
  return { keyThumbprint: jkt, certificateThumbprint: certificate };
}

function isThumbprint(value: JsonValue | undefined): value is string | undefined {
  return value === undefined || (typeof value === 'string' && THUMBPRINT.test(value));
}

function differ(one: string | undefined, other: string | undefined): boolean {
  return one !== undefined && other !== undefined && one !== other;
}

/** Does a response say in `token_type` that the token is bound to a key (RFC 9449 section 6.2), and not to which? */
export function lacksKey({ token_type: type }: JsonObject, binding: TokenBinding | undefined): boolean {
  return typeof type === 'string' && type.toLowerCase() === 'dpop' && binding?.keyThumbprint === undefined;
}

/**
 * The forms that a bearer token has on the wire: b64token (RFC 6750 section 2.1), and for validation services, which
 * are not bound to it, the same with bars. Pure.
 */
import { TOKEN68 } from '../http/credentials.ts';

export const B64TOKEN = TOKEN68;
/** b64token and `|`, as Laravel Sanctum writes it (`12|abc`). */
const BARRED_TOKEN = /^[A-Za-z0-9._~+/|-]+=*$/;

/** @param mayHaveBars where one of those who judge the token is a validation service */
export function isTokenText(text: string, mayHaveBars: boolean): boolean {
  return (mayHaveBars ? BARRED_TOKEN : TOKEN68).test(text);
}

/** Only a validation service can have issued this: no JWT and no token of RFC 7662 has bars. */
export function hasBars(token: string): boolean {
  return token.includes('|');
}

/** As every JWT has (RFC 7515 section 7.1). */
export function hasThreeParts(token: string): boolean {
  const first = token.indexOf('.');
  const second = first < 0 ? -1 : token.indexOf('.', first + 1);
  return second > 0 && !token.includes('.', second + 1);
}

/**
 * Says why no request can carry this text as its token, in fixed text with one remedy.
 *
 * @returns undefined where a request can
 */
export function unpresentableText(token: string, mayHaveBars: boolean): string | undefined {
  if (isTokenText(token, mayHaveBars)) return undefined;
  if (/^\s*bearer\s/i.test(token))
    return 'the token begins with "Bearer ", which is the scheme and not the token; leave it out';
  return 'no request can carry this token: it has white space, quotes or other characters that no token has; give the token alone, on one line';
}

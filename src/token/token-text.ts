/** The one form that a bearer token has on the wire: b64token (RFC 6750 section 2.1). Pure. */

export const B64TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

/**
 * Says why no request can carry this text as its token, in fixed text with one remedy.
 *
 * @returns undefined where a request can
 */
export function unpresentableText(token: string): string | undefined {
  if (B64TOKEN.test(token)) return undefined;
  if (/^\s*bearer\s/i.test(token))
    return 'the token begins with "Bearer ", which is the scheme and not the token; leave it out';
  return 'no request can carry this token: it has white space, quotes or other characters that no token has; give the token alone, on one line';
}

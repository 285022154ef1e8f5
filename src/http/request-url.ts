/**
 * The one form of an http(s) URL, so that the URL that a client writes down and the one that a request has come to can be
 * compared as texts. What names two resources never gets one form; what has no certain reading has none. Pure.
 *
 * RFC 3986 sections 5.2.4, 6.2.2 and 6.2.3; RFC 9449 section 4.3, check 9. Rule D9.
 *
 * | part               | form                                                                              |
 * | ------------------ | --------------------------------------------------------------------------------- |
 * | scheme             | lower case; anything but http and https: none                                     |
 * | host, port         | that of host-name.ts, so without the default port and the dot of the root         |
 * | userinfo           | none: a reader may take it for the host                                           |
 * | path               | of unreserved characters, `%XX` decoded; of others, in capital letters            |
 * | dot segments       | resolved, after this decoding                                                     |
 * | empty path         | `/`                                                                               |
 * | `%2F`, `//`, `;`   | as they are: they name other resources than `/`                                   |
 * | query, fragment    | left out                                                                          |
 * | backslash, control characters, white space, non-ASCII, `%` without two digits: none, as readers differ |
 */
import { readHost } from './host-name.ts';

/** As long as the longest proof; far longer than any URL that passes here. */
const MAX_CHARACTERS = 8_192;
/** Every character of the text is visible ASCII. The path ends at the first `?` or `#`. */
const HTTP_URL = /^(https?):\/\/([^/?#]+)(\/[^?#]*)?(?:[?#][\x21-\x7e]*)?$/i;
/** What a path may hold here: visible ASCII without `?`, `#` and backslash; `%` before two digits. */
const PATH = /^\/(?:[\x21\x22\x24\x26-\x3e\x40-\x5b\x5d-\x7e]|%[0-9A-Fa-f]{2})*$/;
/** What takes a closer look. */
const NOT_PLAIN = /%|\/\.{1,2}(?:\/|$)/;

/**
 * @param text of which nothing is trusted
 * @returns undefined if it has no certain reading, or names no resource of http or https
 */
export function normalisedHtu(text: string): string | undefined {
  if (text.length > MAX_CHARACTERS) return undefined;
  const [, schemeText = '', authority = '', pathText = '/'] = HTTP_URL.exec(text) ?? [];
  const scheme = schemeText.toLowerCase();
  if (scheme !== 'http' && scheme !== 'https') return undefined;
  // RFC 3986 section 6.2.3: an empty port is the default one.
  const host = readHost(authority.replace(/:$/, ''), scheme);
  const path = normalisedPath(pathText);
  return host && path && `${scheme}://${host.authority}${path}`;
}

/**
 * The path of such a URL.
 *
 * @param path begins with a slash; without query and fragment
 */
export function normalisedPath(path: string): string | undefined {
  if (!PATH.test(path)) return undefined;
  if (!NOT_PLAIN.test(path)) return path;
  return withoutDotSegments(
    path.replace(/%(..)/g, (_, hex: string) => {
      const character = String.fromCharCode(Number.parseInt(hex, 16));
      return UNRESERVED.test(character) ? character : `%${hex.toUpperCase()}`;
    }),
  );
}

const UNRESERVED = /^[A-Za-z0-9._~-]$/;

/** RFC 3986 section 5.2.4. An empty segment is a segment. */
function withoutDotSegments(path: string): string {
  const kept: string[] = [];
  const segments = path.slice(1).split('/');
  segments.forEach((segment, index) => {
    const isDots = segment === '.' || segment === '..';
    if (segment === '..') kept.pop();
    if (!isDots) kept.push(segment);
    else if (index === segments.length - 1) kept.push('');
  });
  return `/${kept.join('/')}`;
}

/**
 * Reads Content-Type strictly: what is nearly a media type is none. Pure. RFC 9110 section 8.3.1.
 */

/** A type and subtype, with optional parameters, which are not read; white space as RFC 9110 section 5.6.3 has it. */
const CONTENT_TYPE =
  /^[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+\/[!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;

/**
 * The media type in lower case, without parameters.
 *
 * @param values of all Content-Type lines of the message
 * @returns empty if there is no line, more than one, or no valid media type
 */
export function mediaTypeOf(values: readonly string[]): string {
  const [value, second] = values;
  if (value === undefined || second !== undefined) return '';
  return CONTENT_TYPE.exec(value)?.[1]?.toLowerCase() ?? '';
}

/** application/json and nothing like it: RFC 7662 section 2.2, RFC 8414 section 3.2 and our own API name that one. */
export function isJson(mediaType: string): boolean {
  return mediaType === 'application/json';
}

/** Any JSON (RFC 6839 section 3.1), for services that follow no standard that names one type. */
export function isAnyJson(mediaType: string): boolean {
  return /^application\/(?:[a-z0-9.+-]+\+)?json$/.test(mediaType);
}

/** What the tests of forwarding share. */

/** A route without authentication. */
export const OPEN = { name: 'open', match: { path_prefix: '/open' }, upstream: 'u', auth: { mode: 'none' } };
/** A route for all other paths, with authentication. */
export const CLOSED = { name: 'closed', match: { path_prefix: '/' }, upstream: 'u' };

/** The values of the header fields of a name (lower-case). */
export const seenHeaders = (rawHeaders: readonly string[], name: string): string[] =>
  rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);

/** A token in the query of a request. RFC 6750 section 2.3, which RFC 9700 section 4.3.2 forbids. Pure. */

/** Is there an `access_token` parameter, in any percent-encoded spelling? */
export function hasAccessToken(query: string): boolean {
  if (!/[aA%]/.test(query)) return false;
  return query
    .slice(1)
    .split(/[&;]/)
    .some((pair) => decoded(pair.split('=', 1)[0] ?? '').toLowerCase() === 'access_token');
}

function decoded(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

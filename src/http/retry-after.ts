/** The Retry-After field (RFC 9110 section 10.2.3). Pure. */

/** Seconds, or a date. Undefined for anything else; never below 0. */
export function retryAfterSeconds(text: string, nowMs: number): number | undefined {
  if (/^[0-9]+$/.test(text)) return Number(text);
  const atMs = /^[A-Z][a-z]{2}, /.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(atMs) ? undefined : Math.max(0, Math.ceil((atMs - nowMs) / 1000));
}

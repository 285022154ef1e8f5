/** How often, and how soon, a request may be sent to another server. Pure. */
import type { OutboundRequest } from '../stages/rewrite-headers.ts';

/** RFC 9110 section 9.2.2, without TRACE, which is never forwarded. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/**
 * How long a connection to an address that was never reached may take before another address is tried. The coarse clock
 * adds up to 400 ms (RFC 8305 section 5 recommends 250 ms, and 2 s at most).
 */
export const ATTEMPT_DELAY_MS = 50;

/** How many addresses that cannot be reached one request may try, besides its retries. */
export const MAX_DETOURS = 16;

/** How often it may be sent again where the server may have looked at it. */
export function retriesOf({ hasBody, method, route }: OutboundRequest): number {
  return !hasBody && IDEMPOTENT.has(method) ? route.retryAttempts : 0;
}

/**
 * W3C Trace Context: a valid traceparent is continued, anything else starts a new trace. Also request ids.
 */
import { randomFillSync, randomUUID } from 'node:crypto';

/** version 00: 00-<trace id>-<parent id>-<flags>; neither id may be all zeros. */
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})$/;

/** Random bytes are drawn in bulk: one call to the generator for a thousand requests. */
const POOL_BYTES = 24_576;
const pool = Buffer.alloc(POOL_BYTES);
let poolHex = '';
let poolAt = 0;

function randomHex(bytes: number): string {
  const characters = 2 * bytes;
  if (poolAt + characters > poolHex.length) {
    poolHex = randomFillSync(pool).toString('hex');
    poolAt = 0;
  }
  poolAt += characters;
  return poolHex.slice(poolAt - characters, poolAt);
}

export interface TraceContext {
  readonly traceId: string;
  /** What the upstream gets: the same trace, with this gateway's span as the parent. */
  readonly traceparent: string;
}

export function continueTrace(received: string | undefined): TraceContext {
  const [, traceId = randomHex(16), flags = '00'] =
    (received !== undefined && TRACEPARENT.exec(received)) || [];
  return { traceId, traceparent: `00-${traceId}-${randomHex(8)}-${flags}` };
}

export function newRequestId(): string {
  return randomUUID();
}

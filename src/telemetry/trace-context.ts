/**
 * W3C Trace Context: a valid traceparent is continued, anything else starts a new trace. Also request ids.
 */
import { randomFillSync, randomUUID } from 'node:crypto';
import type { RequestHead } from '../http/request-head.ts';
import type { Exchange } from './exchange.ts';
import type { Metrics } from './metrics.ts';

/** version 00: 00-<trace id>-<parent id>-<flags>; neither id may be all zeros. */
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;

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

/** The trace of one request. */
export interface TraceContext {
  readonly traceId: string;
  /** What the upstream gets: the same trace, with this gateway's span as the parent. */
  readonly traceparent: string;
  /** The upstream's response has ended. */
  upstreamEnded?(exchange: Exchange): void;
  /** The response to the client has ended. */
  end?(exchange: Exchange): void;
}

/** Where traces of requests begin. */
export interface Tracing {
  begin(head: RequestHead, exchange: Exchange): TraceContext;
}

/** Continues traces, and records none. */
export const passingTracing: Tracing = { begin: ({ traceparent }) => continueTrace(traceparent) };

export function continueTrace(received: string | undefined): TraceContext {
  const [, traceId = randomHex(16), , flags = '00'] =
    (received !== undefined && TRACEPARENT.exec(received)) || [];
  return { traceId, traceparent: `00-${traceId}-${randomHex(8)}-${flags}` };
}

export interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
}

/** Undefined where it is absent or invalid. */
export function parseTraceparent(received: string | undefined): TraceParent | undefined {
  const [, traceId, spanId, flags] = (received !== undefined && TRACEPARENT.exec(received)) || [];
  return traceId === undefined || spanId === undefined
    ? undefined
    : { traceId, spanId, traceFlags: parseInt(flags ?? '0', 16) };
}

export function traceparentText({ traceId, spanId, traceFlags }: TraceParent): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

/**
 * Spans, where the process has loaded an SDK of OpenTelemetry before (`node --import ./tracing.js ...`); else traces are
 * only continued, and no code of OpenTelemetry's is loaded.
 */
export async function loadTracing(): Promise<Tracing> {
  if (registeredSdk()?.trace === undefined) return passingTracing;
  const { Spans } = await import('./spans.ts');
  return new Spans();
}

/** Offers the metrics to an SDK, where the process has loaded one that takes metrics; else it does nothing. */
export async function offerMetrics(metrics: Metrics): Promise<void> {
  if (registeredSdk()?.metrics === undefined) return;
  const { observeMetrics } = await import('./otlp-metrics.ts');
  observeMetrics(metrics);
}

/** Where every copy of the API finds the SDK that has registered. */
function registeredSdk(): { readonly trace?: unknown; readonly metrics?: unknown } | undefined {
  return (globalThis as Record<symbol, { trace?: unknown; metrics?: unknown } | undefined>)[
    Symbol.for('opentelemetry.js.api.1')
  ];
}

export function newRequestId(): string {
  return randomUUID();
}

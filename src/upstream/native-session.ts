/**
 * Keeps the native part of a closed HTTP/2 session until its streams are collected.
 *
 * Node aborts ("current_nghttp2_memory_ == 0") if a session is collected before a stream of it that still holds header
 * fields: so a peer that sends CONTINUATION frames without end could end the process. The collector takes both in any
 * order. Rule G2; docs/decisions/http2-upstreams.md.
 */
import type { ClientHttp2Session } from 'node:http2';

/** Every stream of the session refers to it, and nothing else does once the session is closed. */
export type StreamsAlive = object;

/** Holds the second argument of `register` until the first is collected. */
const NATIVE_SESSIONS = new FinalizationRegistry<unknown>(() => undefined);

/** The native part of a session that is connected. Undefined if Node keeps it elsewhere. */
export function nativePart(session: ClientHttp2Session): unknown {
  const key = Object.getOwnPropertySymbols(session).find(({ description }) => description === 'kHandle');
  return key && (session as unknown as Record<symbol, unknown>)[key];
}

/** To be called when the session has closed; the caller then drops its own reference to `streams`. */
export function collectAfter(streams: StreamsAlive, native: unknown): void {
  NATIVE_SESSIONS.register(streams, native);
}

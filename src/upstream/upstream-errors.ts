/**
 * What a failed connection to an upstream means for the client, and whether trying again is safe. Pure.
 */
import {
  GatewayError,
  upstreamBroken,
  upstreamReset,
  upstreamTimeout,
  upstreamUnreachable,
} from '../errors.ts';
import { ResetCode } from '../http/reset-code.ts';
import { StreamRefused, StreamReset } from './stream-errors.ts';

/** The target did not accept a connection in time. Has a `code` like errors of the system. */
export class ConnectTimeout extends Error {
  override readonly name = 'ConnectTimeout';
  readonly code = 'ETIMEDOUT';
}

/** Nothing comes from the peer of an HTTP/2 connection any more, no reply to a PING either. Has a `code` like errors of the system. */
export class PeerSilent extends Error {
  override readonly name = 'PeerSilent';
  readonly code = 'ETIMEDOUT';

  constructor() {
    super('the upstream does not reply to a PING');
  }
}

/** Codes of errors of the connection itself. */
const CONNECTION_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'ETIMEDOUT',
]);

function codeOf(error: unknown): string {
  const { code, errors } = error as { code?: unknown; errors?: readonly unknown[] };
  // A host with several addresses fails with one error for each.
  return typeof code === 'string' ? code : errors?.[0] === undefined ? '' : codeOf(errors[0]);
}

/** Did the connection itself fail, rather than the response on it? */
export function isConnectionError(error: unknown): boolean {
  return CONNECTION_CODES.has(codeOf(error));
}

/** The response to a request whose upstream failed: 504 for too slow, else 502. */
export function upstreamFailure(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  if (error instanceof StreamRefused) return upstreamReset(ResetCode.refusedStream, error);
  if (error instanceof StreamReset) return upstreamReset(resetCodeOf(error), error);
  if (codeOf(error) === 'ETIMEDOUT') return upstreamTimeout(error);
  return isConnectionError(error) ? upstreamUnreachable(error) : upstreamBroken(error);
}

/** A stream that was refused behind a part of a response has been looked at. */
function resetCodeOf({ resetCode }: StreamReset): number {
  return resetCode === ResetCode.refusedStream ? ResetCode.internalError : resetCode;
}

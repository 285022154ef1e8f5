/**
 * What a failed connection to an upstream means for the client, and whether trying again is safe. Pure.
 */
import {
  GatewayError,
  REQUEST_TIMEOUT,
  upstreamBroken,
  upstreamReset,
  upstreamTimeout,
  upstreamUnreachable,
} from '../errors.ts';
import { ResetCode } from '../http/reset-code.ts';
import type { NoResponse } from '../telemetry/upstream-tries.ts';
import { StreamRefused, StreamReset } from './stream-errors.ts';
import type { UpstreamLink } from './upstream-link.ts';

/** The target did not accept a connection in time. Has a `code` like errors of the system. */
export class ConnectTimeout extends Error {
  override readonly name = 'ConnectTimeout';
  readonly code = 'ETIMEDOUT';

  constructor() {
    super('the target accepts no connection within connect_timeout');
  }
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

/**
 * The response to a request whose time is over. The log tells what was waited for: the remedies differ.
 *
 * @param isClients the client is waited for, and not the upstream
 * @param link the connection of the request, where it has one
 * @param isUploading its body is on its way
 * @param result the status of the response, once that has begun
 */
export function tooLate(
  isClients: boolean,
  link: UpstreamLink | undefined,
  isUploading: boolean,
  result: number | NoResponse | undefined,
): GatewayError {
  if (isClients) return REQUEST_TIMEOUT;
  if (!link) return upstreamTimeout(new Error('no connection to the target came free, or was made, in time'));
  if (typeof result === 'number')
    return upstreamTimeout(new Error('the response stood still for longer than timeouts.idle'));
  return upstreamTimeout(
    new Error(
      isUploading
        ? 'the target took nothing of the request body for longer than timeouts.idle'
        : 'no response has begun within timeouts.response',
    ),
  );
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

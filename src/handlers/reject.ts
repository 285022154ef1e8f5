/**
 * Instead of the last stage: the gateway's own answer to a request that failed. docs/reference.md, "Responses". Rules
 * B5, B12, H16.
 */
import type { ClientResponse } from '../server/exchange.ts';
import type { GatewayError } from '../errors.ts';
import { problemResponse } from '../http/problem.ts';

/** A body up to this size is read and thrown away, so that the connection stays usable; beyond it is closed. */
const DISCARDABLE_BODY_BYTES = 64 * 1024;

/** Is more of a request still to come than is worth reading? Undefined where nobody knows how much. */
export function exceedsDiscardLimit(bodyBytesLeft: number | undefined): boolean {
  return (bodyBytesLeft ?? Infinity) > DISCARDABLE_BODY_BYTES;
}

export interface Refused {
  readonly realm: string;
  readonly requestId: string;
  readonly isHead: boolean;
  /** Does the connection end with this answer? */
  readonly closes: boolean;
  /** Names and values in turn, besides those of the refusal. */
  readonly headers: readonly string[];
}

/** @returns how many bytes its body has */
export function reject(response: ClientResponse, error: GatewayError, refused: Refused): number {
  if (response.headersSent) {
    response.destroy();
    return 0;
  }
  const { status, headers: own, body } = problemResponse(error, refused.realm, refused.requestId);
  const headers = [...own, ...refused.headers];
  response.writeHead(status, refused.closes ? [...headers, 'connection', 'close'] : headers);
  response.end(refused.isHead ? undefined : body);
  return refused.isHead ? 0 : Buffer.byteLength(body);
}

/**
 * Instead of the last stage: the gateway's own answer to a request that failed. CONTRACT.md section 4. Rules
 * B5, B12, H16.
 */
import type { ServerResponse } from 'node:http';
import type { GatewayError } from '../errors.ts';
import { problemAnswer } from '../http/problem.ts';

/** A body up to this size is read and thrown away, so that the connection stays usable; beyond it is closed. */
const DISCARDABLE_BODY_BYTES = 64 * 1024;

/** Does an answer end the connection, with so much of the request still to come? Undefined where nobody knows. */
export function endsConnection(bodyBytesLeft: number | undefined): boolean {
  return (bodyBytesLeft ?? Infinity) > DISCARDABLE_BODY_BYTES;
}

export interface Refused {
  readonly realm: string;
  readonly requestId: string;
  readonly isHead: boolean;
  /** Bytes of the request that may still come; undefined where nobody knows. */
  readonly bodyBytesLeft: number | undefined;
  /** Names and values in turn, besides those of the refusal. */
  readonly headers: readonly string[];
}

export interface Rejection {
  /** Of the body. */
  readonly bytes: number;
  /** Does the connection end with this answer? */
  readonly closes: boolean;
}

export function reject(response: ServerResponse, error: GatewayError, refused: Refused): Rejection {
  if (response.headersSent) {
    response.destroy();
    return { bytes: 0, closes: true };
  }
  const { status, headers: own, body } = problemAnswer(error, refused.realm, refused.requestId);
  const headers = [...own, ...refused.headers];
  const closes = error.close || endsConnection(refused.bodyBytesLeft);
  response.writeHead(status, closes ? [...headers, 'connection', 'close'] : headers);
  response.end(refused.isHead ? undefined : body);
  return { bytes: refused.isHead ? 0 : Buffer.byteLength(body), closes };
}

/**
 * Instead of the last step: the gateway's own response to a request that failed. docs/reference.md, "Responses". Rules
 * B5, B12, H16.
 */
import type { ClientResponse } from '../server/exchange.ts';
import type { GatewayError } from '../errors.ts';
import { grpcRefusal } from '../http/grpc-response.ts';
import { resetInPlaceOfResponse } from '../http/reset-code.ts';
import { problemResponse, type ProblemResponse, type RefusalContext } from '../http/problem.ts';

/** A body up to this size is read and discarded, so that the connection stays usable; beyond it the connection ends. */
const DISCARDABLE_BODY_BYTES = 64 * 1024;

/** Is more of a request still to come than is worth reading? `undefined`: it is unknown how much. */
export function exceedsDiscardLimit(bodyBytesLeft: number | undefined): boolean {
  return (bodyBytesLeft ?? Infinity) > DISCARDABLE_BODY_BYTES;
}

export interface Refused extends RefusalContext {
  readonly isHead: boolean;
  /** Does the connection end with this response? */
  readonly closes: boolean;
  /** Is it a stream of HTTP/2, which can be reset by itself? */
  readonly isStream: boolean;
  /** Names and values in turn, besides those of the refusal. */
  readonly headers: readonly string[];
  /** The media type of a request of gRPC, whose clients read nothing but the status of gRPC. */
  readonly grpcType: string | undefined;
}

/** @returns how many bytes the body of the response has */
export function reject(response: ClientResponse, error: GatewayError, refused: Refused): number {
  if (response.headersSent) {
    response.destroy();
    return 0;
  }
  const resetCode = resetCodeOf(error, refused);
  if (resetCode !== undefined) {
    response.reset(resetCode);
    return 0;
  }
  const { status, headers: own, body, bodyBytes } = refusalOf(error, refused);
  const headers = [...own, ...refused.headers];
  response.writeHead(status, refused.closes ? [...headers, 'connection', 'close'] : headers);
  if (refused.isHead || bodyBytes === 0) {
    response.end();
    return 0;
  }
  response.end(body, bodyBytes === body.length ? 'latin1' : 'utf8');
  return bodyBytes;
}

/** A client of HTTP/2 sees the upstream's reset as it was; one of gRPC gets the status that it would make of it. */
function resetCodeOf({ resetCode }: GatewayError, { isStream, grpcType }: Refused): number | undefined {
  return isStream && grpcType === undefined ? resetInPlaceOfResponse(resetCode) : undefined;
}

function refusalOf(error: GatewayError, refused: Refused): ProblemResponse {
  const { grpcType } = refused;
  return grpcType === undefined
    ? problemResponse(error, refused)
    : { status: 200, headers: grpcRefusal(error, grpcType, refused), body: '', bodyBytes: 0 };
}

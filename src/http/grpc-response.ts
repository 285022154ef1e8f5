/**
 * The gateway's own refusals to gRPC clients: HTTP 200 with the status of gRPC, which is all that such clients read. Pure.
 * gRPC over HTTP/2, section "Responses" (trailers-only); gRPC-Web sends the same fields as headers.
 */
import type { GatewayError } from '../errors.ts';
import { challengeFields, type RefusalContext } from './problem.ts';
import { fieldValues, type FieldList } from './field-list.ts';
import { mediaTypeOf } from './media-type.ts';
import { ResetCode } from './reset-code.ts';

/** Status codes of gRPC. */
export const GrpcStatus = {
  ok: 0,
  cancelled: 1,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;
export type GrpcStatus = (typeof GrpcStatus)[keyof typeof GrpcStatus];

const BY_HTTP_STATUS: Readonly<Record<number, GrpcStatus>> = {
  401: GrpcStatus.unauthenticated,
  403: GrpcStatus.permissionDenied,
  404: GrpcStatus.unimplemented,
  429: GrpcStatus.resourceExhausted,
  502: GrpcStatus.unavailable,
  503: GrpcStatus.unavailable,
  504: GrpcStatus.unavailable,
};

/** What a client of gRPC makes of a reset in place of a response (gRPC over HTTP/2, section "Errors"); all others: 13. */
const BY_RESET: Readonly<Record<number, GrpcStatus>> = {
  [ResetCode.refusedStream]: GrpcStatus.unavailable,
  [ResetCode.cancel]: GrpcStatus.cancelled,
  [ResetCode.enhanceYourCalm]: GrpcStatus.resourceExhausted,
};

const GRPC_TYPE = /^application\/grpc(?:-web(?:-text)?)?(?:\+[a-z0-9.-]+)?$/;

/** The media type of a request of gRPC or gRPC-Web; undefined for any other request. */
export function grpcTypeOf(fields: FieldList): string | undefined {
  const type = mediaTypeOf(fieldValues(fields, 'content-type'));
  return GRPC_TYPE.test(type) ? type : undefined;
}

/** The header fields of a refusal, without a body. Of gRPC they are a response that has only trailers. */
export function grpcRefusal(error: GatewayError, type: string, context: RefusalContext): string[] {
  const headers = [
    'content-type',
    type,
    'cache-control',
    'no-store',
    'x-request-id',
    context.requestId,
    ...grpcStatusFields(grpcStatusOf(error), error.title),
    ...error.headers,
    ...challengeFields(error, context),
  ];
  if (error.retryAfterSeconds !== undefined) headers.push('retry-after', String(error.retryAfterSeconds));
  return headers;
}

function grpcStatusOf({ status, resetCode }: GatewayError): GrpcStatus {
  const known = resetCode === undefined ? BY_HTTP_STATUS[status] : BY_RESET[resetCode];
  return known ?? GrpcStatus.internal;
}

/** @param message fixed text: printable ASCII without `%`, which needs no encoding */
export function grpcStatusFields(status: GrpcStatus, message: string): readonly string[] {
  return ['grpc-status', String(status), 'grpc-message', message];
}

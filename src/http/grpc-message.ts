/**
 * The messages of gRPC in a body, for calls that the gateway serves itself: one message each way. Pure.
 * gRPC over HTTP/2, section "Requests": Length-Prefixed-Message.
 */
import { BODY_TOO_LARGE, COMPRESSED_MESSAGE, MALFORMED_REQUEST, type GatewayError } from '../errors.ts';
import { GrpcStatus } from './grpc-response.ts';

/** Compressed-Flag and Message-Length. */
export const PREFIX_BYTES = 5;

/** The call itself is refused, whatever it asks. */
export class CallRefused extends Error {
  override readonly name = 'CallRefused';
  readonly status: GrpcStatus;
  readonly error: GatewayError;

  constructor(status: GrpcStatus, error: GatewayError) {
    super(error.title, { cause: error });
    this.status = status;
    this.error = error;
  }
}

export const MALFORMED_CALL = new CallRefused(GrpcStatus.internal, MALFORMED_REQUEST);
export const MESSAGE_TOO_LARGE = new CallRefused(GrpcStatus.resourceExhausted, BODY_TOO_LARGE);
const COMPRESSED_CALL = new CallRefused(GrpcStatus.unimplemented, COMPRESSED_MESSAGE);

/**
 * The one message of a unary call.
 *
 * @param body whole
 * @throws CallRefused
 */
export function onlyMessage(body: Buffer): Uint8Array {
  if (body.length < PREFIX_BYTES) throw MALFORMED_CALL;
  const flag = body.readUInt8(0);
  if (flag === 1) throw COMPRESSED_CALL;
  if (flag !== 0 || body.readUInt32BE(1) !== body.length - PREFIX_BYTES) throw MALFORMED_CALL;
  return body.subarray(PREFIX_BYTES);
}

export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  frame.writeUInt8(0, 0);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

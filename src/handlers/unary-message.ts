/** Reads the one message that a call of gRPC sends to the gateway itself. Rule H19. */
import type { Clock } from '../clock.ts';
import { REQUEST_TIMEOUT } from '../errors.ts';
import {
  CallRefused,
  MALFORMED_CALL,
  MESSAGE_TOO_LARGE,
  onlyMessage,
  PREFIX_BYTES,
} from '../http/grpc-message.ts';
import { GrpcStatus } from '../http/grpc-response.ts';
import type { ClientRequest } from '../server/exchange.ts';

/** A proxy has the whole message before it calls. */
const MESSAGE_TIMEOUT_MS = 10_000;
const TOO_SLOW = new CallRefused(GrpcStatus.deadlineExceeded, REQUEST_TIMEOUT);

/**
 * @param maxBytes of the message; a longer one is not kept
 * @throws CallRefused, always later
 */
export async function unaryMessage(
  request: ClientRequest,
  maxBytes: number,
  clock: Clock,
): Promise<Uint8Array> {
  const { body } = request;
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const cancel = clock.after(MESSAGE_TIMEOUT_MS, () => reject(TOO_SLOW));
  const chunks: Buffer[] = [];
  let bytes = 0;
  body.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= maxBytes + PREFIX_BYTES) chunks.push(chunk);
    else reject(MESSAGE_TOO_LARGE);
  });
  body.on('error', () => reject(MALFORMED_CALL));
  // A stream that was reset ends in order, too.
  body.on('end', () => (request.complete ? resolve(Buffer.concat(chunks)) : reject(MALFORMED_CALL)));
  body.on('close', () => reject(MALFORMED_CALL));
  try {
    return onlyMessage(await promise);
  } finally {
    cancel();
  }
}

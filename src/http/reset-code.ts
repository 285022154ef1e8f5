/**
 * With which code a client's stream is reset where an upstream has reset its own (RFC 9113 section 7). Pure. Rule H15.
 *
 * A code is passed on if it means the same to the client. One that is about the connection to the upstream (its flow
 * control, its compression, its TLS) would accuse the client's own connection, and NO_ERROR would be an end in order.
 */
export const ResetCode = {
  internalError: 2,
  refusedStream: 7,
  cancel: 8,
  enhanceYourCalm: 11,
} as const;

const MEANS_THE_SAME: ReadonlySet<number> = new Set([
  ResetCode.internalError,
  ResetCode.cancel,
  ResetCode.enhanceYourCalm,
]);

/**
 * Where no response has begun.
 *
 * @param code REFUSED_STREAM only where the upstream has not looked at the request: then the client may send it again
 * @returns undefined where the client gets a response that says what happened
 */
export function resetInPlaceOfResponse(code: number | undefined): number | undefined {
  return code !== undefined && (code === ResetCode.refusedStream || MEANS_THE_SAME.has(code))
    ? code
    : undefined;
}

/** Within a response: it has no other end than a reset. That it was refused would be a lie. */
export function resetWithinResponse(code: number): number {
  return MEANS_THE_SAME.has(code) ? code : ResetCode.internalError;
}

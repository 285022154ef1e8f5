/** Why a client's TLS handshake failed, as one of a few words: what OpenSSL and Node say has no bound. Pure. */

export const HANDSHAKE_FAILURES = [
  'client_certificate',
  'client_left',
  'not_tls',
  'nothing_in_common',
  'refused_by_client',
  'timeout',
  'other',
] as const;
export type HandshakeFailure = (typeof HANDSHAKE_FAILURES)[number];

/** The first that fits. An alert is what the client sent: mostly, that it does not accept the certificate. */
const BY_CODE: readonly (readonly [RegExp, HandshakeFailure])[] = [
  [/HANDSHAKE_TIMEOUT/, 'timeout'],
  [/ALERT/, 'refused_by_client'],
  [/PEER_DID_NOT_RETURN_A_CERTIFICATE|CERT(?!IFICATE_UNKNOWN)|ISSUER/, 'client_certificate'],
  [/HTTP_REQUEST|WRONG_VERSION_NUMBER|PACKET_LENGTH|RECORD/, 'not_tls'],
  [/UNSUPPORTED_PROTOCOL|NO_SHARED|NO_APPLICATION_PROTOCOL|VERSION_TOO_LOW|NO_SUITABLE/, 'nothing_in_common'],
  [/ECONNRESET|EPIPE|UNEXPECTED_EOF/, 'client_left'],
];

/** @param refused what Node says against the client's certificate, where it ended the handshake for that */
export function handshakeFailure(code: string | undefined, refused: unknown): HandshakeFailure {
  if (refused !== undefined && refused !== null) return 'client_certificate';
  return BY_CODE.find(([pattern]) => pattern.test(code ?? ''))?.[1] ?? 'other';
}

/**
 * What may go wrong with a request, as values that handlers/reject.ts turns into a response.
 *
 * Only fixed text lives here: no token, claim or header value ever enters an error, so none can leave the gateway in
 * a response or a log line. Anything thrown that is not a GatewayError is a bug; the client gets 500.
 */

/** Why an authentication or authorization decision was made: the closed list that metrics and logs use. */
export const AUTH_REASONS = [
  'ok',
  'anonymous',
  'missing',
  'malformed',
  'too_large',
  'bad_signature',
  'unknown_key',
  'unknown_issuer',
  'unknown_api_key',
  'expired',
  'not_yet_valid',
  'wrong_audience',
  'wrong_type',
  'lifetime',
  'claim',
  'revoked',
  'status',
  'inactive',
  'binding',
  'proof',
  'step_up',
  'insufficient_scope',
  'claim_rule',
  'identity_too_large',
  'keys_unavailable',
  'introspection_unavailable',
  'revocation_unavailable',
  'status_unavailable',
  'replay_unavailable',
] as const;
export type AuthReason = (typeof AUTH_REASONS)[number];

/** Who caused it, and so who has to look at it. */
export type ErrorSource = 'client' | 'authority' | 'upstream' | 'internal';

/** The auth-params of a challenge that say what is wrong (RFC 6750 section 3.1, RFC 9449 section 7.1, RFC 9470 section 3). */
export interface ChallengeParams {
  readonly error?:
    | 'invalid_request'
    | 'invalid_token'
    | 'insufficient_scope'
    | 'invalid_dpop_proof'
    | 'use_dpop_nonce'
    | 'insufficient_user_authentication';
  /** The scheme that the client must use, whichever it has used. */
  readonly scheme?: 'Bearer' | 'DPoP';
  /** Separated by spaces. */
  readonly scope?: string;
  /** Separated by spaces. */
  readonly acrValues?: string;
  /** In seconds. */
  readonly maxAge?: string;
}

interface ErrorShape {
  readonly status: number;
  /** Stable, machine-readable; the `code` member of the problem document. */
  readonly code: string;
  /** Fixed text for humans; the `title` member. */
  readonly title: string;
  readonly source: ErrorSource;
  /** For the log and `explain` only: fixed text, at most with names and values of the configuration. */
  readonly detail?: string | undefined;
  /** Set when an authentication or authorization decision was made. */
  readonly reason?: AuthReason | undefined;
  /** The configured name of the issuer that the token is, or claims to be, of. */
  readonly issuer?: string | undefined;
  /** Present on responses that must carry WWW-Authenticate (RFC 9110 section 11.6.1). */
  readonly challenge?: ChallengeParams | undefined;
  readonly retryAfterSeconds?: number | undefined;
  /** The name of the limit that refuses. */
  readonly limit?: string | undefined;
  /** Extra response headers, such as Allow. */
  readonly headers?: readonly string[];
  /** The connection ends with the response: gateway and client may disagree where the next request begins. */
  readonly close?: boolean;
  /** With which code of HTTP/2 an upstream has reset the request (RFC 9113 section 7). */
  readonly resetCode?: number | undefined;
}

/** A refusal or a failure with a defined response. Instances hold no request data and may be shared. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly source: ErrorSource;
  readonly detail: string | undefined;
  readonly reason: AuthReason | undefined;
  readonly issuer: string | undefined;
  readonly challenge: ChallengeParams | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly limit: string | undefined;
  readonly headers: readonly string[];
  readonly close: boolean;
  readonly resetCode: number | undefined;

  constructor(shape: ErrorShape, options?: ErrorOptions) {
    super(shape.title, options);
    this.status = shape.status;
    this.code = shape.code;
    this.title = shape.title;
    this.source = shape.source;
    this.detail = shape.detail;
    this.reason = shape.reason;
    this.issuer = shape.issuer;
    this.challenge = shape.challenge;
    this.retryAfterSeconds = shape.retryAfterSeconds;
    this.limit = shape.limit;
    this.headers = shape.headers ?? [];
    this.close = shape.close ?? false;
    this.resetCode = shape.resetCode;
  }
}

/** Made once: a refusal then costs no stack trace, which matters under a flood of bad tokens. */
export function fixed(
  status: number,
  code: string,
  title: string,
  more: Omit<Partial<ErrorShape>, 'status' | 'code' | 'title'> = {},
): GatewayError {
  return new GatewayError({ status, code, title, source: 'client', ...more });
}

const CLOSES = { close: true } as const;

/** The request line, the framing or the Host is not one that every reader understands alike (RFC 9112). */
export const MALFORMED_REQUEST = fixed(400, 'malformed_request', 'The request is malformed.', CLOSES);
export const BAD_HOST = fixed(
  400,
  'bad_host',
  'The Host of the request is missing, repeated or invalid.',
  CLOSES,
);
export const BAD_PATH = fixed(400, 'bad_path', 'The path of the request can be read in more than one way.');
export const METHOD_REFUSED = fixed(405, 'method_not_allowed', 'The gateway does not serve this method.', {
  headers: ['allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'],
  close: true,
});
export const LOGOUT_NOT_POSTED = fixed(405, 'method_not_allowed', 'Back-channel logout requires POST.', {
  headers: ['allow', 'POST'],
});
export const GLOBAL_REVOCATION_NOT_POSTED = fixed(
  405,
  'method_not_allowed',
  'Global token revocation requires POST.',
  { headers: ['allow', 'POST'] },
);
export const SIGNAL_NOT_POSTED = fixed(405, 'method_not_allowed', 'Security event tokens require POST.', {
  headers: ['allow', 'POST'],
});
export const KEYS_NOT_READ = fixed(405, 'method_not_allowed', 'The public keys are read with GET or HEAD.', {
  headers: ['allow', 'GET, HEAD'],
});
const ANY_ORIGIN = ['access-control-allow-origin', '*'];
/** Scripts of any page may see that there is none (RFC 9728 section 3.1). */
export const NO_METADATA = fixed(
  404,
  'no_resource_metadata',
  'There is no protected resource with this host and path.',
  { headers: ANY_ORIGIN },
);
export const METADATA_NOT_READ = fixed(
  405,
  'method_not_allowed',
  'The metadata of a protected resource is read with GET or HEAD.',
  { headers: [...ANY_ORIGIN, 'allow', 'GET, HEAD, OPTIONS'] },
);
export const REQUEST_TIMEOUT = fixed(408, 'request_timeout', 'The request did not arrive in time.', CLOSES);
export const BODY_TOO_LARGE = fixed(
  413,
  'body_too_large',
  'The request body is larger than allowed.',
  CLOSES,
);
export const URI_TOO_LONG = fixed(414, 'uri_too_long', 'The request target is longer than allowed.', CLOSES);
export const EXPECTATION_FAILED = fixed(
  417,
  'expectation_failed',
  'The gateway does not know this expectation.',
  CLOSES,
);
export const HEADERS_TOO_LARGE = fixed(
  431,
  'headers_too_large',
  'The header section of the request is larger than allowed.',
  CLOSES,
);
/** On a listener that serves gRPC: the request is none of gRPC, or came by HTTP/1.1. */
export const NOT_GRPC = fixed(415, 'not_grpc', 'This listener serves gRPC over HTTP/2.');
export const UNKNOWN_CALL = fixed(404, 'unknown_call', 'This listener does not serve this method of gRPC.');
export const COMPRESSED_MESSAGE = fixed(
  415,
  'compressed_message',
  'The listener reads no compressed messages.',
);
/** On a decision listener: the other proxy did not send the original request's headers once and complete. */
export const UNCLEAR_ORIGINAL = fixed(
  400,
  'unclear_original_request',
  'The original request headers are missing, incomplete or repeated.',
);
export const PEER_NOT_TRUSTED = fixed(403, 'peer_not_trusted', 'This peer may not ask for decisions.');
/** Others on the network may have read credentials that came in the open: they must be replaced, not forwarded. */
export const CREDENTIALS_IN_THE_OPEN = fixed(
  403,
  'https_required',
  'Credentials were sent without encryption. Replace them, and use https.',
);
export const LOOP = fixed(508, 'loop_detected', 'The request has passed this gateway before.');
/** OpenID Connect Back-Channel Logout 1.0 section 2.8. */
export const INVALID_LOGOUT_TOKEN = fixed(400, 'invalid_logout_token', 'The logout token is not valid.');
/** The revocation list did not take a change. */
export const REVOCATION_NOT_STORED = fixed(
  503,
  'store_unavailable',
  'The revocation store is unavailable; nothing was changed.',
  { source: 'authority', retryAfterSeconds: 1 },
);
export const NO_ROUTE = fixed(404, 'no_route', 'No route matches the request.');
export const UPGRADE_REFUSED = fixed(
  403,
  'upgrade_not_allowed',
  'This route does not allow the protocol upgrade.',
);
export const OVERLOADED = fixed(503, 'overloaded', 'The gateway is serving as many requests as it may.', {
  source: 'internal',
  retryAfterSeconds: 1,
});
export const INTERNAL_ERROR = fixed(500, 'internal_error', 'The gateway failed.', { source: 'internal' });

const forbidden = new WeakMap<GatewayError, GatewayError>();
/** The same refusal as 403, for proxies that know 401, 403 and 5xx only. */
export function asForbidden(error: GatewayError): GatewayError {
  if (error.status === 401 || error.status === 403 || error.status >= 500) return error;
  // These are no decisions: their client is the one who asks for the metadata.
  if (error === NO_METADATA || error === METADATA_NOT_READ) return error;
  const known = forbidden.get(error) ?? new GatewayError({ ...error, status: 403 });
  forbidden.set(error, known);
  return known;
}

function upstreamError(status: number, code: string, title: string): (cause?: unknown) => GatewayError {
  return (cause) =>
    new GatewayError(
      { status, code, title, source: 'upstream' },
      cause === undefined ? undefined : { cause },
    );
}
export const upstreamUnreachable = upstreamError(
  502,
  'upstream_unreachable',
  'The upstream cannot be reached.',
);
export const upstreamBroken = upstreamError(
  502,
  'upstream_protocol_error',
  'The upstream broke the protocol.',
);
export const upstreamTimeout = upstreamError(
  504,
  'upstream_timeout',
  'The upstream did not respond in time.',
);
/** @param resetCode of RST_STREAM (RFC 9113 section 7) */
export function upstreamReset(resetCode: number, cause: unknown): GatewayError {
  return new GatewayError(
    {
      status: 502,
      code: 'upstream_reset',
      title: 'The upstream reset the request.',
      source: 'upstream',
      resetCode,
    },
    { cause },
  );
}

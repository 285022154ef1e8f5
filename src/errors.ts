/**
 * What may go wrong with a request, as values that the reject stage turns into an answer.
 *
 * Only fixed text lives here: no token, claim or header value ever enters an error, so none can leave
 * the gateway in an answer or a log line. Anything thrown that is no GatewayError is a bug and answers 500.
 */

/** Why an authentication or authorization decision fell: the closed list that metrics and logs use. */
export const AUTH_REASONS = [
  'ok',
  'anonymous',
  'missing',
  'malformed',
  'too_large',
  'bad_signature',
  'unknown_key',
  'unknown_issuer',
  'expired',
  'not_yet_valid',
  'wrong_audience',
  'wrong_type',
  'lifetime',
  'claim',
  'revoked',
  'inactive',
  'binding',
  'proof',
  'insufficient_scope',
  'claim_rule',
  'identity_too_large',
  'keys_unavailable',
  'introspection_unavailable',
  'revocation_unavailable',
] as const;
export type AuthReason = (typeof AUTH_REASONS)[number];

/** Whose fault it is, which decides who is to look at it. */
export type ErrorSource = 'client' | 'authority' | 'upstream' | 'internal';

/** The auth-params of a Bearer challenge besides `realm` (RFC 6750 section 3). */
export interface ChallengeParams {
  readonly error?: 'invalid_request' | 'invalid_token' | 'insufficient_scope';
  readonly scope?: string;
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
  /** Present on answers that must carry WWW-Authenticate (RFC 9110 section 11.6.1). */
  readonly challenge?: ChallengeParams | undefined;
  readonly retryAfterSeconds?: number | undefined;
  /** Extra answer headers, such as Allow. */
  readonly headers?: readonly string[];
  /** The connection cannot be trusted to be in step any more. */
  readonly close?: boolean;
}

/** A refusal or a failure with a defined answer. Instances hold no request data and may be shared. */
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
  readonly headers: readonly string[];
  readonly close: boolean;

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
    this.headers = shape.headers ?? [];
    this.close = shape.close ?? false;
  }
}

// Made once: a refusal then costs no stack trace, which matters under a flood of bad tokens.
const fixed = (shape: ErrorShape): GatewayError => new GatewayError(shape);
const client = 'client';

/** The request line, the framing or the Host is not one that every reader understands alike (RFC 9112). */
export const MALFORMED_REQUEST = fixed({
  status: 400,
  code: 'malformed_request',
  title: 'The request is malformed.',
  source: client,
  close: true,
});
export const BAD_HOST = fixed({
  status: 400,
  code: 'bad_host',
  title: 'The Host of the request is missing, repeated or invalid.',
  source: client,
  close: true,
});
export const BAD_PATH = fixed({
  status: 400,
  code: 'bad_path',
  title: 'The path of the request can be read in more than one way.',
  source: client,
});
export const METHOD_REFUSED = fixed({
  status: 405,
  code: 'method_not_allowed',
  title: 'The gateway does not serve this method.',
  source: client,
  headers: ['allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'],
  close: true,
});
export const LOGOUT_NOT_POSTED = fixed({
  status: 405,
  code: 'method_not_allowed',
  title: 'Logouts are told by POST here.',
  source: client,
  headers: ['allow', 'POST'],
});
export const REQUEST_TIMEOUT = fixed({
  status: 408,
  code: 'request_timeout',
  title: 'The request did not arrive in time.',
  source: client,
  close: true,
});
export const BODY_TOO_LARGE = fixed({
  status: 413,
  code: 'body_too_large',
  title: 'The request body is larger than allowed.',
  source: client,
  close: true,
});
export const URI_TOO_LONG = fixed({
  status: 414,
  code: 'uri_too_long',
  title: 'The request target is longer than allowed.',
  source: client,
  close: true,
});
export const EXPECTATION_FAILED = fixed({
  status: 417,
  code: 'expectation_failed',
  title: 'The gateway does not know this expectation.',
  source: client,
  close: true,
});
export const HEADERS_TOO_LARGE = fixed({
  status: 431,
  code: 'headers_too_large',
  title: 'The header section of the request is larger than allowed.',
  source: client,
  close: true,
});
/** A decision listener: the other proxy did not tell the original request, or more than once. */
export const UNCLEAR_ORIGINAL = fixed({
  status: 400,
  code: 'unclear_original_request',
  title: 'The original request is not told once and completely.',
  source: client,
});
export const PEER_NOT_TRUSTED = fixed({
  status: 403,
  code: 'peer_not_trusted',
  title: 'This peer may not ask for decisions.',
  source: client,
});
/** Credentials over an open line are known to whoever listened: they must be replaced, not forwarded. */
export const CREDENTIALS_IN_THE_OPEN = fixed({
  status: 403,
  code: 'https_required',
  title: 'Credentials were sent without encryption. Replace them, and use https.',
  source: client,
});
export const LOOP = fixed({
  status: 508,
  code: 'loop_detected',
  title: 'The request has passed this gateway before.',
  source: client,
});
/** OpenID Connect Back-Channel Logout 1.0 section 2.8. */
export const INVALID_LOGOUT_TOKEN = fixed({
  status: 400,
  code: 'invalid_logout_token',
  title: 'The logout token is not valid.',
  source: client,
});
/** The revocation list did not take a change. */
export const REVOCATION_NOT_STORED = fixed({
  status: 503,
  code: 'store_unavailable',
  title: 'The revocation store cannot be had; nothing was changed.',
  source: 'authority',
  retryAfterSeconds: 1,
});
export const NO_ROUTE = fixed({
  status: 404,
  code: 'no_route',
  title: 'No route matches the request.',
  source: client,
});
export const UPGRADE_REFUSED = fixed({
  status: 403,
  code: 'upgrade_not_allowed',
  title: 'This route does not allow the protocol upgrade.',
  source: client,
});
export const OVERLOADED = fixed({
  status: 503,
  code: 'overloaded',
  title: 'The gateway is serving as many requests as it may.',
  source: 'internal',
  retryAfterSeconds: 1,
});
export const INTERNAL_ERROR = fixed({
  status: 500,
  code: 'internal_error',
  title: 'The gateway failed.',
  source: 'internal',
});

/** No credentials, or a scheme that is not Bearer: a challenge without an error attribute (RFC 6750 section 3.1). */
export const MISSING_TOKEN = fixed({
  status: 401,
  code: 'missing_token',
  title: 'An access token is required.',
  source: client,
  reason: 'missing',
  challenge: {},
});
/** Credentials that are not `Bearer 1*SP b64token`, repeated, or in the query (RFC 6750 sections 2 and 3.1). */
export const INVALID_AUTHORIZATION = fixed({
  status: 400,
  code: 'invalid_request',
  title: 'The access token must be sent once, as "Authorization: Bearer TOKEN".',
  source: client,
  reason: 'malformed',
  challenge: { error: 'invalid_request' },
});

const invalidTokens = new Map<string, GatewayError>();
/**
 * The token is not valid: 401 `invalid_token` whatever the reason, so that a prober learns nothing;
 * the reason goes to metrics and logs, and so does the configured name of the issuer where it is known.
 *
 * @param detail fixed text for the log and `explain`: errors are kept by it, so it is one of few
 */
export function invalidToken(reason: AuthReason, issuer?: string, detail?: string): GatewayError {
  const key = detail === undefined ? `${reason} ${issuer ?? ''}` : `${reason} ${issuer ?? ''} ${detail}`;
  let error = invalidTokens.get(key);
  if (!error) {
    error = fixed({
      status: 401,
      code: 'invalid_token',
      title: 'The access token is not valid.',
      source: client,
      detail,
      reason,
      issuer,
      challenge: { error: 'invalid_token' },
    });
    invalidTokens.set(key, error);
  }
  return error;
}

/** The token is good but lacks a scope; `scope` is the route's requirement, space-separated (RFC 6750 section 3). */
export function insufficientScope(scope: string): GatewayError {
  return fixed({
    status: 403,
    code: 'insufficient_scope',
    title: 'The access token lacks a scope that this route needs.',
    source: client,
    reason: 'insufficient_scope',
    challenge: { error: 'insufficient_scope', scope },
  });
}

export const CLAIM_RULE_FAILED = fixed({
  status: 403,
  code: 'access_denied',
  title: 'The access token does not permit this request.',
  source: client,
  reason: 'claim_rule',
});
export const IDENTITY_TOO_LARGE = fixed({
  status: 403,
  code: 'identity_too_large',
  title: 'The identity in the access token is larger than the gateway may forward.',
  source: client,
  reason: 'identity_too_large',
});

type OutageReason = 'keys_unavailable' | 'introspection_unavailable' | 'revocation_unavailable';
/**
 * An authority that the decision needs cannot be had. 503 and never 401: a client throws a good token
 * away on 401.
 */
export function unavailable(
  reason: OutageReason,
  retryAfterSeconds: number,
  { issuer, cause }: { readonly issuer?: string; readonly cause?: unknown } = {},
): GatewayError {
  return new GatewayError(
    {
      status: 503,
      code: reason,
      title: 'The access token cannot be checked at the moment.',
      source: 'authority',
      reason,
      issuer,
      retryAfterSeconds,
    },
    cause === undefined ? undefined : { cause },
  );
}

const forbidden = new WeakMap<GatewayError, GatewayError>();
/** The same refusal as 403, for askers that know 401, 403 and 5xx only. */
export function asForbidden(error: GatewayError): GatewayError {
  if (error.status === 401 || error.status === 403 || error.status >= 500) return error;
  const known = forbidden.get(error) ?? fixed({ ...error, status: 403 });
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
export const upstreamTimeout = upstreamError(504, 'upstream_timeout', 'The upstream did not answer in time.');

/**
 * Refusals of a token, of its proof, or of what it permits; and outages of those who have to say. RFC 6750 section 3.1, RFC 9449
 * section 7.1, RFC 9470 section 3. As in errors.ts, only fixed text lives here.
 */
import { fixed, GatewayError, type AuthReason, type ChallengeParams } from './errors.ts';

/** No credentials, or a scheme that is not Bearer: a challenge without an error attribute (RFC 6750 section 3.1). */
export const MISSING_TOKEN = fixed(401, 'missing_token', 'An access token is required.', {
  reason: 'missing',
  challenge: {},
});
/** Credentials that are not `Bearer 1*SP b64token`, repeated, or in the query (RFC 6750 sections 2 and 3.1). */
export const INVALID_AUTHORIZATION = fixed(
  400,
  'invalid_request',
  'The access token must be sent once, as "Authorization: Bearer TOKEN".',
  { reason: 'malformed', challenge: { error: 'invalid_request' } },
);

/** An access token and an API key, or one of them in two places (RFC 6750 section 2). */
export const TWO_CREDENTIALS = fixed(
  400,
  'invalid_request',
  'A request must have one credential, an access token or an API key, and once.',
  { reason: 'malformed', challenge: { error: 'invalid_request' } },
);

export const KEY_IN_QUERY = fixed(
  400,
  'invalid_request',
  'An API key must not stand in the URL. Send it in a header, and replace this one.',
  { reason: 'malformed', challenge: { error: 'invalid_request' } },
);

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
    const challenge = { error: 'invalid_token' } as const;
    error = fixed(401, 'invalid_token', 'The access token is not valid.', {
      detail,
      reason,
      issuer,
      challenge,
    });
    invalidTokens.set(key, error);
  }
  return error;
}

/** The token is good but lacks a scope; `scope` is the route's requirement, space-separated (RFC 6750 section 3). */
export function insufficientScope(scope: string): GatewayError {
  return fixed(403, 'insufficient_scope', 'The access token lacks a scope that this route needs.', {
    reason: 'insufficient_scope',
    challenge: { error: 'insufficient_scope', scope },
  });
}

const invalidProofs = new Map<string, GatewayError>();
/**
 * The proof of possession is not valid (RFC 9449 section 7.1).
 *
 * @param detail fixed text for the log and `explain`: errors are kept by it, so it is one of few
 */
export function invalidProof(detail: string): GatewayError {
  const known = invalidProofs.get(detail);
  if (known) return known;
  const error = fixed(401, 'invalid_dpop_proof', 'The DPoP proof is not valid.', {
    detail,
    reason: 'proof',
    challenge: { error: 'invalid_dpop_proof', scheme: 'DPoP' },
  });
  invalidProofs.set(detail, error);
  return error;
}

/** The proof has no nonce of the gateway, or an old one; DPoP-Nonce has one (RFC 9449 section 9). */
export const PROOF_NEEDS_NONCE = fixed(
  401,
  'use_dpop_nonce',
  'The DPoP proof must have the nonce that DPoP-Nonce has.',
  {
    reason: 'proof',
    detail: 'it has no nonce of the gateway, or an old one',
    challenge: { error: 'use_dpop_nonce', scheme: 'DPoP' },
  },
);

/** One key has proved more in a short time than the gateway remembers for it. */
export const TOO_MANY_PROOFS = fixed(
  429,
  'too_many_proofs',
  'This key has sent more DPoP proofs than the gateway remembers for it.',
  { reason: 'proof', detail: 'dpop.remembered.per_key is reached', retryAfterSeconds: 1 },
);

const boundTokens = new Map<string, GatewayError>();
/** A token that is bound to a key came without a proof of it: as Bearer, or where no proofs are accepted (rule D13). */
export function sentWithoutProof(issuer: string): GatewayError {
  const known = boundTokens.get(issuer);
  if (known) return known;
  const error = fixed(401, 'invalid_token', 'The access token is not valid.', {
    reason: 'binding',
    issuer,
    detail: 'it is bound to a key, and was sent without a DPoP proof',
    challenge: { error: 'invalid_token', scheme: 'DPoP' },
  });
  boundTokens.set(issuer, error);
  return error;
}

/**
 * The login behind the token is too old or too weak for the route (RFC 9470 section 3).
 *
 * @param needs what the challenge says is needed
 */
export function loginTooWeak(
  needs: Pick<ChallengeParams, 'acrValues' | 'maxAge'>,
  detail: string,
): GatewayError {
  return fixed(
    401,
    'insufficient_user_authentication',
    'This route needs a more recent or a stronger login.',
    {
      reason: 'step_up',
      detail,
      challenge: { error: 'insufficient_user_authentication', ...needs },
    },
  );
}

export const CLAIM_RULE_FAILED = fixed(
  403,
  'access_denied',
  'The access token does not permit this request.',
  { reason: 'claim_rule' },
);
export const IDENTITY_TOO_LARGE = fixed(
  403,
  'identity_too_large',
  'The identity in the access token is larger than the gateway may forward.',
  { reason: 'identity_too_large' },
);

/** Global token revocation (draft-parecki-oauth-global-token-revocation-05 section 3.4.2). They decide about no request: they have no reason. */
export const NO_REVOCATION_CREDENTIALS = fixed(
  401,
  'missing_token',
  'Global token revocation requires a JWT of the issuer, sent once, as "Authorization: Bearer JWT".',
  { challenge: {} },
);
export const INVALID_REVOCATION_CREDENTIALS = fixed(
  401,
  'invalid_token',
  'The JWT is not valid for global token revocation.',
  { challenge: { error: 'invalid_token' } },
);
export const REVOCATION_FORBIDDEN = fixed(
  403,
  'caller_not_allowed',
  'The caller may not revoke tokens, or not those of this subject.',
);
export const INVALID_GLOBAL_REVOCATION = fixed(
  400,
  'invalid_request',
  'The body must be JSON with sub_id, in a format that this endpoint takes.',
);
/** No token of the issuer names such a thing. */
export const NOT_REVOCABLE = fixed(422, 'not_revocable', 'Tokens of this issuer cannot be revoked by that.');

type OutageReason =
  | 'keys_unavailable'
  | 'introspection_unavailable'
  | 'revocation_unavailable'
  | 'status_unavailable'
  | 'replay_unavailable';
/**
 * An authority that the decision needs is unavailable. 503 and never 401: a client throws a good token
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

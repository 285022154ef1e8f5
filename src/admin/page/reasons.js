/** The reasons for which a request is refused, in words: what it means, and what to look at. */

/** @type {Record<string, string>} */
export const REASONS = {
  missing: 'No token came with the request.',
  malformed: 'What came is not a token, or there was more than one.',
  too_large: 'The token is larger than the gateway accepts.',
  bad_signature: 'The signature does not fit: it is forged, changed on its way, or of another issuer.',
  unknown_key: 'The issuer has no key with this kid. Was a key rotated?',
  unknown_issuer: 'No issuer of this route vouches for the token. Is it of another environment?',
  expired: 'The token has expired. The client should refresh it.',
  not_yet_valid: 'The token is not valid yet. Do the clocks agree?',
  wrong_audience: 'The token is meant for another service (aud).',
  wrong_type: 'It is another type of token, such as an id_token.',
  lifetime: 'The token lives longer than the issuer is allowed to make it.',
  claim: 'A claim that the issuer must give is missing or wrong.',
  revoked: 'The token, its session, its subject or its client was revoked.',
  status: 'The status list of the issuer says that the token is not valid, or says nothing of it.',
  inactive: 'The authorization server says that the token is not active.',
  binding: 'The token is bound to a key or certificate that did not come with the request.',
  proof: 'The DPoP proof is missing, wrong, too old, or was used before.',
  step_up: 'The login behind the token is too old or too weak for the route.',
  insufficient_scope: 'The token lacks a scope that the route needs.',
  claim_rule: 'A claim of the token does not meet a rule of the route.',
  identity_too_large: 'The identity of the caller does not fit into the headers for the upstream.',
  keys_unavailable: 'The keys of the issuer are not there: the gateway cannot check the token.',
  introspection_unavailable: 'The authorization server gives no response about the token.',
  revocation_unavailable: 'The revocation list is too old to go by.',
  status_unavailable: 'The status list of the issuer is not there, or is too old to go by.',
  replay_unavailable: 'The store does not say whether the proof was used before.',
};

/**
 * @param {string | null} reason
 * @param {string} code
 */
export function reasonText(reason, code) {
  return reason === null
    ? `No decision about a token: ${code.replaceAll('_', ' ')}.`
    : (REASONS[reason] ?? '');
}

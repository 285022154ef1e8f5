/**
 * The WWW-Authenticate challenge of a refusal (RFC 6750 section 3, RFC 9110 section 11.6.1). Pure.
 */
import type { ChallengeParams } from '../errors.ts';

/**
 * Writes a Bearer challenge: each attribute once, always `realm`, nothing that the client sent.
 *
 * @param realm printable ASCII without `"` and `\`, as the configuration guarantees
 */
export function bearerChallenge(realm: string, params: ChallengeParams): string {
  let challenge = `Bearer realm="${realm}"`;
  if (params.error !== undefined) challenge += `, error="${params.error}"`;
  if (params.scope !== undefined) challenge += `, scope="${quotable(params.scope)}"`;
  return challenge;
}

/** Scope tokens contain neither `"` nor `\` (RFC 6749 section 3.3); this removes them from a configuration that does. */
function quotable(text: string): string {
  return text.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, '');
}

/**
 * What a token of each type must have: RFC 9068 section 2.2, OpenID Connect Core section 2. Pure. Rule J2.
 *
 * Two claims of RFC 9068 are not asked for as it writes them. Many servers name the client in another claim than
 * `client_id`, most in `azp` as OpenID Connect does. And where a client acts for itself there may be no `sub`: what needs a
 * user asks for one by a rule.
 */
import type { ClaimNames } from './claim-names.ts';
import { claimAt, type ClaimPath, type JsonObject } from './claims.ts';
import type { TokenType } from './token-kind.ts';

/** Beside `iss`, which is looked at first. */
const CLAIMS_OF_TYPE: Readonly<Record<TokenType, readonly string[]>> = {
  'at+jwt': ['exp', 'aud', 'iat', 'jti'],
  any: ['exp'],
  id_token: ['exp', 'aud', 'sub', 'iat'],
};

/** Whatever the issuer's own claims are. */
const CLIENT_CLAIMS: readonly ClaimPath[] = [['client_id'], ['azp']];

/** The claims that a token of this type lacks: for people too. */
export function missingClaims(
  claims: JsonObject,
  tokenType: TokenType,
  { client }: Pick<ClaimNames, 'client'>,
): readonly string[] {
  const missing = CLAIMS_OF_TYPE[tokenType].filter((name) => (claims[name] ?? null) === null);
  const namesClient = (path: ClaimPath): boolean => isName(claimAt(claims, path));
  if (tokenType !== 'at+jwt' || CLIENT_CLAIMS.some(namesClient) || client.some(namesClient)) return missing;
  return [...missing, 'client_id (or azp, or another claim of claim_names.client)'];
}

function isName(value: JsonObject[string] | undefined): boolean {
  return typeof value === 'string' && value !== '';
}

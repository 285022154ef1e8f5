/** By what one API key is revoked: its id, which every route knows it by. Pure. Rules V12, V13, X3. */
import { invalidToken } from '../auth-errors.ts';
import { FOR_GOOD_SECONDS } from '../revocation/entry-life.ts';
import { RevocationRefused, type TokenIdentity } from '../revocation/revoker.ts';
import { presentedDigest } from '../token/token-digest.ts';
import type { ApiKeyVerifier } from './api-key-verifier.ts';
import { isKeyText } from './key-text.ts';

/**
 * @param issuers every issuer of API keys
 * @param issuerName whose key it is, where the caller says so
 * @param nowSeconds from when it must stay refused
 * @throws GatewayError 401 for a key that no issuer knows; RevocationRefused where it is not that of the one named
 */
export function identifyKey(
  issuers: readonly ApiKeyVerifier[],
  key: string,
  issuerName: string | undefined,
  nowSeconds: number,
): TokenIdentity {
  if (!isKeyText(key)) throw invalidToken('malformed');
  const digest = presentedDigest(key);
  const owner = issuers.find(({ source }) => source.find(digest) !== undefined);
  const entry = owner?.source.find(digest);
  if (owner === undefined || entry === undefined) throw invalidToken('unknown_api_key');
  const { issuerName: issuer } = owner.policy;
  if (issuerName !== undefined && issuerName !== issuer)
    throw new RevocationRefused('the API key is of another issuer; name its own issuer, or leave it out');
  return {
    target: { issuer, kind: 'token_id', value: entry.id },
    // Also of a key that expires: its expiry may be put off, and what was revoked must not come back with that.
    endsAt: nowSeconds + FOR_GOOD_SECONDS,
  };
}

/** A token that has nothing but its id, and the revocation of it, for tests of stores and views. */
import type { RevocationStore } from '../../src/revocation/revocation-store.ts';
import { RevocableToken, targetId } from '../../src/revocation/revocation-target.ts';
import { ISSUER, nowSeconds } from './tokens.ts';

export function tokenWith(tokenId: string): RevocableToken {
  return new RevocableToken({
    issuer: ISSUER,
    tokenId,
    digest: () => 'none',
    subjects: [],
    sessions: [],
    clients: [],
    claims: [],
  });
}

export function revocationOf(tokenId: string): Parameters<RevocationStore['revoke']>[0] {
  const target = { issuer: ISSUER, kind: 'token_id' as const, value: tokenId };
  return {
    id: targetId(target),
    target,
    issuedBefore: null,
    expiresAt: nowSeconds() + 3_600,
    createdBy: 'alice',
    reason: null,
  };
}

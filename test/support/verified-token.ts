/** A token that an issuer vouches for, without any cryptography. */
import { authenticToken } from '../../src/token/authentic-token.ts';
import type { JsonObject } from '../../src/token/claims.ts';
import type { AuthenticToken } from '../../src/token/token-verifier.ts';

export function verifiedToken(claims: object, issuer = 'https://login.example.com'): AuthenticToken {
  return authenticToken({
    issuerName: 'login',
    issuer,
    claims: claims as JsonObject,
    names: {
      subject: [['sub']],
      client: [['client_id']],
      scopes: [['scope']],
      session: [['sid']],
      tenant: [],
      loginTime: [['auth_time']],
    },
    digest: () => 'digest',
    clockSkewSeconds: 0,
    futureIatSeconds: 5,
    revocableClaims: [],
  });
}

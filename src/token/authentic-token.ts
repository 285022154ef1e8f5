/**
 * Makes an AuthenticToken of claims that an issuer has vouched for. Pure.
 */
import { RevocableToken } from '../revocation/revocation-target.ts';
import { identityValue } from '../http/identity-headers.ts';
import {
  claimAt,
  numberOf,
  parseClaimPath,
  scopesOf,
  textClaim,
  type ClaimPath,
  type JsonObject,
} from './claims.ts';
import type { AuthenticToken } from './token-verifier.ts';

/** A claim by which tokens can be revoked (`revocation.claims`). */
export interface RevocableClaim {
  readonly path: string;
  readonly levels: ClaimPath;
}

export function revocableClaims(paths: readonly string[]): RevocableClaim[] {
  return paths.map((path) => ({ path, levels: parseClaimPath(path) }));
}

export interface TokenFacts {
  readonly issuerName: string;
  readonly issuer: string;
  readonly claims: JsonObject;
  /** SHA-256 of `header.payload` of a JWT, or of an opaque token. */
  readonly digest: () => string;
  readonly clockSkewSeconds: number;
  readonly revocableClaims: readonly RevocableClaim[];
}

/** `client_id` (RFC 9068), or `azp` where an issuer of plain JWTs uses OpenID Connect's word. */
function clientIdOf(claims: JsonObject): string | undefined {
  return textClaim(claims, 'client_id') ?? textClaim(claims, 'azp');
}

export function authenticToken(facts: TokenFacts): AuthenticToken {
  const { issuerName, issuer, claims, digest, clockSkewSeconds, revocableClaims } = facts;
  const subject = textClaim(claims, 'sub');
  const clientId = clientIdOf(claims);
  return {
    issuerName,
    issuer,
    claims,
    scopes: scopesOf(claims),
    subject,
    clientId,
    expiresAt: numberOf(claims['exp']),
    notBefore: numberOf(claims['nbf']),
    issuedAt: numberOf(claims['iat']),
    clockSkewSeconds,
    revocable: new RevocableToken({
      issuer,
      tokenId: textClaim(claims, 'jti'),
      digest,
      subject,
      session: textClaim(claims, 'sid'),
      clientId,
      claims: revocableClaims.flatMap(({ path, levels }): [string, string][] => {
        const text = identityValue(claimAt(claims, levels));
        return text === undefined ? [] : [[path, text]];
      }),
    }),
    derived: new Map(),
  };
}

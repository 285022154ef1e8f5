/**
 * Makes an AuthenticToken of claims that an issuer has vouched for. Pure.
 */
import { invalidToken } from '../errors.ts';
import { RevocableToken } from '../revocation/revocation-target.ts';
import {
  claimAt,
  numberOf,
  parseClaimPath,
  scopesOf,
  textClaim,
  type ClaimPath,
  type JsonObject,
} from './claims.ts';
import { claimTexts } from './claim-texts.ts';
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

/** `client_id` (RFC 9068), or `azp` where an issuer of plain JWTs uses OpenID Connect's word. An empty one names nothing. */
function clientIdOf(claims: JsonObject): string | undefined {
  return [textClaim(claims, 'client_id'), textClaim(claims, 'azp')].find(
    (text) => text !== undefined && text !== '',
  );
}

/** `auth_time` (OpenID Connect Core section 2); what is no date since 1970 says nothing. */
function loginOf(claims: JsonObject): number | undefined {
  const seconds = numberOf(claims['auth_time']);
  return seconds !== undefined && seconds > 0 ? seconds : undefined;
}

/** @throws GatewayError 401 `claim` where a claim by which tokens are revoked is too long to be looked through */
export function authenticToken(facts: TokenFacts): AuthenticToken {
  const { issuerName, issuer, claims, digest, clockSkewSeconds, revocableClaims } = facts;
  const subject = textClaim(claims, 'sub');
  const clientId = clientIdOf(claims);
  const expiresAt = numberOf(claims['exp']);
  return {
    issuerName,
    issuer,
    claims,
    scopes: scopesOf(claims),
    subject,
    clientId,
    expiresAt,
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
      claims: revocableClaims.flatMap(({ path, levels }) => {
        const texts = claimTexts(claimAt(claims, levels));
        if (texts === undefined) throw invalidToken('claim', issuerName);
        return texts.map((text) => [path, text] as const);
      }),
      loggedInAt: loginOf(claims),
      endsAt: expiresAt === undefined ? undefined : expiresAt + clockSkewSeconds,
    }),
    derived: new Map(),
  };
}

/** Issuers of JWTs: by which policy their tokens are verified, and where they tell of logouts. */
import type { Clock } from '../clock.ts';
import type { IssuerConfiguration } from '../config/schema.ts';
import { LOGOUT_NOT_POSTED } from '../errors.ts';
import type { LogoutReceiver } from '../handlers/logout-endpoint.ts';
import type { RevocableClaim } from '../token/authentic-token.ts';
import { compileClaimRules } from '../token/claim-rules.ts';
import { parseClaimPath } from '../token/claims.ts';
import { IssuerTemplate, type IssuerIdentity, type TenantRule } from '../token/issuer-template.ts';
import type { JwtPolicy } from '../token/jwt-verifier.ts';
import type { KeySet } from '../token/key-set.ts';
import { LogoutVerifier } from '../token/logout-verifier.ts';
import { compileClaimNames } from './compile-claim-names.ts';
import { algorithmsOf } from './key-sets.ts';

export function jwtPolicy(
  name: string,
  issuer: IssuerConfiguration,
  claims: readonly RevocableClaim[],
): JwtPolicy {
  return {
    issuerName: name,
    ...issuerIdentity(name, issuer),
    audiences: issuer.audiences,
    algorithms: algorithmsOf(issuer),
    tokenType: issuer.token_type,
    claimNames: compileClaimNames(issuer.claim_names),
    requiredClaims: issuer.required_claims,
    claimRules: compileClaimRules(issuer.claims),
    clockSkewSeconds: issuer.clock_skew / 1000,
    futureIatSeconds: issuer.future_iat / 1000,
    maxLifetimeSeconds: issuer.max_lifetime / 1000,
    revocableClaims: claims,
  };
}

export function issuerIdentity(name: string, issuer: IssuerConfiguration): IssuerIdentity {
  return {
    issuer: issuer.issuer ?? name,
    withoutIss: issuer.no_iss === true,
    tenants: tenantRule(issuer),
  };
}

/** Undefined where the issuer has one `iss`. */
export function tenantRule({
  issuer = '',
  tenants,
  claim_names,
}: IssuerConfiguration): TenantRule | undefined {
  if (tenants === undefined) return undefined;
  return {
    template: new IssuerTemplate(issuer, tenants === 'any' ? undefined : tenants),
    claim: parseClaimPath(claim_names.tenant ?? ''),
  };
}

/** Undefined where the configuration names no endpoint for back-channel logout. */
export function logoutReceiver(
  { backchannel_logout: logout }: IssuerConfiguration,
  policy: JwtPolicy,
  keys: KeySet,
  clock: Clock,
): LogoutReceiver | undefined {
  if (!logout) return undefined;
  const verifier = new LogoutVerifier({ ...policy, clientIds: logout.client_ids }, keys, clock);
  const { host, path, ends } = logout;
  const { issuerName } = policy;
  const purpose = `the back-channel logout endpoint of issuer ${issuerName}: the logout_token in the body decides`;
  return { place: { host, path, issuerName, purpose, notPosted: LOGOUT_NOT_POSTED }, ends, verifier };
}

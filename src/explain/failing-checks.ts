/**
 * Every check of a JWT that fails by what it says of itself, not only the first: for people, in a dry run. The verifier
 * decides; this names what else stands in the way. Pure.
 */
import { compileClaimNames } from '../assembly/compile-claim-names.ts';
import type { IssuerConfiguration } from '../config/schema.ts';
import type { AuthReason } from '../errors.ts';
import { audiencesOfResource, isFor } from '../token/audience.ts';
import { compileClaimRules, satisfies } from '../token/claim-rules.ts';
import { givenClaim, numberOf, parseClaimPath, type JsonObject } from '../token/claims.ts';
import { missingClaims } from '../token/claims-of-type.ts';
import { audienceOf } from '../token/jwt-verifier.ts';
import type { JwtText } from '../token/lexical-gate.ts';
import { bindingOf } from '../token/token-binding.ts';
import { isAccessJwt } from '../token/token-kind.ts';

/** In the order in which the verifier looks. */
export function failingChecks(
  { header, claims }: JwtText,
  issuer: IssuerConfiguration,
  nowMs: number,
  resource: string | undefined,
): AuthReason[] {
  const checks: [AuthReason, boolean][] = [
    ['wrong_type', !isAccessJwt(header, claims, issuer.token_type)],
    ['claim', lacksClaims(claims, issuer)],
    ['wrong_audience', hasOtherAudience(claims, issuer, resource)],
    ['binding', bindingOf([claims]) === 'unknown'],
    ...dateChecks(claims, issuer, nowMs / 1000),
  ];
  return checks.filter(([, fails]) => fails).map(([reason]) => reason);
}

function lacksClaims(claims: JsonObject, issuer: IssuerConfiguration): boolean {
  return (
    missingClaims(claims, issuer.token_type, compileClaimNames(issuer.claim_names)).length > 0 ||
    issuer.required_claims.some((path) => (givenClaim(claims, parseClaimPath(path)) ?? null) === null) ||
    !compileClaimRules(issuer.claims).every((rule) => satisfies(rule, claims, ''))
  );
}

function hasOtherAudience(
  claims: JsonObject,
  { audiences, token_type }: IssuerConfiguration,
  resource: string | undefined,
): boolean {
  const aud = givenClaim(claims, ['aud']);
  if (resource !== undefined) return !isFor(aud, audiencesOfResource(resource));
  if (aud === undefined && audiences === undefined && token_type !== 'at+jwt') return false;
  const audience = audienceOf(aud);
  return (
    audience === undefined || (audiences !== undefined && !audiences.some((ours) => audience.includes(ours)))
  );
}

function dateChecks(
  claims: JsonObject,
  { clock_skew, future_iat, max_lifetime }: IssuerConfiguration,
  nowSeconds: number,
): [AuthReason, boolean][] {
  const [exp, nbf, iat] = ['exp', 'nbf', 'iat'].map((name) => numberOf(claims[name]));
  const skew = clock_skew / 1000;
  const early = nbf !== undefined && nowSeconds < nbf - skew;
  return [
    ['lifetime', exp !== undefined && exp - (iat ?? nowSeconds) > max_lifetime / 1000],
    ['expired', exp !== undefined && nowSeconds >= exp + skew],
    ['not_yet_valid', early || (iat !== undefined && iat > nowSeconds + future_iat / 1000)],
  ];
}

/** Issuers of opaque tokens: who is asked about them, and by which policy their responses are judged. */
import type { Configuration, IssuerConfiguration } from '../config/schema.ts';
import type { RevocableClaim } from '../token/authentic-token.ts';
import type { AuthorizationServerClient } from '../token/authorization-server-client.ts';
import { compileClaimRules } from '../token/claim-rules.ts';
import { IntrospectionClient } from '../token/introspection-client.ts';
import type { TokenStatusSource } from '../token/authorization-server-guard.ts';
import type { OpaquePolicy } from '../token/opaque-verifier.ts';
import { ValidationClient } from '../token/validation-client.ts';
import { compileClaimNames } from './compile-claim-names.ts';

export function opaquePolicy(
  name: string,
  issuers: Configuration['issuers'],
  claims: readonly RevocableClaim[],
): OpaquePolicy {
  const issuer = issuers[name];
  const responses = issuer?.introspection ?? issuer?.validation;
  if (!issuer || !responses) throw new TypeError('the issuer has neither introspection nor validation');
  return {
    issuerName: name,
    issuer: issuer.issuer,
    audiences: issuer.audiences,
    claimNames: compileClaimNames(issuer.claim_names),
    requiredClaims: issuer.required_claims,
    claimRules: compileClaimRules(issuer.claims),
    clockSkewSeconds: issuer.clock_skew / 1000,
    futureIatSeconds: issuer.future_iat / 1000,
    foreignIssuers: new Set(
      Object.entries(issuers).flatMap(([other, { issuer: iss }]) =>
        other === name || iss === undefined || sameOrigin(iss, responses.url) ? [] : [iss],
      ),
    ),
    acceptsJwt: issuer.introspection?.jwt ?? false,
    prefix: issuer.token_prefix,
    cacheMs: responses.cache,
    negativeCacheMs: responses.negative_cache,
    failureCacheMs: responses.failure_cache,
    clientLimits: { inFlight: responses.per_client.in_flight, perSecond: responses.per_client.per_second },
    isIntrospection: issuer.introspection !== undefined,
    revocableClaims: claims,
  };
}

/** One server may well issue JWTs and opaque tokens, under two names here. */
function sameOrigin(issuer: string, url: string): boolean {
  return URL.canParse(issuer) && new URL(issuer).origin === new URL(url).origin;
}

/** Undefined for an issuer of JWTs that the gateway verifies itself. */
export function tokenStatusSource(
  { introspection, validation }: IssuerConfiguration,
  client: AuthorizationServerClient,
): TokenStatusSource | undefined {
  if (introspection) {
    return new IntrospectionClient(
      {
        url: introspection.url,
        clientId: introspection.client_id,
        clientSecret: introspection.client_secret ?? '',
        authMethod: introspection.auth_method,
        timeoutMs: introspection.timeout,
      },
      client,
    );
  }
  if (!validation) return undefined;
  const { send } = validation;
  const name = send.name ?? (send.in === 'header' ? 'Authorization' : 'token');
  const bearer = send.in === 'header' && name.toLowerCase() === 'authorization';
  return new ValidationClient(
    {
      url: validation.url,
      method: validation.method,
      send: { in: send.in, name, value: send.value ?? (bearer ? 'Bearer {token}' : '{token}') },
      headers: validation.headers,
      validStatuses: validation.valid,
      invalidStatuses: validation.invalid,
      activePointer: validation.active,
      claimsPointer: validation.claims,
      claimPointers: validation.claim_pointers,
      timeoutMs: validation.timeout,
    },
    client,
  );
}

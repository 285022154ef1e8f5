/** Issuers of opaque tokens: who is asked about them, and by which policy their responses are judged. */
import type { Configuration, IssuerConfiguration } from '../config/schema.ts';
import { isOpaqueIssuer } from '../config/issuer-schema.ts';
import type { Clock } from '../clock.ts';
import { issuerIdentity } from './jwt-issuers.ts';
import type { RevocableClaim } from '../token/authentic-token.ts';
import type { AuthorizationServerClient } from '../token/authorization-server-client.ts';
import { compileClaimRules } from '../token/claim-rules.ts';
import type { ClientCredentials } from '../token/client-authentication.ts';
import { importClientKey, type ClientKey } from '../token/client-key.ts';
import { isIssOf } from '../token/issuer-template.ts';
import { IntrospectionClient } from '../token/introspection-client.ts';
import type { TokenStatusSource } from '../token/authorization-server-guard.ts';
import type { KeySet } from '../token/key-set.ts';
import type { OpaquePolicy } from '../token/opaque-verifier.ts';
import { SignedIntrospection, type SignedResponsePolicy } from '../token/signed-introspection.ts';
import { ValidationClient } from '../token/validation-client.ts';
import { compileClaimNames } from './compile-claim-names.ts';
import { algorithmsOf } from './key-sets.ts';

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
    foreignIssuers: foreignIssuers(name, issuers, responses.url),
    ownersOf: ownersOf(issuers),
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

/**
 * For JWTs that the gateway has verified, whose server is asked as well: nothing is kept, and what the response may leave
 * out is not asked of it. Its scopes and its client have the names of RFC 7662, too.
 */
export function freshPolicy(
  name: string,
  issuers: Configuration['issuers'],
  claims: readonly RevocableClaim[],
): OpaquePolicy {
  const policy = opaquePolicy(name, issuers, claims);
  const { claimNames } = policy;
  return {
    ...policy,
    audiences: undefined,
    requiredClaims: [],
    claimRules: [],
    claimNames: {
      ...claimNames,
      scopes: [...claimNames.scopes, ['scope']],
      client: [...claimNames.client, ['client_id']],
    },
    acceptsJwt: true,
    cacheMs: 0,
    negativeCacheMs: 0,
    failureCacheMs: 0,
  };
}

function ownersOf(issuers: Configuration['issuers']): OpaquePolicy['ownersOf'] {
  const owners = Object.entries(issuers)
    .filter(([, issuer]) => !isOpaqueIssuer(issuer))
    .map(([name, issuer]) => ({
      identity: issuerIdentity(name, issuer),
      names: compileClaimNames(issuer.claim_names),
    }));
  return (iss) =>
    owners
      .filter(({ identity }) =>
        iss === undefined
          ? identity.withoutIss === true
          : identity.withoutIss !== true && isIssOf(identity, iss),
      )
      .map(({ identity, names }) => ({ issuer: identity.issuer, names }));
}

/**
 * Every `iss` of the issuers on other servers; and the names of those whose tokens have none, which stand for it: no server
 * may call its tokens those of another issuer.
 */
function foreignIssuers(
  name: string,
  issuers: Configuration['issuers'],
  url: string,
): OpaquePolicy['foreignIssuers'] {
  const others = Object.entries(issuers)
    .filter(([other, { issuer }]) => other !== name && issuer !== undefined && !sameOrigin(issuer, url))
    .map(([other, issuer]) => issuerIdentity(other, issuer));
  const names = new Set(
    Object.keys(issuers).filter((other) => other !== name && issuers[other]?.issuer === undefined),
  );
  return { has: (iss) => names.has(iss) || others.some((other) => isIssOf(other, iss)) };
}

/** One server may well issue JWTs and opaque tokens, under two names here. */
function sameOrigin(issuer: string, url: string): boolean {
  return URL.canParse(issuer) && new URL(issuer).origin === new URL(url).origin;
}

/** The issuer, with the keys that sign its introspection responses in place of those of JWTs. */
export function signersOf(issuer: IssuerConfiguration): IssuerConfiguration {
  const url = issuer.introspection?.jwks_url;
  return url === undefined ? issuer : { ...issuer, jwks_url: url };
}

/** What an introspection or validation call needs of the gateway. */
export interface TokenStatusParts {
  readonly client: AuthorizationServerClient;
  readonly clock: Clock;
  /** Of the issuer, by which its signed responses are verified. */
  readonly signers: () => KeySet;
}

/**
 * Undefined for an issuer of JWTs that the gateway verifies itself.
 *
 * @param client that reaches the servers of this issuer
 * @throws TypeError where a key cannot be used
 */
export function tokenStatusSource(
  name: string,
  issuer: IssuerConfiguration,
  { client, clock, signers }: TokenStatusParts,
): TokenStatusSource | undefined {
  const { introspection, validation } = issuer;
  // It is called for the first token, which may come at night: what cannot be loaded must show at the start.
  if (introspection || validation) client.prepare();
  if (introspection) {
    return new IntrospectionClient(
      {
        url: introspection.url,
        issuer: issuer.issuer,
        credentials: clientCredentials(introspection),
        signed: introspection.signed_response
          ? new SignedIntrospection(signedResponsePolicy(name, issuer), signers(), clock)
          : undefined,
        timeoutMs: introspection.timeout,
      },
      client,
    );
  }
  if (!validation) return undefined;
  const { send } = validation;
  const field = send.name ?? (send.in === 'header' ? 'Authorization' : 'token');
  const bearer = send.in === 'header' && field.toLowerCase() === 'authorization';
  return new ValidationClient(
    {
      url: validation.url,
      method: validation.method,
      send: { in: send.in, name: field, value: send.value ?? (bearer ? 'Bearer {token}' : '{token}') },
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

function signedResponsePolicy(name: string, issuer: IssuerConfiguration): SignedResponsePolicy {
  return {
    issuerName: name,
    issuer: issuer.issuer ?? '',
    clientId: issuer.introspection?.client_id ?? '',
    algorithms: algorithmsOf(issuer),
    clockSkewSeconds: issuer.clock_skew / 1000,
    futureIatSeconds: issuer.future_iat / 1000,
  };
}

/** The configuration has checked that each method has what it needs. */
function clientCredentials({
  auth_method: method,
  client_id: clientId,
  client_secret: clientSecret = '',
  key = '',
}: NonNullable<IssuerConfiguration['introspection']>): ClientCredentials {
  switch (method) {
    case 'client_secret_basic':
    case 'client_secret_post':
      return { method, clientId: clientId ?? '', clientSecret };
    case 'private_key_jwt':
      return { method, clientId: clientId ?? '', key: clientKey(key) };
    case 'tls_client_auth':
      return { method, clientId: clientId ?? '' };
    case 'bearer':
      return { method };
    case 'none':
      return { method, clientId };
  }
}

function clientKey(text: string): ClientKey {
  try {
    return importClientKey(text);
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    throw new TypeError(`introspection.key_file: ${what}; put a private JWK or PEM there`, { cause: error });
  }
}

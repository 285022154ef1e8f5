/** What is allowed in an issuer, but risky. Pure. */
import { limitsAudience } from '../token/claim-rules.ts';
import { takenOut } from './provider-presets.ts';
import { providerWarnings } from './provider-warnings.ts';
import type { IssuerConfiguration } from './schema.ts';
import { NAMES_OF_USERS } from './tenant-problems.ts';

type Rule = (name: string, issuer: IssuerConfiguration) => readonly string[];

const DEFAULT_MAX_LIFETIME_MS = 24 * 3_600_000;

/**
 * One line for each risk: what it is, what to do.
 *
 * @param forResources issuers whose tokens must be for a protected resource wherever they pass
 */
export function issuerWarnings(
  issuers: Readonly<Record<string, IssuerConfiguration>>,
  forResources: ReadonlySet<string>,
): string[] {
  return Object.entries(issuers).flatMap(([name, issuer]) =>
    RULES.filter((rule) => rule !== noAudiences || !forResources.has(name)).flatMap((rule) =>
      rule(name, issuer),
    ),
  );
}

const plaintext: Rule = (name, { allow_http }) =>
  allow_http
    ? [`issuers.${name}: allow_http: anyone on the network path can forge keys and responses; use https`]
    : [];

const longLifetime: Rule = (name, { max_lifetime }) =>
  max_lifetime > DEFAULT_MAX_LIFETIME_MS
    ? [
        `issuers.${name}: max_lifetime is more than 24h: a stolen token works for that long, and revocations are kept for that long`,
      ]
    : [];

const sessionWithoutSid: Rule = (name, { backchannel_logout, required_claims, claim_names }) =>
  backchannel_logout?.ends === 'session' &&
  !['sid', claim_names.session ?? []].flat().some((path) => required_claims.includes(path))
    ? [
        `issuers.${name}.backchannel_logout: ends: session ends no access token that carries no sid; add sid to required_claims if all of them carry one, else set ends: both`,
      ]
    : [];

/** Where a provider is named, it is an error (provider-problems.ts). */
const noAudiences: Rule = (name, { audiences, validation, claims, provider, api_keys }) =>
  api_keys === undefined &&
  audiences === undefined &&
  validation === undefined &&
  provider === undefined &&
  !limitsAudience(claims)
    ? [
        `issuers.${name}: no audiences: tokens that were issued for other services are accepted; name yours, or where its tokens have no aud, add a rule to claims that only yours satisfy, such as client_id`,
      ]
    : [];

/** What ID tokens and refresh tokens carry as well: to ask for these tells nothing apart. */
const CLAIMS_OF_ALL_KINDS: ReadonlySet<string> = new Set([
  'iss',
  'sub',
  'aud',
  'exp',
  'nbf',
  'iat',
  'jti',
  'sid',
  'azp',
  'auth_time',
  'acr',
  'amr',
  'nonce',
  'email',
  'name',
  'preferred_username',
]);

const unclearKind: Rule = (name, issuer) => {
  const { token_type, required_claims, provider } = issuer;
  if (provider !== undefined && takenOut(provider, issuer).length === 0) return [];
  if (token_type !== 'any' || required_claims.some((path) => !CLAIMS_OF_ALL_KINDS.has(path))) return [];
  return [
    `issuers.${name}: token_type: any without required_claims that only access tokens carry: an ID token that does not say what it is passes as an access token; add such a claim, for example required_claims: [scope]`,
  ];
};

const reassignableSubject: Rule = (name, { claim_names }) =>
  claim_names.subject !== null && NAMES_OF_USERS.has(claim_names.subject)
    ? [
        `issuers.${name}: claim_names.subject: ${claim_names.subject}: such a name can pass to another person, who is then taken for the first one; use sub, or another claim that the issuer never gives again`,
      ]
    : [];

const everyTenant: Rule = (name, { tenants }) =>
  tenants === 'any'
    ? [
        `issuers.${name}: tenants: any: every customer of the provider can have tokens made; the rules of claims alone keep them out. List the tenants if you know them`,
      ]
    : [];

const noClientLimit: Rule = (name, { introspection, validation }) => {
  const limits = (introspection ?? validation)?.per_client;
  return Object.entries(limits ?? {}).flatMap(([key, limit]) =>
    limit === 0
      ? [
          `issuers.${name}: per_client.${key}: 0: one client with made-up tokens can use up what the server allows the gateway, and the tokens of all others get 503; set a number`,
        ]
      : [],
  );
};

const RULES: readonly Rule[] = [
  plaintext,
  longLifetime,
  sessionWithoutSid,
  noAudiences,
  unclearKind,
  providerWarnings,
  reassignableSubject,
  everyTenant,
  noClientLimit,
];

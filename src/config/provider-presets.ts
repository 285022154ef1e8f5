/**
 * What `provider:` of an issuer stands for: how the tokens of well-known authorization servers look. A preset only fills in
 * keys that the user could write too (expand-providers.ts), and none of them loosens the check of signature, issuer or
 * expiry. The documents of each provider, and what was found there, are in docs/providers/. Pure. Rules J18, J19.
 */
import { isRaw, textOf, type Raw } from './raw-document.ts';

export const PROVIDERS = [
  'keycloak',
  'entra',
  'auth0',
  'okta',
  'cognito',
  'google',
  'firebase',
  'kubernetes',
  'github-actions',
  'zitadel',
  'authentik',
  'supabase',
  'clerk',
  'workos',
  'hydra',
  'spring',
  'duende',
] as const;
export type Provider = (typeof PROVIDERS)[number];

export function isProvider(value: unknown): value is Provider {
  return (PROVIDERS as readonly unknown[]).includes(value);
}

/** The keys of an issuer that a preset sets, as they are written in the configuration file. */
export interface Preset {
  readonly token_type?: 'at+jwt' | 'any' | 'id_token';
  readonly audiences?: readonly string[];
  readonly required_claims?: readonly string[];
  readonly claims?: Raw;
  readonly claim_names: Raw;
  readonly clock_skew?: string;
  readonly max_lifetime?: string;
}

/**
 * What the provider means for this issuer.
 *
 * @param issuer as the user wrote it: some providers have several kinds of tokens, told apart by their issuer
 */
export function presetOf(provider: Provider, issuer: Raw): Preset {
  const preset = PRESETS[provider](issuer);
  if (!isOpaqueOnly(issuer)) return preset;
  const names = { claim_names: namesInResponses(preset.claim_names) };
  return issuer['introspection'] === undefined ? names : { ...IN_RESPONSES[provider], ...names };
}

/** What introspection responses about access tokens have, and those about other tokens have not. */
const IN_RESPONSES: Partial<Readonly<Record<Provider, Omit<Preset, 'claim_names'>>>> = {
  // It responds `active: true` about refresh and ID tokens as well, without saying what they are.
  spring: { required_claims: ['token_type'] },
};

const KEY_SOURCES = ['discovery', 'jwks_url', 'jwks_file', 'jwks', 'hmac_secret', 'hmac_secret_file'];

/** Are its tokens only asked about, and never verified here? */
function isOpaqueOnly(issuer: Raw): boolean {
  const isAsked = issuer['introspection'] !== undefined || issuer['validation'] !== undefined;
  return isAsked && KEY_SOURCES.every((key) => issuer[key] === undefined);
}

/** Responses about a token have the names of RFC 7662, whatever the provider calls the claims of its JWTs. */
function namesInResponses(names: Raw): Raw {
  const after = (first: string, own: unknown): unknown =>
    Array.isArray(own) ? [...new Set([first, ...(own as unknown[])])] : [first];
  return { ...names, client: after('client_id', names['client']), scopes: after('scope', names['scopes']) };
}

const ABSENT: Raw = { absent: true };

/**
 * For tokens that name no session: to revoke one is refused then. A logout of this issuer may name the session, and its
 * `ends` says what is revoked: there the usual names stay.
 */
const noSession = ({ backchannel_logout }: Raw): Raw =>
  backchannel_logout === undefined ? { session: null } : {};

/** In every access token of v2.0 is `azp`, in every one of v1.0 `appid`; no ID token has either. */
const entraClient = ({ issuer }: Raw): string => (/\/v2\.0\/?$/.test(textOf(issuer)) ? 'azp' : 'appid');

/** Tokens of AuthKit sessions; the others are those of Connect applications. */
const isWorkosSession = ({ issuer }: Raw): boolean =>
  /^https:\/\/api\.workos\.com(?:\/|$)|\/user_management\/client_/.test(textOf(issuer));

const workos = (issuer: Raw): Preset => {
  if (!isWorkosSession(issuer))
    return {
      token_type: 'any',
      required_claims: ['client_id', 'jti'],
      claims: { nonce: ABSENT },
      claim_names: { client: ['client_id'], scopes: ['scope'], session: ['sid'], tenant: 'org_id' },
    };
  // The issuer of an environment has its client id in it: that names for whom the token is.
  const ofClient = /\/user_management\/client_[^/]+$/.test(textOf(issuer['issuer']));
  return {
    token_type: 'any',
    required_claims: ['sid'],
    claims: { ...(ofClient ? { iss: [issuer['issuer']] } : {}), nonce: ABSENT },
    claim_names: { client: ['client_id'], scopes: ['scope'], session: ['sid'], tenant: 'org_id' },
  };
};

const PRESETS: Readonly<Record<Provider, (issuer: Raw) => Preset>> = {
  keycloak: () => ({
    token_type: 'any',
    // Refresh tokens have Refresh or Offline there, ID tokens have ID.
    claims: { typ: ['Bearer', 'DPoP'] },
    claim_names: { client: ['azp', 'client_id'], scopes: ['scope'], session: ['sid', 'session_state'] },
  }),
  entra: (issuer) => ({
    token_type: 'any',
    required_claims: [entraClient(issuer)],
    claim_names: { client: ['azp', 'appid'], scopes: ['scp'], session: ['sid'], tenant: 'tid' },
  }),
  auth0: (issuer) => ({
    token_type: 'any',
    claims: { nonce: ABSENT },
    claim_names: { client: ['client_id', 'azp'], scopes: ['scope'], ...noSession(issuer) },
  }),
  okta: (issuer) => ({
    token_type: 'any',
    required_claims: ['cid'],
    // sub is the login name, which may pass to another user; uid never does.
    claim_names: { subject: 'uid', client: ['cid'], scopes: ['scp'], ...noSession(issuer) },
  }),
  cognito: () => ({
    token_type: 'any',
    claims: { token_use: ['access'] },
    // All tokens of one login have the same origin_jti.
    claim_names: { client: ['client_id'], scopes: ['scope'], session: ['origin_jti'] },
  }),
  google: (issuer) => ({
    token_type: 'id_token',
    claim_names: { client: ['azp'], scopes: null, ...noSession(issuer), tenant: 'hd' },
  }),
  firebase: (issuer) => ({
    token_type: 'id_token',
    required_claims: ['auth_time', 'firebase.sign_in_provider'],
    claim_names: { client: null, scopes: null, ...noSession(issuer), tenant: 'firebase.tenant' },
  }),
  kubernetes: () => ({
    token_type: 'any',
    required_claims: ['kubernetes\\.io.serviceaccount.uid'],
    claim_names: { client: null, scopes: null, session: null, tenant: 'kubernetes\\.io.namespace' },
  }),
  'github-actions': () => ({
    token_type: 'any',
    required_claims: ['repository_id', 'repository_owner_id', 'run_id'],
    claim_names: {
      client: ['repository_id'],
      scopes: null,
      session: ['run_id'],
      tenant: 'repository_owner_id',
    },
    max_lifetime: '1h',
  }),
  zitadel: (issuer) => ({
    token_type: 'any',
    required_claims: ['jti'],
    claims: { nonce: ABSENT },
    claim_names: {
      client: ['client_id', 'azp'],
      scopes: ['scope'],
      ...noSession(issuer),
      tenant: 'urn:zitadel:iam:user:resourceowner:id',
    },
  }),
  authentik: () => ({
    token_type: 'any',
    // An access token is the ID token with these two added.
    required_claims: ['azp', 'uid'],
    claim_names: { client: ['azp'], scopes: ['scope'], session: ['sid'] },
  }),
  supabase: () => ({
    token_type: 'any',
    audiences: ['authenticated'],
    required_claims: ['session_id'],
    claims: { role: ['authenticated'] },
    claim_names: { client: ['client_id'], scopes: ['scope'], session: ['session_id'] },
  }),
  clerk: () => ({
    token_type: 'any',
    // Tokens of a JWT template, which are for other services, have no sid.
    required_claims: ['sid'],
    claim_names: { client: ['azp'], scopes: null, session: ['sid'], tenant: 'o.id' },
    // They live for 60 seconds.
    clock_skew: '5s',
  }),
  workos,
  hydra: (issuer) => ({
    token_type: 'any',
    required_claims: ['client_id', 'jti'],
    claims: { nonce: ABSENT },
    // Its access tokens name the session and the time of login only where the consent application adds them.
    claim_names: {
      client: ['client_id'],
      scopes: ['scp', 'scope'],
      session: ['ext.sid', 'sid'],
      login_time: ['ext.auth_time', 'auth_time'],
      ...noSession(issuer),
    },
  }),
  spring: (issuer) => ({
    token_type: 'any',
    // An ID token has the same aud, and no nbf.
    required_claims: ['nbf'],
    claims: { nonce: ABSENT },
    claim_names: { client: ['client_id', 'azp'], scopes: ['scope'], ...noSession(issuer) },
  }),
  duende: () => ({
    token_type: 'at+jwt',
    claim_names: { client: ['client_id'], scopes: ['scope'], session: ['sid'] },
  }),
};

/** What the preset of an issuer tells access tokens from ID tokens by, and the user's own keys have taken out. */
export function takenOut(provider: Provider, issuer: Raw): string[] {
  const { required_claims: required = [], claims = {} } = presetOf(provider, issuer);
  const kept = Array.isArray(issuer['required_claims']) ? (issuer['required_claims'] as unknown[]) : [];
  const rules = isRaw(issuer['claims']) ? issuer['claims'] : {};
  return [
    ...required.filter((claim) => !kept.includes(claim)).map((claim) => `required_claims: ${claim}`),
    ...Object.keys(claims)
      .filter((claim) => !Object.hasOwn(rules, claim))
      .map((claim) => `claims: ${claim}`),
  ];
}

/**
 * What is allowed but risky: said by `check` and `run`, failed by `check --strict`.
 */
import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { isOriginPattern } from '../http/cors.ts';
import type { LoadedConfiguration } from './load.ts';
import type { IssuerConfiguration } from './schema.ts';
import { isLoopback } from './issuer-problems.ts';

const DEFAULT_MAX_LIFETIME_MS = 24 * 3_600_000;

/** One line for each risk: what it is, what to do. */
export function configurationWarnings(loaded: LoadedConfiguration): string[] {
  const { configuration } = loaded;
  const { listeners, admin, revocation, issuers, routes } = configuration;
  return [
    ...listeners
      .filter(({ host, tls, serve }) => !tls && serve !== 'redirect' && !isLoopback(host))
      .map(
        ({ host, port }) =>
          `listeners: ${host}:${port} is plaintext beyond loopback: tokens can be read on the way; add tls, or put TLS in front of it`,
      ),
    ...listeners
      .filter(({ tls }) => tls?.http2_strict_fields === false && tls.protocols.includes('h2'))
      .map(
        ({ host, port }) =>
          `listeners: ${host}:${port} has http2_strict_fields: false: an HTTP/2 request is served without its malformed fields, which a proxy in front may have read; remove the line`,
      ),
    ...listeners
      .filter(({ serve, trusted_peers = [] }) => serve === 'decisions' && trusted_peers.length === 0)
      .map(
        ({ host, port }) =>
          `listeners: ${host}:${port} serves decisions, but has no trusted_peers: everybody gets 403; add the proxies that ask`,
      ),
    ...(hasAdminToken(admin) && !admin.tls && !isLoopback(admin.host)
      ? [
          `admin: ${admin.host}:${admin.port} is plaintext beyond loopback: the admin token can be read on the way; add admin.tls`,
        ]
      : []),
    ...(revocation.store === 'memory:' && routes.some(({ auth }) => auth.mode !== 'none')
      ? [
          'revocation.store: memory: forgets every revocation at a restart and tells no other gateway; use sqlite:FILE or redis://',
        ]
      : []),
    ...(revocation.when_stale === 'allow'
      ? ['revocation.when_stale: allow lets revoked tokens pass while the store is down; use deny']
      : []),
    ...routes
      .filter(({ when_stale }) => when_stale === 'allow')
      .map(
        ({ name }) =>
          `routes: ${name} has when_stale: allow: revoked tokens pass while the store is down; use deny`,
      ),
    ...routes
      .filter(({ auth }) => auth.report_only)
      .map(
        ({ name }) =>
          `routes: ${name} has report_only: who has no valid token, or no permission, passes all the same; remove it once the log is quiet`,
      ),
    ...routes.flatMap(({ name, cors }) =>
      cors?.credentials === true
        ? cors.origins
            .filter(isOriginPattern)
            .map(
              (origin) =>
                `routes: ${name} has cors.credentials with ${origin}: a page on any host below that name can use the cookies of its visitors; name the origins`,
            )
        : [],
    ),
    ...Object.entries(issuers).flatMap(([name, issuer]) => [
      ...(issuer.allow_http
        ? [`issuers.${name}: allow_http: whoever is on the way can forge keys and answers; use https`]
        : []),
      ...(issuer.max_lifetime > DEFAULT_MAX_LIFETIME_MS
        ? [
            `issuers.${name}: max_lifetime is more than 24h: a stolen token works for that long, and revocations are kept for that long`,
          ]
        : []),
      ...(issuer.backchannel_logout?.ends === 'session' && !issuer.required_claims.includes('sid')
        ? [
            `issuers.${name}.backchannel_logout: ends: session ends no access token that carries no sid; add sid to required_claims where all of them carry one, else set ends: both`,
          ]
        : []),
      ...(issuer.audiences === undefined && issuer.validation === undefined
        ? [
            `issuers.${name}: no audiences: tokens that were issued for other services are accepted; name yours`,
          ]
        : []),
      ...kindWarnings(name, issuer),
      ...clientLimitWarnings(name, issuer),
    ]),
    ...keyFolders(loaded).flatMap(([key, folder]) =>
      writableByOthers(folder)
        ? [`${key}: ${folder} may be written to by others, so that the keys in it are not used; chmod 700 it`]
        : [],
    ),
    ...secretFiles(loaded).flatMap(([key, file]) =>
      readableByAll(file) ? [`${key}: ${file} can be read by every user; chmod 600 it`] : [],
    ),
    ...(hasInlineSecret(loaded) && readableByAll(loaded.file)
      ? [`${loaded.file} holds secrets and can be read by every user; chmod 600 it, or use the _file keys`]
      : []),
  ];
}

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

function kindWarnings(name: string, { token_type, required_claims }: IssuerConfiguration): string[] {
  if (token_type !== 'any' || required_claims.some((path) => !CLAIMS_OF_ALL_KINDS.has(path))) return [];
  return [
    `issuers.${name}: token_type: any without required_claims that only access tokens carry: an ID token that does not say what it is passes as an access token; add such a claim, for example required_claims: [scope]`,
  ];
}

function clientLimitWarnings(name: string, { introspection, validation }: IssuerConfiguration): string[] {
  const limits = (introspection ?? validation)?.per_client;
  return Object.entries(limits ?? {}).flatMap(([key, limit]) =>
    limit === 0
      ? [
          `issuers.${name}: per_client.${key}: 0: one client with made-up tokens can use up what the server allows the gateway, and the tokens of all others get 503; set a number`,
        ]
      : [],
  );
}

function hasAdminToken({ token, tokens }: LoadedConfiguration['configuration']['admin']): boolean {
  return token !== undefined || tokens !== undefined;
}

/** Folders that keep key sets, by the key that names them. */
function keyFolders({ configuration, folder }: LoadedConfiguration): [key: string, folder: string][] {
  return Object.entries(configuration.issuers).flatMap(([name, { keys }]): [string, string][] =>
    keys.cache_dir === undefined ? [] : [[`issuers.${name}.keys.cache_dir`, resolve(folder, keys.cache_dir)]],
  );
}

function secretFiles({ configuration, folder }: LoadedConfiguration): [key: string, file: string][] {
  const { admin, issuers, identity } = configuration;
  const candidates: [string, string | undefined][] = [
    ['log_key_file', configuration.log_key_file],
    ['admin.token_file', admin.token_file],
    ...(admin.tokens ?? []).map((token, index): [string, string | undefined] => [
      `admin.tokens[${index}].token_file`,
      token.token_file,
    ]),
    ...Object.entries(issuers).flatMap(([name, issuer]): [string, string | undefined][] => [
      [`issuers.${name}.hmac_secret_file`, issuer.hmac_secret_file],
      [`issuers.${name}.introspection.client_secret_file`, issuer.introspection?.client_secret_file],
    ]),
    ...redisSecrets(configuration).map(({ file }): [string, string | undefined] => [
      'revocation.store',
      file,
    ]),
    ['identity.assertion.key_file', identity.assertion?.key_file],
    ['revocation.tls.key_file', configuration.revocation.tls?.key_file],
    ['admin.tls.key_file', configuration.admin.tls?.key_file],
    ...configuration.listeners.map(({ tls }, index): [string, string | undefined] => [
      `listeners[${index}].tls.key_file`,
      tls?.key_file,
    ]),
    ...Object.entries(configuration.upstreams).map(([name, { tls }]): [string, string | undefined] => [
      `upstreams.${name}.tls.key_file`,
      tls?.key_file,
    ]),
  ];
  return candidates.flatMap(([key, file]) => (file === undefined ? [] : [[key, resolve(folder, file)]]));
}

/** Does the file itself hold a secret, rather than a variable or the name of a file? */
function hasInlineSecret({ configuration, file }: LoadedConfiguration): boolean {
  const { admin, issuers, log_key } = configuration;
  const secrets = [
    log_key,
    admin.token,
    ...(admin.tokens ?? []).map(({ token }) => token),
    ...Object.values(issuers).flatMap(({ hmac_secret, introspection }) => [
      hmac_secret,
      introspection?.client_secret,
    ]),
    ...redisSecrets(configuration).map(({ secret }) => secret),
    configuration.revocation.tls?.key,
    configuration.admin.tls?.key,
    ...configuration.listeners.map(({ tls }) => tls?.key),
    ...Object.values(configuration.upstreams).map(({ tls }) => tls?.key),
  ].filter((secret) => secret !== undefined);
  const text = secrets.length > 0 ? contentOf(file) : '';
  return secrets.some((secret) => text.includes(secret));
}

function redisSecrets({ revocation: { store } }: LoadedConfiguration['configuration']): {
  readonly file: string | undefined;
  readonly secret: string | undefined;
}[] {
  if (typeof store === 'string') {
    const { password } = URL.canParse(store) ? new URL(store) : { password: '' };
    return password === '' ? [] : [{ file: undefined, secret: password }];
  }
  const own = { file: store.password_file, secret: store.password };
  return 'cluster' in store
    ? [own]
    : [own, { file: store.sentinel_password_file, secret: store.sentinel_password }];
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

const READ_BY_OTHERS = 0o004;
const WRITTEN_BY_OTHERS = 0o022;

function writableByOthers(folder: string): boolean {
  try {
    return (statSync(folder).mode & WRITTEN_BY_OTHERS) !== 0;
  } catch {
    // It is made at the first save.
    return false;
  }
}

function readableByAll(file: string): boolean {
  try {
    return (statSync(file).mode & READ_BY_OTHERS) !== 0;
  } catch {
    return false;
  }
}

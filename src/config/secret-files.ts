/** Where the secrets of a configuration are: the files that it names, and the configuration file itself. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { LoadedConfiguration } from './load.ts';

type Candidate = readonly [key: string, file: string | undefined];

/** Every file that holds a secret, by the key that names it. */
export function secretFiles({ configuration, folder }: LoadedConfiguration): [key: string, file: string][] {
  const candidates: readonly Candidate[] = [
    ['log_key_file', configuration.log_key_file],
    ['dpop.nonces.secret_file', configuration.dpop.nonces?.secret_file],
    ...adminFiles(configuration),
    ...issuerFiles(configuration),
    ...redisSecrets(configuration).map(({ file }): Candidate => ['revocation.store', file]),
    ...signalFiles(configuration),
    ['identity.assertion.key_file', configuration.identity.assertion?.key_file],
    ['proof.key_file', configuration.proof?.key_file],
    ...tlsKeyFiles(configuration),
  ];
  return candidates.flatMap(([key, file]) => (file === undefined ? [] : [[key, resolve(folder, file)]]));
}

type Configuration = LoadedConfiguration['configuration'];

const adminFiles = ({ admin }: Configuration): Candidate[] => [
  ['admin.token_file', admin.token_file],
  ...(admin.tokens ?? []).map(({ token_file }, index): Candidate => [
    `admin.tokens[${index}].token_file`,
    token_file,
  ]),
];

const issuerFiles = ({ issuers }: Configuration): Candidate[] =>
  Object.entries(issuers).flatMap(
    ([name, { hmac_secret_file, api_keys, introspection, http }]): Candidate[] => [
      [`issuers.${name}.hmac_secret_file`, hmac_secret_file],
      [`issuers.${name}.api_keys.integrity_key_file`, api_keys?.integrity_key_file],
      [`issuers.${name}.introspection.client_secret_file`, introspection?.client_secret_file],
      [`issuers.${name}.introspection.key_file`, introspection?.key_file],
      [`issuers.${name}.http.tls.key_file`, http?.tls?.key_file],
    ],
  );

const signalFiles = ({ signals }: Configuration): Candidate[] =>
  Object.entries(signals).flatMap(([name, { push, http, oauth }]): Candidate[] => [
    [`signals.${name}.oauth.client_secret_file`, oauth?.client_secret_file],
    [`signals.${name}.oauth.key_file`, oauth?.key_file],
    [`signals.${name}.http.bearer_token_file`, http?.bearer_token_file],
    [`signals.${name}.push.authorization_file`, push?.authorization_file],
    [`signals.${name}.http.tls.key_file`, http?.tls?.key_file],
  ]);

const tlsKeyFiles = ({ revocation, admin, listeners, upstreams }: Configuration): Candidate[] => [
  ['revocation.tls.key_file', revocation.tls?.key_file],
  ['admin.tls.key_file', admin.tls?.key_file],
  ...listeners.map(({ tls }, index): Candidate => [`listeners[${index}].tls.key_file`, tls?.key_file]),
  ...Object.entries(upstreams).map(([name, { tls }]): Candidate => [
    `upstreams.${name}.tls.key_file`,
    tls?.key_file,
  ]),
];

/** Does the file itself hold a secret, rather than a variable or the name of a file? */
export function hasInlineSecret({ configuration, file }: LoadedConfiguration): boolean {
  const { admin, dpop, issuers, log_key } = configuration;
  const secrets = [
    log_key,
    dpop.nonces?.secret,
    admin.token,
    ...(admin.tokens ?? []).map(({ token }) => token),
    ...Object.values(issuers).flatMap(({ hmac_secret, api_keys, introspection, http }) => [
      hmac_secret,
      api_keys?.integrity_key,
      introspection?.client_secret,
      introspection?.key,
      http?.tls?.key,
      proxyPassword(http),
    ]),
    ...redisSecrets(configuration).map(({ secret }) => secret),
    ...Object.values(configuration.signals).flatMap(({ push, http, oauth }) => [
      push?.authorization,
      oauth?.client_secret,
      oauth?.key,
      http?.tls?.key,
      proxyPassword(http),
    ]),
    configuration.revocation.tls?.key,
    configuration.admin.tls?.key,
    ...configuration.listeners.map(({ tls }) => tls?.key),
    ...Object.values(configuration.upstreams).map(({ tls }) => tls?.key),
  ].filter((secret) => secret !== undefined);
  const text = secrets.length > 0 ? contentOf(file) : '';
  return secrets.some((secret) => text.includes(secret));
}

function proxyPassword(http: Configuration['issuers'][string]['http']): string | undefined {
  const { isEnvironment = true, url } = http?.proxy ?? {};
  const password = isEnvironment || url === undefined ? '' : new URL(url).password;
  return password === '' ? undefined : password;
}

function redisSecrets({ revocation: { store } }: Configuration): {
  readonly file: string | undefined;
  readonly secret: string | undefined;
}[] {
  if (typeof store === 'string') {
    const { password } = URL.canParse(store) ? new URL(store) : { password: '' };
    return password === '' ? [] : [{ file: undefined, secret: password }];
  }
  const own = { file: store.password_file, secret: store.password };
  return 'sentinels' in store
    ? [own, { file: store.sentinel_password_file, secret: store.sentinel_password }]
    : [own];
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

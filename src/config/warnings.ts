/**
 * What is allowed but risky: printed by `check` and `run`, failed by `check --strict`.
 */
import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isOriginPattern } from '../http/cors.ts';
import { headerAlias } from '../http/header-names.ts';
import { isLoopback } from '../http/loopback.ts';
import { shortAdminTokens } from './admin-problems.ts';
import { apiKeyWarnings } from './api-key-warnings.ts';
import { claimRuleWarnings } from './claim-rule-warnings.ts';
import { clientCertificateWarnings } from './client-certificate-checks.ts';
import { identityNames } from './identity-map.ts';
import { isOpaqueIssuer } from './issuer-schema.ts';
import { issuerWarnings } from './issuer-warnings.ts';
import { offeredOverTls } from './listener-protocols.ts';
import type { LoadedConfiguration } from './load.ts';
import { logFactsWarnings } from './log-facts-warnings.ts';
import { missedClaimWarnings } from './missed-claim-warnings.ts';
import { possessionWarnings } from './possession-warnings.ts';
import { proofWarnings } from './proof-problems.ts';
import { rateLimitWarnings } from './rate-limit-warnings.ts';
import { issuersForResources, resourceWarnings } from './resource-warnings.ts';
import { routeUpstreamWarnings } from './route-upstream-warnings.ts';
import type { Configuration } from './schema.ts';
import { hasInlineSecret, secretFiles } from './secret-files.ts';
import { signalWarnings } from './signal-warnings.ts';
import { tenantWarnings } from './tenant-warnings.ts';
import { templateWarnings } from './template-warnings.ts';
import { tooManyWorkers } from './worker-count.ts';

/** One line for each risk: what it is, what to do. */
export function configurationWarnings(loaded: LoadedConfiguration): string[] {
  return [
    ...RULES.flatMap((rule) => rule(loaded.configuration)),
    ...shortAdminTokens(loaded.configuration),
    ...issuerWarnings(loaded.configuration.issuers, issuersForResources(loaded.configuration)),
    ...apiKeyWarnings(loaded.configuration),
    ...claimRuleWarnings(loaded.configuration),
    ...missedClaimWarnings(loaded.configuration),
    ...clientCertificateWarnings(loaded.configuration, isEveryAddress),
    ...routeUpstreamWarnings(loaded.configuration),
    ...tenantWarnings(loaded.configuration),
    ...templateWarnings(loaded.configuration),
    ...possessionWarnings(loaded.configuration),
    ...resourceWarnings(loaded.configuration),
    ...rateLimitWarnings(loaded.configuration),
    ...proofWarnings(loaded.configuration),
    ...logFactsWarnings(loaded.configuration),
    ...signalWarnings(loaded.configuration),
    ...unusedIntrospection(loaded.configuration),
    ...FILE_RULES.flatMap((rule) => rule(loaded)),
  ];
}

/** Introspection beside keys that no route asks for. */
const unusedIntrospection = ({ issuers, routes }: Configuration): string[] =>
  Object.entries(issuers)
    .filter(([, issuer]) => issuer.introspection !== undefined && !isOpaqueIssuer(issuer))
    .filter(([name]) => !routes.some(({ auth }) => auth.fresh && (auth.issuers?.includes(name) ?? true)))
    .map(
      ([name]) =>
        `issuers.${name}.introspection: no route asks this server, so a token that it revokes passes until it expires; add auth.fresh: true to the routes that must know, or remove it`,
    );

type Rule = (configuration: Configuration) => readonly string[];
/** A rule that also looks at the files of the configuration. */
type FileRule = (loaded: LoadedConfiguration) => readonly string[];

const plaintextListeners: Rule = ({ listeners }) =>
  listeners
    .filter(({ host, tls, serve }) => !tls && serve !== 'redirect' && !isLoopback(host))
    .map(
      ({ host, port }) =>
        `listeners: ${host}:${port} is plaintext beyond loopback: tokens can be read on the way; add tls, or put TLS in front of it`,
    );

const laxFields: Rule = ({ listeners }) =>
  listeners
    .filter(
      (listener) => listener.tls?.http2_strict_fields === false && offeredOverTls(listener).includes('h2'),
    )
    .map(
      ({ host, port }) =>
        `listeners: ${host}:${port} has http2_strict_fields: false: an HTTP/2 request is served without its malformed fields, which a proxy in front may have read; remove the line`,
    );

const decisionsForNone: Rule = ({ listeners }) =>
  listeners
    .filter(({ serve, trusted_peers = [] }) => serve === 'decisions' && trusted_peers.length === 0)
    .map(
      ({ host, port }) =>
        `listeners: ${host}:${port} serves decisions, but has no trusted_peers: every request gets 403; add the proxies that ask`,
    );

/** Every address of IPv4, or of IPv6. */
const isEveryAddress = (network: string): boolean => /\/0+$/.test(network);

const trustsAll: Rule = ({ listeners, trusted_proxies }) => [
  ...trusted_proxies
    .filter(isEveryAddress)
    .map(
      (network) =>
        `trusted_proxies: ${network} believes the X-Forwarded-For of every client, so that each chooses its own address; name the proxies`,
    ),
  ...listeners.flatMap(({ host, port, trusted_peers = [] }) =>
    trusted_peers
      .filter(isEveryAddress)
      .map(
        (network) =>
          `listeners: ${host}:${port} has trusted_peers ${network}: everything that reaches it may ask about any request, and try tokens; name the proxies`,
      ),
  ),
];

const plaintextAdmin: Rule = ({ admin }) =>
  (admin.token !== undefined || admin.tokens !== undefined || admin.auth !== undefined) &&
  !admin.tls &&
  !isLoopback(admin.host)
    ? [
        `admin: ${admin.host}:${admin.port} is plaintext beyond loopback: the admin token can be read on the way; add admin.tls`,
      ]
    : [];

const forgottenRevocations: Rule = ({ revocation, routes }) =>
  revocation.store === 'memory:' && routes.some(({ auth }) => auth.mode !== 'none')
    ? [
        'revocation.store: memory: forgets every revocation at a restart and tells no other gateway; use sqlite:FILE or redis://',
      ]
    : [];

const failsOpen: Rule = ({ revocation, routes }) => [
  ...(revocation.when_stale === 'allow'
    ? ['revocation.when_stale: allow lets revoked tokens pass while the store is down; use deny']
    : []),
  ...routes
    .filter(({ when_stale }) => when_stale === 'allow')
    .map(
      ({ name }) =>
        `routes: ${name} has when_stale: allow: revoked tokens pass while the store is down; use deny`,
    ),
];

const reportsOnly: Rule = ({ routes }) =>
  routes
    .filter(({ auth }) => auth.report_only)
    .map(
      ({ name }) =>
        `routes: ${name} has report_only: requests without a valid token or permission pass; remove it once the log is quiet`,
    );

const credentialsOfMany: Rule = ({ routes }) =>
  routes.flatMap(({ name, cors }) =>
    cors?.credentials === true
      ? cors.origins
          .filter(isOriginPattern)
          .map(
            (origin) =>
              `routes: ${name} has cors.credentials with ${origin}: a page on any host below that name can use the cookies of its visitors; name the origins`,
          )
      : [],
  );

const MIN_LOG_KEY_CHARACTERS = 16;

const guessableLogKey: Rule = ({ log_key }) =>
  log_key !== undefined && log_key.length < MIN_LOG_KEY_CHARACTERS
    ? [
        `log_key: a key of fewer than ${MIN_LOG_KEY_CHARACTERS} characters can be guessed from the log, and subjects with it; make one with openssl rand -base64 32`,
      ]
    : [];

/** The header is the client's own until the route is known: no claim has been written into it. */
const routedByIdentity: Rule = (configuration) => {
  const { identity, routes } = configuration;
  const written = [
    ...identityNames(configuration),
    ...(identity.assertion ? [identity.assertion.header] : []),
  ];
  const aliases = new Set(written.map(headerAlias));
  return routes.flatMap(({ name, match }) =>
    Object.keys(match.headers ?? {})
      .filter((header) => aliases.has(headerAlias(header)))
      .map(
        (header) =>
          `routes: ${name} match.headers.${header}: compares what the client writes there, not its token, and no service sees it; match something else, or choose the upstream by claims`,
      ),
  );
};

const RULES: readonly Rule[] = [
  routedByIdentity,
  plaintextListeners,
  laxFields,
  decisionsForNone,
  trustsAll,
  plaintextAdmin,
  forgottenRevocations,
  failsOpen,
  reportsOnly,
  credentialsOfMany,
  guessableLogKey,
  tooManyWorkers,
];

const writableKeyFolders: FileRule = (loaded) =>
  keyFolders(loaded).flatMap(([key, folder]) =>
    writableByOthers(folder)
      ? [`${key}: other users can write to ${folder}, so that the keys in it are not used; chmod 700 it`]
      : [],
  );

const readableSecrets: FileRule = (loaded) =>
  secretFiles(loaded).flatMap(([key, file]) =>
    readableByAll(file) ? [`${key}: ${file} can be read by every user; chmod 600 it`] : [],
  );

const readableConfiguration: FileRule = (loaded) =>
  hasInlineSecret(loaded) && readableByAll(loaded.file)
    ? [`${loaded.file} holds secrets and can be read by every user; chmod 600 it, or use the _file keys`]
    : [];

/** Who can write there can make keys. */
const writableKeyFiles: FileRule = ({ configuration, folder }) =>
  Object.entries(configuration.issuers).flatMap(([name, { api_keys: keys }]) => {
    if (keys?.file === undefined) return [];
    const file = resolve(folder, keys.file);
    return [file, dirname(file)].some(writableByOthers)
      ? [
          `issuers.${name}.api_keys.file: other users can write to ${file} or its folder, and so make keys for themselves; chmod 640 the file and 750 the folder`,
        ]
      : [];
  });

const FILE_RULES: readonly FileRule[] = [
  writableKeyFiles,
  writableKeyFolders,
  readableSecrets,
  readableConfiguration,
];

/** Folders that keep key sets, by the key that names them. */
function keyFolders({ configuration, folder }: LoadedConfiguration): [key: string, folder: string][] {
  return Object.entries(configuration.issuers).flatMap(([name, { keys, api_keys }]) =>
    Object.entries({ keys: keys.cache_dir, api_keys: api_keys?.cache_dir }).flatMap(
      ([section, cacheDir]): [string, string][] =>
        cacheDir === undefined ? [] : [[`issuers.${name}.${section}.cache_dir`, resolve(folder, cacheDir)]],
    ),
  );
}

const READ_BY_OTHERS = 0o004;
const WRITTEN_BY_OTHERS = 0o022;

function writableByOthers(folder: string): boolean {
  try {
    return (statSync(folder).mode & WRITTEN_BY_OTHERS) !== 0;
  } catch {
    // It is made at the first save, or its absence is told as a problem.
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

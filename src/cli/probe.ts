/**
 * `check --online`: does everything that the configuration names respond?
 */
import { randomUUID } from 'node:crypto';
import { access, constants } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { fetchIssuerKeys } from '../assembly/issuer-key-sets.ts';
import { algorithmsOf } from '../assembly/key-sets.ts';
import { signersOf, tokenStatusSource } from '../assembly/opaque-issuers.ts';
import { serverAccess } from '../assembly/server-access.ts';
import { upstreamOptions } from '../assembly/upstream-options.ts';
import { systemClock } from '../clock.ts';
import { nameResolver } from '../dns/resolvers.ts';
import { isOpaqueIssuer } from '../config/issuer-schema.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import type { IssuerConfiguration } from '../config/schema.ts';
import { probeTarget } from './probe-target.ts';
import { redisLocation } from '../config/redis-location.ts';
import { probeRedis, type RedisLocation } from '../revocation/redis-connection.ts';
import type { StatusLists } from '../status-lists/status-lists.ts';
import { describeError } from '../telemetry/logger.ts';
import type { AuthorizationServerClient } from '../token/authorization-server-client.ts';
import type { TokenStatusSource } from '../token/authorization-server-guard.ts';
import { transmitterUrls } from '../token/key-discovery.ts';
import { StaticKeySet, type KeySet } from '../token/key-set.ts';
import { OPERATOR } from '../token/token-verifier.ts';
import { importKeySet } from '../token/verification-key.ts';

const STORE = 'revocation store';
const SQLITE = 'sqlite:';

export interface Probed {
  readonly what: string;
  readonly ok: boolean;
  readonly detail: string;
  readonly warning?: string;
}

/** Tries everything once, at the same time. */
export async function probe(
  loaded: LoadedConfiguration,
  client: AuthorizationServerClient,
  lists: StatusLists,
): Promise<Probed[]> {
  const { issuers, signals, upstreams, revocation } = loaded.configuration;
  const { store } = revocation;
  const location = redisLocation(revocation);
  const resolver = nameResolver(loaded.configuration.dns.servers, systemClock);
  return Promise.all([
    ...Object.entries(issuers).flatMap(([name, issuer]) =>
      probeIssuer(name, issuer, client.through(serverAccess(issuer, loaded.folder))),
    ),
    ...Object.entries(signals)
      .filter(([, { jwks_url: url, discovery }]) => url !== undefined || discovery)
      .map(([name, transmitter]) => {
        const through = client.through(serverAccess(transmitter, loaded.folder));
        return attempt(`keys of transmitter ${name}`, async () =>
          keysText(await fetchIssuerKeys(through, transmitter, transmitterUrls)),
        );
      }),
    ...[...lists.byIssuer.values()].flatMap((of) =>
      of.policy.uris.exact.map((uri) => attempt(`status list ${uri}`, () => of.probe(uri))),
    ),
    ...Object.entries(upstreams).flatMap(([name, upstream]) => {
      const { targets, ...options } = upstreamOptions(upstream);
      return targets.map(({ url }) => probeTarget(`upstream ${name} ${url.text}`, url, options, resolver));
    }),
    ...(location ? [redis(location)] : []),
    ...(typeof store === 'string' && store.startsWith(SQLITE)
      ? [attempt(STORE, () => sqlite(resolve(loaded.folder, store.slice(SQLITE.length))))]
      : []),
  ]);
}

/** @param client that reaches the servers of this issuer */
function probeIssuer(
  name: string,
  issuer: IssuerConfiguration,
  client: AuthorizationServerClient,
): Promise<Probed>[] {
  if (isOpaqueIssuer(issuer))
    return [attempt(`opaque tokens of ${name}`, () => probeOpaque(name, issuer, client))];
  const fetchesKeys = issuer.jwks_url !== undefined || issuer.discovery;
  return [
    ...(fetchesKeys
      ? [attempt(`keys of ${name}`, async () => keysText(await fetchIssuerKeys(client, issuer)))]
      : []),
    ...(issuer.introspection
      ? [attempt(`fresh responses of ${name}`, () => probeOpaque(name, issuer, client))]
      : []),
  ];
}

async function probeOpaque(
  name: string,
  issuer: IssuerConfiguration,
  client: AuthorizationServerClient,
): Promise<string> {
  const isSigned = issuer.introspection?.signed_response === true;
  const document = isSigned ? await fetchIssuerKeys(client, signersOf(issuer)) : { keys: [] };
  const { keys } = importKeySet(document, algorithmsOf(issuer));
  const signers = (): KeySet => new StaticKeySet(keys, { ignoreKeyId: false });
  const authority = tokenStatusSource(name, issuer, { client, clock: systemClock, signers });
  const responds = authority ? await askInVain(authority) : '';
  return isSigned ? `${responds}, signed; ${keysText(document)}` : responds;
}

async function attempt(what: string, work: () => Promise<string>): Promise<Probed> {
  try {
    return { what, ok: true, detail: await work() };
  } catch (error) {
    return { what, ok: false, detail: describeError(error) };
  }
}

function keysText(document: unknown): string {
  const { keys } = document as { keys?: unknown };
  if (!Array.isArray(keys)) throw new TypeError('it is no JWK Set');
  return `${keys.length} key${keys.length === 1 ? '' : 's'}`;
}

/** Asks about a token that was never issued: shows whether the gateway's own credentials are good. */
async function askInVain(authority: TokenStatusSource): Promise<string> {
  const { active } = await authority.ask(`sallyport-check-${randomUUID()}`, OPERATOR);
  if (active) throw new Error('it calls any token good');
  return 'responds';
}

/** Opens nothing: a file that another user had made would be in the way of the gateway's. */
async function sqlite(path: string): Promise<string> {
  // SQLite writes its journal beside the file.
  await access(dirname(path), constants.R_OK | constants.W_OK | constants.X_OK);
  const isThere = await access(path).then(
    () => true,
    () => false,
  );
  if (isThere) await access(path, constants.R_OK | constants.W_OK);
  return `${path} can be written`;
}

async function redis(location: RedisLocation): Promise<Probed> {
  const what = STORE;
  try {
    const { persistent, evictionPolicy, version } = await probeRedis(location);
    const risks = [
      ...(persistent
        ? []
        : [
            'Redis keeps nothing on disk: a restart of it forgets revocations and used proofs; set appendonly yes',
          ]),
      ...(evictionPolicy === 'noeviction'
        ? []
        : [
            `Redis may evict revocations and used proofs (maxmemory-policy ${evictionPolicy}); set noeviction`,
          ]),
    ];
    return {
      what,
      ok: true,
      detail: `Redis ${version}`,
      ...(risks.length > 0 ? { warning: risks.join('; ') } : {}),
    };
  } catch (error) {
    return { what, ok: false, detail: describeError(error) };
  }
}

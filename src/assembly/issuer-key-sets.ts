/** The key sets of the issuers of one configuration. Sets behind a URL refresh; a reload takes over those that stay the same. */
import { resolve } from 'node:path';
import type { Clock } from '../clock.ts';
import { isLoopback } from '../http/loopback.ts';
import { isHmac, type SignatureAlgorithm } from '../token/algorithms.ts';
import type { AuthorizationServerClient } from '../token/authorization-server-client.ts';
import { discoverKeySet, fetchKeySet, type MetadataUrls } from '../token/key-discovery.ts';
import { SecretBesideSet, type KeySet, type RefreshedKeySet } from '../token/key-set.ts';
import { REFETCH_INTERVAL_MS, RemoteKeySet, type RemoteKeySetOptions } from '../token/remote-key-set.ts';
import type { SkippedKey } from '../token/verification-key.ts';
import type { IssuerObserver } from './issuer-observer.ts';
import { parseJson } from './json-file.ts';
import {
  algorithmsOf,
  hasKeySet,
  keyCache,
  PUBLIC_KEYS,
  secretKeySet,
  staticKeySet,
  type KeyedConfiguration,
} from './key-sets.ts';
import { serverAccess } from './server-access.ts';

export type KeySetFactory = (source: string, options: RemoteKeySetOptions) => RefreshedKeySet;

export interface KeySetParts {
  readonly client: AuthorizationServerClient;
  readonly clock: Clock;
  readonly observer: IssuerObserver;
  /** Where the key sets behind URLs come from instead. */
  readonly fetchKeys?: (issuerName: string) => Promise<unknown>;
  /** Makes a key set behind a URL, for one that is shared between workers; `source`: all that it is made of. */
  readonly keySetOf?: KeySetFactory | undefined;
  /** For a look at one token: an unknown kid is looked for at once, and key sets are neither stored nor restored. */
  readonly oneLook?: boolean;
  /** Where metadata is discovered; undefined: where authorization servers have theirs. */
  readonly metadataUrls?: MetadataUrls;
}

interface KeySource {
  readonly client: AuthorizationServerClient;
  readonly fetchDocument: () => Promise<unknown>;
}

interface PreviousSets {
  readonly bySource: ReadonlyMap<string, RefreshedKeySet>;
  readonly sources: ReadonlyMap<RefreshedKeySet, KeySource>;
}

export class IssuerKeySets {
  readonly #parts: KeySetParts;
  readonly #previous: PreviousSets | undefined;
  /** By issuer name. */
  readonly #remote = new Map<string, RefreshedKeySet>();
  /** The same, by all that they are made of. */
  readonly #bySource = new Map<string, RefreshedKeySet>();
  readonly #takenOver = new Set<RefreshedKeySet>();
  /** By set: how its document is fetched, and by which client. */
  readonly #sources = new Map<RefreshedKeySet, KeySource>();

  /** @param previous whose sets are taken over where they are the same */
  constructor(parts: KeySetParts, previous: IssuerKeySets | undefined) {
    this.#parts = parts;
    // Not the object itself: it would hold all that came before it.
    this.#previous = previous ? { bySource: previous.#bySource, sources: previous.#sources } : undefined;
  }

  /** Key sets behind a URL, by issuer name. */
  get remote(): ReadonlyMap<string, RefreshedKeySet> {
    return this.#remote;
  }

  /**
   * @param folder of the configuration, for relative paths
   * @throws TypeError that says what is wrong with a key file, and what to do
   */
  add(name: string, issuer: KeyedConfiguration, folder: string): KeySet {
    const { hmac_secret: secret } = issuer;
    if (secret === undefined) return this.#publicKeys(name, issuer, folder);
    const secretKeys = secretKeySet(secret, algorithmsOf(issuer).filter(isHmac));
    return hasKeySet(issuer)
      ? new SecretBesideSet(secretKeys, this.#publicKeys(name, issuer, folder))
      : secretKeys;
  }

  #publicKeys(name: string, issuer: KeyedConfiguration, folder: string): KeySet {
    const algorithms = publicAlgorithms(issuer);
    const skippedOf = this.#skippedOf(name);
    if (issuer.jwks_file !== undefined) {
      const file = resolve(folder, issuer.jwks_file);
      return staticKeySet('jwks_file', parseJson(file, PUBLIC_KEYS), algorithms, skippedOf);
    }
    if (issuer.jwks !== undefined) return staticKeySet('jwks', issuer.jwks, algorithms, skippedOf);
    const { jwks_url, allow_http } = issuer;
    const source = JSON.stringify([name, issuer.issuer, jwks_url, allow_http, algorithms, issuer.keys]);
    const known = this.#previous?.bySource.get(source);
    const options = this.#optionsOf(name, issuer, folder);
    const keys = known ?? this.#parts.keySetOf?.(source, options) ?? new RemoteKeySet(options);
    if (known) this.#takenOver.add(known);
    const client = this.#parts.client.through(serverAccess(issuer, folder));
    this.#sources.set(keys, { client, fetchDocument: options.fetchDocument });
    this.#remote.set(name, keys);
    this.#bySource.set(source, keys);
    return keys;
  }

  /**
   * Resolves once each key set was fetched or has failed once. A set that goes on keeps its keys, also where its
   * server is reached in another way from now on: a renewed certificate costs no keys.
   */
  async start(): Promise<void> {
    for (const keys of this.#takenOver) {
      const before = this.#previous?.sources.get(keys);
      const now = this.#sources.get(keys);
      if (now && before?.client !== now.client) keys.fetchBy(now.fetchDocument);
    }
    const fresh = [...this.#remote.values()].filter((keys) => !this.#takenOver.has(keys));
    await Promise.all(fresh.map((keys) => keys.start()));
  }

  /** @param successor whose sets go on */
  stop(successor?: IssuerKeySets): void {
    const kept = new Set(successor?.remote.values());
    for (const keys of this.#remote.values()) if (!kept.has(keys)) keys.stop();
  }

  #skippedOf(name: string): (skipped: readonly SkippedKey[]) => void {
    const { observer } = this.#parts;
    return (skipped) => observer.keysSkipped(name, skipped);
  }

  #optionsOf(name: string, issuer: KeyedConfiguration, folder: string): RemoteKeySetOptions {
    const { clock, observer, fetchKeys, oneLook = false } = this.#parts;
    const client = this.#parts.client.through(serverAccess(issuer, folder));
    const skippedOf = this.#skippedOf(name);
    const fromServer = (): Promise<unknown> => fetchIssuerKeys(client, issuer, this.#parts.metadataUrls);
    return {
      fetchDocument: fetchKeys ? () => fetchKeys(name) : fromServer,
      algorithms: publicAlgorithms(issuer),
      refreshMs: issuer.keys.refresh,
      maxStaleMs: issuer.keys.max_stale,
      refetchIntervalMs: oneLook ? 0 : REFETCH_INTERVAL_MS,
      storage: oneLook ? undefined : keyCache(name, issuer, folder, this.#parts),
      clock,
      observer: {
        refreshed: (skipped) => {
          observer.keysRefreshed(name);
          skippedOf(skipped);
        },
        restored: (ageMs) => observer.keysRestored(name, ageMs),
        failed: (error) => observer.keysFailed(name, error, this.#remote.get(name)?.available === true),
      },
    };
  }
}

/**
 * The JWK Set of an issuer, from its URL or by discovery.
 *
 * @param client that reaches the servers of this issuer
 */
export function fetchIssuerKeys(
  client: AuthorizationServerClient,
  { issuer = '', jwks_url: url, allow_http }: KeyedConfiguration,
  urlsOf?: MetadataUrls,
): Promise<unknown> {
  return url === undefined
    ? discoverKeySet(client, issuer, (found) => mayUse(found, allow_http), urlsOf)
    : fetchKeySet(client, url);
}

function publicAlgorithms(issuer: KeyedConfiguration): readonly SignatureAlgorithm[] {
  return algorithmsOf(issuer).filter((algorithm) => !isHmac(algorithm));
}

/** Keys that decide who may pass travel encrypted, or do not leave the machine (rule K4). */
function mayUse(url: string, allowHttp: boolean): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'https:' || (protocol === 'http:' && (allowHttp || isLoopback(hostname)));
}

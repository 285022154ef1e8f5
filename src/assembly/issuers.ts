/**
 * The issuers of a configuration as verifiers, and what of them lives: key sets that refresh, a client to their
 * servers. With assemble.ts and opaque-issuers.ts the only place where adapters of token/ are made.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Clock } from '../clock.ts';
import { ConfigurationError, type LoadedConfiguration } from '../config/load.ts';
import { isLoopback } from '../config/issuer-problems.ts';
import { isOpaqueIssuer } from '../config/issuer-schema.ts';
import type { IssuerConfiguration } from '../config/schema.ts';
import { algorithmsOf, keyCache, PUBLIC_KEYS, secretKeySet, staticKeySet } from './key-sets.ts';
import type { RevocableIssuer } from '../revocation/entry-life.ts';
import type { TokenIdentity } from '../revocation/revoker.ts';
import type { Policy } from '../policy.ts';
import type { LogoutEndpoint } from '../handlers/logout-handler.ts';
import { tokenStatusSource, opaquePolicy } from './opaque-issuers.ts';
import { RouteTokenVerifier } from '../token/route-token-verifier.ts';
import { revocableClaims, type RevocableClaim } from '../token/authentic-token.ts';
import type { AuthorizationServerClient } from '../token/authorization-server-client.ts';
import type { AuthorizationServerCallResult } from '../token/authorization-server-guard.ts';
import { JwtVerifier } from '../token/jwt-verifier.ts';
import { discoverKeySet, fetchKeySet } from '../token/key-discovery.ts';
import type { KeySet } from '../token/key-set.ts';
import { LogoutVerifier } from '../token/logout-verifier.ts';
import { OpaqueVerifier } from '../token/opaque-verifier.ts';
import { REFETCH_INTERVAL_MS, RemoteKeySet } from '../token/remote-key-set.ts';
import type { TokenCaches } from '../token/token-caches.ts';
import { TokenIdentifier } from '../token/token-identity.ts';
import type { SkippedKey } from '../token/verification-key.ts';

/** What happens to issuers, for metrics and logs. */
export interface IssuerObserver {
  keysRefreshed(issuer: string): void;
  /** Keys of its set that cannot be used: each time the set is read, whether they were told of or not. */
  keysSkipped(issuer: string, skipped: readonly SkippedKey[]): void;
  /** The keys are those that were stored, and were fetched this long ago. */
  keysRestored(issuer: string, ageMs: number): void;
  /** @param areKnown keys that were fetched or saved before may be used still */
  keysFailed(issuer: string, error: unknown, areKnown: boolean): void;
  /** The key set cannot be stored, or what is stored cannot be used. */
  keyCacheFailed(issuer: string, file: string, problem: string): void;
  asked(issuer: string, result: AuthorizationServerCallResult, error?: unknown): void;
}

export const SILENT_OBSERVER: IssuerObserver = {
  keysRefreshed: () => undefined,
  keysSkipped: () => undefined,
  keysRestored: () => undefined,
  keysFailed: () => undefined,
  keyCacheFailed: () => undefined,
  asked: () => undefined,
};

export interface IssuerParts {
  readonly client: AuthorizationServerClient;
  readonly caches: TokenCaches;
  readonly clock: Clock;
  readonly observer: IssuerObserver;
  /** Whose key sets are taken over where they are the same. */
  readonly previous?: Issuers;
  /** Where the key sets behind URLs come from instead. */
  readonly fetchKeys?: (issuerName: string) => Promise<unknown>;
  /** For a look at one token: an unknown kid is looked for at once, and key sets are neither stored nor restored. */
  readonly oneLook?: boolean;
}

export class Issuers {
  readonly #jwt = new Map<string, JwtVerifier>();
  readonly #opaque = new Map<string, OpaqueVerifier>();
  readonly #remote = new Map<string, RemoteKeySet>();
  /** The same, by all that they are made of. */
  readonly #bySource = new Map<string, RemoteKeySet>();
  readonly #takenOver = new Set<RemoteKeySet>();
  readonly #caches: TokenCaches;
  readonly #revocable: readonly RevocableIssuer[];
  readonly #logoutEndpoints: LogoutEndpoint[] = [];

  /** @throws ConfigurationError where a key file cannot be used */
  constructor(loaded: LoadedConfiguration, parts: IssuerParts) {
    const problems: string[] = [];
    const { issuers, revocation } = loaded.configuration;
    const claims = revocableClaims(revocation.claims);
    this.#caches = parts.caches;
    for (const [name, issuer] of Object.entries(issuers)) {
      const source = tokenStatusSource(issuer, parts.client);
      if (source) {
        const policy = opaquePolicy(name, issuers, claims);
        this.#opaque.set(
          name,
          new OpaqueVerifier(policy, source, parts.caches, parts.clock, (result, error) =>
            parts.observer.asked(name, result, error),
          ),
        );
        continue;
      }
      try {
        const keys = this.#keySet(name, issuer, loaded, parts);
        const policy = jwtPolicy(name, issuer, claims);
        this.#jwt.set(name, new JwtVerifier(policy, keys, parts.clock));
        const logout = issuer.backchannel_logout;
        if (logout) {
          const verifier = new LogoutVerifier({ ...policy, clientIds: logout.client_ids }, keys, parts.clock);
          const { host, path, ends } = logout;
          this.#logoutEndpoints.push({ host, path, ends, issuerName: name, verifier });
        }
      } catch (error) {
        problems.push(
          `${loaded.file}: issuers.${name}: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
    }
    if (problems.length > 0) throw new ConfigurationError(problems);
    this.#revocable = Object.entries(issuers).map(([name, issuer]) => ({
      name,
      issuer: issuer.issuer,
      maxLifetimeSeconds: isOpaqueIssuer(issuer) ? undefined : issuer.max_lifetime / 1000,
      clockSkewSeconds: issuer.clock_skew / 1000,
    }));
  }

  get revocable(): readonly RevocableIssuer[] {
    return this.#revocable;
  }

  /** Where authorization servers tell of logouts. */
  get logoutEndpoints(): readonly LogoutEndpoint[] {
    return this.#logoutEndpoints;
  }

  /** Key sets behind a URL, by issuer name. */
  get remoteKeySets(): ReadonlyMap<string, RemoteKeySet> {
    return this.#remote;
  }

  /** Key sets behind a URL, by the exact `iss`. */
  get remoteKeySetsByIss(): ReadonlyMap<string, RemoteKeySet> {
    return new Map(
      [...this.#remote].map(([name, keys]) => [this.#jwt.get(name)?.policy.issuer ?? name, keys]),
    );
  }

  /** A verifier for each set of issuers that a route of this policy accepts. */
  verifiersOf({ routes }: Policy): Map<string, RouteTokenVerifier> {
    return new Map(
      routes
        .filter(({ mode }) => mode !== 'none')
        .map(({ issuerSet, issuers }) => [issuerSet, this.#accepting(issuerSet, issuers)]),
    );
  }

  #accepting(issuerSet: string, names: readonly string[]): RouteTokenVerifier {
    const pick = <T>(from: ReadonlyMap<string, T>): T[] => names.flatMap((name) => from.get(name) ?? []);
    return new RouteTokenVerifier(
      issuerSet,
      this.#caches,
      pick(this.#jwt),
      pick(this.#opaque),
      this.#revocable,
    );
  }

  /** By what a token of any issuer is revoked, whatever route it is meant for and however old it is. */
  identify(token: string, issuerName: string | undefined): Promise<TokenIdentity> {
    return new TokenIdentifier([...this.#jwt.values()], [...this.#opaque.values()]).identify(
      token,
      issuerName,
    );
  }

  /** Resolves once each key set was fetched or has failed once. */
  async start(): Promise<void> {
    const fresh = [...this.#remote.values()].filter((keys) => !this.#takenOver.has(keys));
    await Promise.all(fresh.map((keys) => keys.start()));
  }

  /** @param successor whose key sets go on */
  stop(successor?: Issuers): void {
    const kept = new Set(successor?.remoteKeySets.values());
    for (const keys of this.#remote.values()) if (!kept.has(keys)) keys.stop();
  }

  #keySet(
    name: string,
    issuer: IssuerConfiguration,
    loaded: LoadedConfiguration,
    parts: IssuerParts,
  ): KeySet {
    const algorithms = algorithmsOf(issuer);
    const { client, clock, observer, fetchKeys, oneLook = false } = parts;
    const skippedOf = (skipped: readonly SkippedKey[]): void => observer.keysSkipped(name, skipped);
    if (issuer.hmac_secret !== undefined) return secretKeySet(issuer.hmac_secret, algorithms);
    if (issuer.jwks_file !== undefined) {
      const file = resolve(loaded.folder, issuer.jwks_file);
      return staticKeySet('jwks_file', parseJson(file, PUBLIC_KEYS), algorithms, skippedOf);
    }
    if (issuer.jwks !== undefined) return staticKeySet('jwks', issuer.jwks, algorithms, skippedOf);
    const url = issuer.jwks_url;
    const source = JSON.stringify([name, issuer.issuer, url, issuer.allow_http, algorithms, issuer.keys]);
    const known = parts.previous ? parts.previous.#bySource.get(source) : undefined;
    if (known) {
      this.#takenOver.add(known);
      this.#remote.set(name, known);
      this.#bySource.set(source, known);
      return known;
    }
    const fromServer = (): Promise<unknown> =>
      url === undefined
        ? discoverKeySet(client, issuer.issuer ?? '', (found) => mayUse(found, issuer.allow_http))
        : fetchKeySet(client, url);
    const keys = new RemoteKeySet({
      fetchDocument: fetchKeys ? () => fetchKeys(name) : fromServer,
      algorithms,
      refreshMs: issuer.keys.refresh,
      maxStaleMs: issuer.keys.max_stale,
      refetchIntervalMs: oneLook ? 0 : REFETCH_INTERVAL_MS,
      storage: oneLook ? undefined : keyCache(name, issuer, loaded.folder, parts),
      clock,
      observer: {
        refreshed: (skipped) => {
          observer.keysRefreshed(name);
          skippedOf(skipped);
        },
        restored: (ageMs) => observer.keysRestored(name, ageMs),
        failed: (error) => observer.keysFailed(name, error, keys.available),
      },
    });
    this.#remote.set(name, keys);
    this.#bySource.set(source, keys);
    return keys;
  }
}

/**
 * @param wanted what belongs in the file, as the subject of "put … there"
 * @throws TypeError with what is wrong, what to do
 */
export function parseJson(file: string, wanted: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new TypeError(
      `${file} cannot be read (${(error as NodeJS.ErrnoException).code}); create it, or mend its name or rights`,
      { cause: error },
    );
  }
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new TypeError(`${file} is no JSON; put ${wanted} there`);
  }
}

/** Keys that decide who may pass travel encrypted, or do not leave the machine (rule K4). */
function mayUse(url: string, allowHttp: boolean): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'https:' || (protocol === 'http:' && (allowHttp || isLoopback(hostname)));
}

function jwtPolicy(name: string, issuer: IssuerConfiguration, claims: readonly RevocableClaim[]) {
  return {
    issuerName: name,
    issuer: issuer.issuer ?? '',
    audiences: issuer.audiences,
    algorithms: algorithmsOf(issuer),
    tokenType: issuer.token_type,
    requiredClaims: issuer.required_claims,
    clockSkewSeconds: issuer.clock_skew / 1000,
    futureIatSeconds: issuer.future_iat / 1000,
    maxLifetimeSeconds: issuer.max_lifetime / 1000,
    revocableClaims: claims,
  };
}

/**
 * The issuers of a configuration as verifiers, and what of them lives: key sets that refresh, a client to their
 * servers. With assemble.ts and opaque-issuers.ts the only place where adapters of token/ are made.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Clock } from './clock.ts';
import { ConfigurationError, type LoadedConfiguration } from './config/load.ts';
import { isLoopback, minSecretBytes, weakSecret } from './config/issuer-problems.ts';
import { isOpaqueIssuer } from './config/issuer-schema.ts';
import type { IssuerConfiguration } from './config/schema.ts';
import type { RevocableIssuer } from './revocation/entry-life.ts';
import { invalidToken } from './errors.ts';
import type { Policy } from './policy.ts';
import type { LogoutEndpoint } from './logout-receiver.ts';
import { opaqueAuthority, opaquePolicy } from './opaque-issuers.ts';
import { AcceptedIssuers } from './token/accepted-issuers.ts';
import { DEFAULT_ALGORITHMS, DEFAULT_HMAC_ALGORITHMS, type SignatureAlgorithm } from './token/algorithms.ts';
import { revocableClaims, type RevocableClaim } from './token/authentic-token.ts';
import type { AuthorityClient } from './token/authority-fetch.ts';
import { stringClaim } from './token/claims.ts';
import { JwtVerifier } from './token/jwt-verifier.ts';
import { discoverKeySet, fetchKeySet } from './token/key-discovery.ts';
import { StaticKeySet, type KeySet } from './token/key-set.ts';
import { readJwt } from './token/lexical-gate.ts';
import { LogoutVerifier } from './token/logout-verifier.ts';
import { OpaqueVerifier, type OpaqueCallResult } from './token/opaque-verifier.ts';
import { RemoteKeySet } from './token/remote-key-set.ts';
import type { TokenCaches } from './token/token-caches.ts';
import { presentedDigest, signedContentDigest } from './token/token-digest.ts';
import type { AuthenticToken } from './token/token-verifier.ts';
import { importKeySet, secretKey } from './token/verification-key.ts';

/** What happens to issuers, for metrics and logs. */
export interface IssuerObserver {
  keysRefreshed(issuer: string, skipped: readonly string[]): void;
  keysFailed(issuer: string, error: unknown): void;
  asked(issuer: string, result: OpaqueCallResult, error?: unknown): void;
}

export interface IssuerParts {
  readonly client: AuthorityClient;
  readonly caches: TokenCaches;
  readonly clock: Clock;
  readonly observer: IssuerObserver;
  /** Whose key sets are taken over where they are the same. */
  readonly previous?: Issuers;
  /** Where the key sets behind URLs come from instead. */
  readonly fetchKeys?: (issuerName: string) => Promise<unknown>;
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
      const authority = opaqueAuthority(issuer, parts.client);
      if (authority) {
        const policy = opaquePolicy(name, issuers, claims);
        this.#opaque.set(
          name,
          new OpaqueVerifier(policy, authority, parts.caches, parts.clock, (result, error) =>
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
      takes: !isOpaqueIssuer(issuer) ? 'jwt' : issuer.introspection?.jwt === true ? 'both' : 'opaque',
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

  /** A verifier for each set of issuers that a route of this policy accepts. */
  verifiersOf({ routes }: Policy): Map<string, AcceptedIssuers> {
    return new Map(
      routes
        .filter(({ mode }) => mode !== 'none')
        .map(({ issuerSet, issuers }) => [issuerSet, this.#accepting(issuerSet, issuers)]),
    );
  }

  #accepting(issuerSet: string, names: readonly string[]): AcceptedIssuers {
    const pick = <T>(from: ReadonlyMap<string, T>): T[] => names.flatMap((name) => from.get(name) ?? []);
    return new AcceptedIssuers(issuerSet, this.#caches, pick(this.#jwt), pick(this.#opaque));
  }

  /** Verifies a token of any issuer, whatever route it was meant for and however old it is. */
  async verifyAny(token: string, issuerName: string | undefined): Promise<AuthenticToken> {
    const jwt = readJwt(token);
    const issuer = jwt && stringClaim(jwt.claims, 'iss');
    const verifier = jwt && [...this.#jwt.values()].find(({ policy }) => policy.issuer === issuer);
    if (verifier) return (await verifier.verify(jwt)).token;
    const opaque = this.#opaqueVerifierFor(
      token,
      issuerName,
      jwt ? (candidate) => candidate.takesJwtOf(issuer) : () => true,
    );
    const presented = presentedDigest(token);
    return (await opaque.verify(token, presented, () => (jwt ? signedContentDigest(jwt.content) : presented)))
      .token;
  }

  /** By name, else by prefix, else the only one. */
  #opaqueVerifierFor(
    token: string,
    issuerName: string | undefined,
    mayTake: (verifier: OpaqueVerifier) => boolean,
  ): OpaqueVerifier {
    const candidates = [...this.#opaque.values()].filter(mayTake);
    const verifier =
      issuerName === undefined && candidates.length === 1
        ? candidates[0]
        : candidates.find(({ policy }) =>
            issuerName === undefined
              ? policy.prefix !== '' && token.startsWith(policy.prefix)
              : policy.issuerName === issuerName,
          );
    if (!verifier) throw invalidToken('unknown_issuer');
    return verifier;
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
    if (issuer.hmac_secret !== undefined) return secretKeySet(issuer.hmac_secret, algorithms);
    if (issuer.jwks_file !== undefined) {
      const file = resolve(loaded.folder, issuer.jwks_file);
      return staticKeySet('jwks_file', parseJson(file, PUBLIC_KEYS), algorithms);
    }
    if (issuer.jwks !== undefined) return staticKeySet('jwks', issuer.jwks, algorithms);
    const { client, clock, observer, fetchKeys } = parts;
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
      clock,
      observer: {
        refreshed: (skipped) => observer.keysRefreshed(name, skipped),
        failed: (error) => observer.keysFailed(name, error),
      },
    });
    this.#remote.set(name, keys);
    this.#bySource.set(source, keys);
    return keys;
  }
}

function algorithmsOf(issuer: IssuerConfiguration): readonly SignatureAlgorithm[] {
  return (
    issuer.algorithms ?? (issuer.hmac_secret === undefined ? DEFAULT_ALGORITHMS : DEFAULT_HMAC_ALGORITHMS)
  );
}

function secretKeySet(secret: string, algorithms: readonly SignatureAlgorithm[]): KeySet {
  const needed = minSecretBytes(algorithms);
  if (Buffer.byteLength(secret) < needed) throw new TypeError(`the secret ${weakSecret(needed)}`);
  return new StaticKeySet([secretKey(secret, algorithms)], { ignoreKeyId: true });
}

function staticKeySet(source: string, document: unknown, algorithms: readonly SignatureAlgorithm[]): KeySet {
  const unusable = (what: string): TypeError => new TypeError(`${source} ${what}; put ${PUBLIC_KEYS} there`);
  let imported: ReturnType<typeof importKeySet>;
  try {
    imported = importKeySet(document, algorithms);
  } catch (error) {
    throw unusable(`cannot be used: ${error instanceof Error ? error.message : String(error)}`);
  }
  const { keys, skipped } = imported;
  if (keys.length === 0) throw unusable(`has no usable key: ${skipped.join('; ') || 'it is empty'}`);
  return new StaticKeySet(keys, { ignoreKeyId: false });
}

const PUBLIC_KEYS = "the issuer's public keys, as a JWK Set,";

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

/**
 * The issuers of a configuration: a verifier for each, and which of them a route accepts. Their key sets stand behind
 * IssuerKeySets (issuer-key-sets.ts).
 */
import { ConfigurationError, type LoadedConfiguration } from '../config/load.ts';
import { isOpaqueIssuer } from '../config/issuer-schema.ts';
import { unnamedKinds } from './compile-claim-names.ts';
import { IssuerKeySets, type KeySetParts } from './issuer-key-sets.ts';
import { jwtPolicy, logoutEndpoint, tenantRule } from './jwt-issuers.ts';
import type { RevocableIssuer } from '../revocation/entry-life.ts';
import type { TokenIdentity } from '../revocation/revoker.ts';
import type { Policy } from '../policy.ts';
import type { LogoutEndpoint } from '../handlers/logout-handler.ts';
import { serverAccess } from './server-access.ts';
import { tokenStatusSource, opaquePolicy, signersOf } from './opaque-issuers.ts';
import type { KnownIssuer } from '../token/issuer-spelling.ts';
import { RouteTokenVerifier } from '../token/route-token-verifier.ts';
import { revocableClaims } from '../token/authentic-token.ts';
import { JwtVerifier } from '../token/jwt-verifier.ts';
import { OpaqueVerifier } from '../token/opaque-verifier.ts';
import type { RemoteKeySet } from '../token/remote-key-set.ts';
import type { TokenCaches } from '../token/token-caches.ts';
import { TokenIdentifier } from '../token/token-identity.ts';

export interface IssuerParts extends KeySetParts {
  readonly caches: TokenCaches;
  /** Whose key sets are taken over where they are the same. */
  readonly previous?: Issuers;
}

export class Issuers {
  readonly #jwt = new Map<string, JwtVerifier>();
  readonly #opaque = new Map<string, OpaqueVerifier>();
  readonly #keySets: IssuerKeySets;
  readonly #caches: TokenCaches;
  readonly #revocable: readonly (RevocableIssuer & KnownIssuer)[];
  readonly #logoutEndpoints: LogoutEndpoint[] = [];

  /** @throws ConfigurationError where a key file cannot be used */
  constructor(loaded: LoadedConfiguration, parts: IssuerParts) {
    const problems: string[] = [];
    const { issuers, revocation } = loaded.configuration;
    const claims = revocableClaims(revocation.claims);
    this.#caches = parts.caches;
    this.#keySets = new IssuerKeySets(parts, parts.previous ? parts.previous.#keySets : undefined);
    for (const [name, issuer] of Object.entries(issuers)) {
      try {
        const source = tokenStatusSource(name, issuer, {
          client: parts.client.through(serverAccess(issuer, loaded.folder)),
          clock: parts.clock,
          signers: () => this.#keySets.add(name, signersOf(issuer), loaded.folder),
        });
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
        const keys = this.#keySets.add(name, issuer, loaded.folder);
        const policy = jwtPolicy(name, issuer, claims);
        this.#jwt.set(name, new JwtVerifier(policy, keys, parts.clock));
        const endpoint = logoutEndpoint(issuer, policy, keys, parts.clock);
        if (endpoint) this.#logoutEndpoints.push(endpoint);
      } catch (error) {
        problems.push(
          `${loaded.file}: issuers.${name}: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
    }
    if (problems.length > 0) throw new ConfigurationError(problems);
    this.#revocable = Object.entries(issuers).map(([name, issuer]) => ({
      name,
      issuer: issuer.no_iss === true ? name : issuer.issuer,
      template: tenantRule(issuer)?.template,
      maxLifetimeSeconds: isOpaqueIssuer(issuer) ? undefined : issuer.max_lifetime / 1000,
      clockSkewSeconds: issuer.clock_skew / 1000,
      unnamed: unnamedKinds(issuer.claim_names),
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
    return this.#keySets.remote;
  }

  /** Key sets behind a URL, by the exact `iss`. */
  get remoteKeySetsByIss(): ReadonlyMap<string, RemoteKeySet> {
    return new Map(
      [...this.#keySets.remote].map(([name, keys]) => [this.#jwt.get(name)?.policy.issuer ?? name, keys]),
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
      this.#revocable.filter(({ issuer, name }) => issuer !== name),
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
  start(): Promise<void> {
    return this.#keySets.start();
  }

  /** @param successor whose key sets go on */
  stop(successor?: Issuers): void {
    this.#keySets.stop(successor ? successor.#keySets : undefined);
  }
}

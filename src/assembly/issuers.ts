/**
 * The issuers of a configuration: a verifier for each, and which of them a route accepts. Their key sets stand behind
 * IssuerKeySets (issuer-key-sets.ts).
 */
import type { Clock } from '../clock.ts';
import { ConfigurationError, type LoadedConfiguration } from '../config/load.ts';
import type { IssuerConfiguration } from '../config/schema.ts';
import { isKeyIssuer, isOpaqueIssuer } from '../config/issuer-schema.ts';
import type { ApiKeySource } from '../api-keys/api-key.ts';
import { identifyKey } from '../api-keys/identify-key.ts';
import { hasKeyPrefix } from '../api-keys/key-text.ts';
import { KeysApart } from '../api-keys/keys-apart.ts';
import { unnamedKinds } from './compile-claim-names.ts';
import { IssuerKeySets, type KeySetParts } from './issuer-key-sets.ts';
import { KeyIssuers, type KeyIssuerParts } from './key-issuers.ts';
import type { KeyFile } from './key-file.ts';
import { statusListsOf, type StatusListParts } from './issuer-status-lists.ts';
import { jwtPolicy, logoutReceiver, tenantRule } from './jwt-issuers.ts';
import type { IssuerObserver } from './issuer-observer.ts';
import { FOR_GOOD_SECONDS, type RevocableIssuer } from '../revocation/entry-life.ts';
import type { TokenIdentity } from '../revocation/revoker.ts';
import type { Policy, Route } from '../policy.ts';
import { globalRevocationReceiver } from './global-revocations.ts';
import type { GlobalRevocationReceiver } from '../handlers/global-revocation-endpoint.ts';
import type { LogoutReceiver } from '../handlers/logout-endpoint.ts';
import { serverAccess } from './server-access.ts';
import { freshPolicy, tokenStatusSource, opaquePolicy, signersOf } from './opaque-issuers.ts';
import { audiencesOfResource } from '../token/audience.ts';
import type { KnownIssuer } from '../token/issuer-spelling.ts';
import type { TokenStatusSource } from '../token/authorization-server-guard.ts';
import { FreshTokenVerifier, type FreshSource } from '../token/fresh-token-verifier.ts';
import { RouteTokenVerifier } from '../token/route-token-verifier.ts';
import { revocableClaims } from '../token/authentic-token.ts';
import { JwtVerifier } from '../token/jwt-verifier.ts';
import { OpaqueVerifier, type OpaquePolicy } from '../token/opaque-verifier.ts';
import type { HeldStates, StatusLists } from '../status-lists/status-lists.ts';
import type { RefreshedKeySet } from '../token/key-set.ts';
import type { TokenVerifier } from '../token/token-verifier.ts';
import type { TokenCaches } from '../token/token-caches.ts';
import { TokenIdentifier } from '../token/token-identity.ts';
import { Transmitters } from './transmitters.ts';

export interface IssuerParts extends KeySetParts, KeyIssuerParts, Pick<StatusListParts, 'statusChanged'> {
  readonly observer: IssuerObserver;
  readonly caches: TokenCaches;
  /** Whose key sets are taken over where they are the same. */
  readonly previous?: Issuers;
}

/** What verifiers remember tokens with. */
interface StatefulParts {
  readonly caches: TokenCaches;
  readonly opaque: ReadonlyMap<string, OpaqueVerifier>;
  readonly fresh: ReadonlyMap<string, FreshSource>;
}

export class Issuers {
  /** Where issuers say how their tokens stand. */
  readonly statusLists: StatusLists;
  readonly #jwt = new Map<string, JwtVerifier>();
  readonly #opaque = new Map<string, OpaqueVerifier>();
  /** Servers that are asked about JWTs, on routes with `auth.fresh`. */
  readonly #fresh = new Map<string, FreshSource>();
  readonly #clock: Clock;
  readonly #keySets: IssuerKeySets;
  readonly #keyIssuers: KeyIssuers;
  readonly #caches: TokenCaches;
  readonly #revocable: readonly (RevocableIssuer & KnownIssuer)[];
  readonly #logoutReceivers: LogoutReceiver[] = [];
  readonly #revocationReceivers: readonly GlobalRevocationReceiver[];
  /** Whose signals end tokens of these issuers. */
  readonly transmitters: Transmitters;
  /** Lists that were held before; they are taken over once the keys are there. */
  #listsBefore: HeldStates;

  /** @throws ConfigurationError where a key file cannot be used */
  constructor(loaded: LoadedConfiguration, { previous, ...parts }: IssuerParts) {
    const problems: string[] = [];
    const { issuers, revocation } = loaded.configuration;
    const claims = revocableClaims(revocation.claims);
    this.#caches = parts.caches;
    this.#clock = parts.clock;
    // The parts live as long as this: with `previous` among them, all issuers and caches of before would, too.
    this.#keySets = new IssuerKeySets(parts, previous ? previous.#keySets : undefined);
    this.#keyIssuers = new KeyIssuers(parts, previous ? previous.#keyIssuers : undefined);
    for (const [name, issuer] of Object.entries(issuers)) {
      try {
        if (isKeyIssuer(issuer)) {
          this.#keyIssuers.add(name, issuer, loaded.folder, claims);
          continue;
        }
        const keys = isOpaqueIssuer(issuer) ? undefined : this.#keySets.add(name, issuer, loaded.folder);
        const source = tokenStatusSource(name, issuer, {
          client: parts.client.through(serverAccess(issuer, loaded.folder)),
          clock: parts.clock,
          signers: () => keys ?? this.#keySets.add(name, signersOf(issuer), loaded.folder),
        });
        if (keys === undefined) {
          if (source)
            this.#opaque.set(name, serverVerifier(opaquePolicy(name, issuers, claims), source, parts));
          continue;
        }
        const policy = jwtPolicy(name, issuer, claims);
        this.#jwt.set(name, new JwtVerifier(policy, keys, parts.clock));
        if (source) {
          const server = serverVerifier(freshPolicy(name, issuers, claims), source, parts);
          this.#fresh.set(name, { server, audiences: issuer.audiences, claimRules: policy.claimRules });
        }
        const receiver = logoutReceiver(issuer, policy, keys, parts.clock);
        if (receiver) this.#logoutReceivers.push(receiver);
      } catch (error) {
        problems.push(...problemsIn(error, `${loaded.file}: issuers.${name}`));
      }
    }
    if (problems.length > 0) throw new ConfigurationError(problems);
    this.transmitters = new Transmitters(loaded, parts, previous?.transmitters);
    this.#revocationReceivers = [...this.#jwt].flatMap(
      ([name, verifier]) =>
        globalRevocationReceiver(issuers[name] as IssuerConfiguration, verifier, this.#jwt, parts.clock) ??
        [],
    );
    this.statusLists = statusListsOf(loaded, this.#jwt, parts);
    this.#listsBefore = previous?.statusLists.states ?? new Map();
    this.#revocable = Object.entries(issuers).map(([name, issuer]) => revocableIssuer(name, issuer));
  }

  get revocable(): readonly RevocableIssuer[] {
    return this.#revocable;
  }

  /** Where authorization servers tell of logouts. */
  get logoutReceivers(): readonly LogoutReceiver[] {
    return this.#logoutReceivers;
  }

  /** Where they ask for global token revocations. */
  get revocationReceivers(): readonly GlobalRevocationReceiver[] {
    return this.#revocationReceivers;
  }

  /** Key sets behind a URL, by issuer name. */
  get remoteKeySets(): ReadonlyMap<string, RefreshedKeySet> {
    return this.#keySets.remote;
  }

  /** Key sets behind a URL, by the exact `iss`. */
  get remoteKeySetsByIss(): ReadonlyMap<string, RefreshedKeySet> {
    return new Map(
      [...this.#keySets.remote].map(([name, keys]) => [this.#jwt.get(name)?.policy.issuer ?? name, keys]),
    );
  }

  /** API keys, by issuer name. */
  get keySources(): ReadonlyMap<string, ApiKeySource> {
    return new Map([...this.#keyIssuers.verifiers].map(([name, { source }]) => [name, source]));
  }

  /** Files of API keys, by issuer name. */
  get keyFiles(): ReadonlyMap<string, KeyFile> {
    return this.#keyIssuers.files;
  }

  /** A verifier for each set of issuers, and resource, that a route of this policy has. */
  verifiersOf(policy: Policy): Map<string, TokenVerifier> {
    return this.#verifiers(policy, { caches: this.#caches, opaque: this.#opaque, fresh: this.#fresh });
  }

  /** The same, with the same keys, but other caches: for a look at one token that leaves no trace. */
  verifiersApart(policy: Policy, caches: TokenCaches): Map<string, TokenVerifier> {
    const opaque = new Map([...this.#opaque].map(([name, verifier]) => [name, verifier.apart(caches)]));
    const fresh = new Map(
      [...this.#fresh].map(([name, source]) => [name, { ...source, server: source.server.apart(caches) }]),
    );
    return this.#verifiers(policy, { caches, opaque, fresh });
  }

  #verifiers({ routes }: Policy, stateful: StatefulParts): Map<string, TokenVerifier> {
    return new Map(
      routes
        .filter(({ mode }) => mode !== 'none')
        .map((route) => {
          const { issuerSet, fresh, resource } = route;
          const verifier = this.#accepting(route, stateful);
          // A key is looked up for each request: it needs no server to be fresh.
          return [
            issuerSet,
            new KeysApart(
              route.issuers.flatMap((name) => this.#keyIssuers.verifiers.get(name) ?? []),
              fresh ? new FreshTokenVerifier(verifier, stateful.fresh, this.#clock, resource) : verifier,
            ),
          ] as const;
        }),
    );
  }

  #accepting(
    { issuerSet, issuers, resource }: Pick<Route, 'issuerSet' | 'issuers' | 'resource'>,
    { caches, opaque }: StatefulParts,
  ): RouteTokenVerifier {
    const pick = <T>(from: ReadonlyMap<string, T>): T[] => issuers.flatMap((name) => from.get(name) ?? []);
    const jwt = pick(this.#jwt);
    return new RouteTokenVerifier(
      issuerSet,
      caches,
      resource === undefined
        ? jwt
        : jwt.map((verifier) => this.#forAudiences(verifier, audiencesOfResource(resource))),
      pick(opaque),
      this.#revocable.filter(({ issuer, name }) => issuer !== name),
      resource,
    );
  }

  #forAudiences({ policy, keys }: JwtVerifier, audiences: readonly string[]): JwtVerifier {
    return new JwtVerifier({ ...policy, audiences }, keys, this.#clock);
  }

  /** Accepts JWTs of one issuer for another audience than that of the routes; undefined where it issues no JWTs. */
  verifierFor(name: string, audience: string): TokenVerifier | undefined {
    const jwt = this.#jwt.get(name);
    if (!jwt) return undefined;
    const verifier = this.#forAudiences(jwt, [audience]);
    const knownIssuers = this.#revocable.filter((known) => known.name === name);
    return new RouteTokenVerifier(`admin ${audience}`, this.#caches, [verifier], [], knownIssuers);
  }

  /** By what a token of any issuer is revoked, whatever route it is meant for and however old it is. */
  async identify(token: string, issuerName: string | undefined): Promise<TokenIdentity> {
    if (hasKeyPrefix(token))
      return identifyKey(
        [...this.#keyIssuers.verifiers.values()],
        token,
        issuerName,
        this.#clock.nowMs() / 1000,
      );
    const keyIssuers = [...this.#keyIssuers.verifiers.keys()];
    const identifier = new TokenIdentifier([...this.#jwt.values()], [...this.#opaque.values()], keyIssuers);
    return identifier.identify(token, issuerName);
  }

  /** Resolves once each key set, and each list that the configuration names, was fetched or has failed once. */
  async start(): Promise<void> {
    this.#keyIssuers.start();
    await Promise.all([this.#keySets.start(), this.transmitters.start()]);
    const before = this.#listsBefore;
    this.#listsBefore = new Map();
    await this.statusLists.start(before);
  }

  /** @param successor whose key sets go on */
  stop(successor?: Issuers): void {
    this.#keySets.stop(successor ? successor.#keySets : undefined);
    this.#keyIssuers.stop(successor ? successor.#keyIssuers : undefined);
    this.transmitters.stop(successor?.transmitters);
    this.statusLists.stop();
  }
}

function problemsIn(error: unknown, where: string): readonly string[] {
  if (error instanceof ConfigurationError) return error.problems;
  return [`${where}: ${error instanceof Error ? error.message : String(error)}`];
}

/** What bounds the life of its revocations. */
function revocableIssuer(name: string, issuer: IssuerConfiguration): RevocableIssuer & KnownIssuer {
  if (isKeyIssuer(issuer))
    return {
      name,
      issuer: name,
      // A key may live for ever, and so must what ends it.
      maxLifetimeSeconds: FOR_GOOD_SECONDS,
      clockSkewSeconds: 0,
      unnamed: new Set(['session']),
    };
  return {
    name,
    issuer: issuer.no_iss === true ? name : issuer.issuer,
    template: tenantRule(issuer)?.template,
    maxLifetimeSeconds: isOpaqueIssuer(issuer) ? undefined : issuer.max_lifetime / 1000,
    clockSkewSeconds: issuer.clock_skew / 1000,
    namesActors: true,
    unnamed: unnamedKinds(issuer.claim_names),
  };
}

function serverVerifier(
  policy: OpaquePolicy,
  source: TokenStatusSource,
  { caches, clock, observer }: IssuerParts,
): OpaqueVerifier {
  return new OpaqueVerifier(policy, source, caches, clock, (result, error) =>
    observer.asked(policy.issuerName, result, error),
  );
}

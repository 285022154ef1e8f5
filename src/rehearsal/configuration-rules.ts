/** One configuration as a rehearsal needs it: what it means for a request. Nothing is fetched and nothing is asked. */
import { NOT_AT_HAND } from '../api-keys/api-key.ts';
import { compilePolicy } from '../assembly/compile-policy.ts';
import { SILENT_OBSERVER } from '../assembly/issuer-observer.ts';
import { Issuers } from '../assembly/issuers.ts';
import { resourceEndpoint } from '../assembly/resource-documents.ts';
import { endpointPlaces } from '../assembly/server-endpoints.ts';
import type { Clock } from '../clock.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import type { Configuration } from '../config/schema.ts';
import { asksForKeys } from '../handlers/keys-endpoint.ts';
import type { ResourceEndpoint } from '../handlers/resource-endpoint.ts';
import { isAt, type EndpointPlace } from '../handlers/server-endpoint.ts';
import { BAD_PATH, GatewayError } from '../errors.ts';
import type { RequestHead } from '../http/request-head.ts';
import type { Policy, Route } from '../policy.ts';
import { AuthorizationServerClient } from '../token/authorization-server-client.ts';
import { TokenCaches } from '../token/token-caches.ts';
import { claimRulesOf, type ClaimRules } from './known-token.ts';
import { Matching } from './possible-headers.ts';

/** Nothing is cached, and caches of the configured size would be most of the work. */
const NO_CACHES = {
  tokens: { entries: 1, bytes: 1024 * 1024 },
  negatives: { entries: 1 },
  introspection: { entries: 1, bytes: 1024 * 1024 },
} as const;

export class ConfigurationRules {
  readonly configuration: Configuration;
  readonly policy: Policy;
  readonly matching: Matching;
  readonly claimRules: ClaimRules;
  readonly #routes: ReadonlyMap<string, Route>;
  readonly #places: readonly EndpointPlace[];
  readonly #resources: ResourceEndpoint | undefined;

  /** @throws ConfigurationError where key files cannot be used */
  constructor(loaded: LoadedConfiguration, clock: Clock) {
    const { configuration } = loaded;
    this.configuration = configuration;
    this.policy = compilePolicy(configuration);
    this.matching = new Matching(this.policy);
    this.claimRules = claimRulesOf(this.policy.routes);
    this.#routes = new Map(this.policy.routes.map((route) => [route.name, route]));
    this.#places = placesOf(loaded, clock);
    this.#resources = resourceEndpoint(configuration, undefined, clock);
  }

  route(name: string): Route | undefined {
    return this.#routes.get(name);
  }

  /**
   * Does the gateway serve the request itself, before all routes, with a response or a refusal of its own?
   *
   * @throws GatewayError 400 BAD_PATH where its path may be read as one of those
   */
  servesItself(head: RequestHead): boolean {
    if (this.#places.some((place) => isAt(place, head))) return true;
    try {
      return (
        asksForKeys(this.configuration.identity.assertion?.publish, head) ||
        this.#resources?.asked(head) !== undefined
      );
    } catch (error) {
      if (error instanceof GatewayError && error !== BAD_PATH) return true;
      throw error;
    }
  }

  /** Could this be a browser's preflight that the gateway responds to? Its headers say so. */
  mayBePreflight(head: RequestHead): boolean {
    const { routes } = this.policy;
    if (head.method !== 'OPTIONS' || !routes.some(({ cors }) => cors)) return false;
    // By which headers such a route is chosen is one more thing that is not known.
    if (routes.some(({ match }) => match.headers.length > 0)) return true;
    const named = routes.flatMap(({ match }) => [...match.methods]);
    return ['an unnamed method', ...new Set(named)].some(
      (method) => this.matching.table.find({ ...head, method }, head.path)?.cors !== undefined,
    );
  }
}

function placesOf(loaded: LoadedConfiguration, clock: Clock): readonly EndpointPlace[] {
  const issuers = new Issuers(loaded, {
    client: new AuthorizationServerClient(),
    caches: new TokenCaches(NO_CACHES),
    clock,
    observer: SILENT_OBSERVER,
    oneLook: true,
    storedKeys: () => NOT_AT_HAND,
  });
  const places = endpointPlaces(issuers, loaded.configuration);
  issuers.stop();
  return places;
}

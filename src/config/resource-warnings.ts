/** What is allowed with protected resources, but does not do what it seems to. Pure. */
import { acceptedIssuers } from './accepted-by-name.ts';
import { resourceUrlOf } from './protected-resources.ts';
import type { Configuration } from './schema.ts';

/** One line for each: what it is, what to do. */
export function resourceWarnings(configuration: Configuration): string[] {
  return [...unusedAudiences(configuration), ...sharedKeys(configuration), ...strangeHosts(configuration)];
}

/** An API key is for no audience: it passes wherever its issuer is accepted. */
function sharedKeys(configuration: Configuration): string[] {
  const { routes, issuers, listeners } = configuration;
  return Object.keys(issuers).flatMap((name) => {
    if (issuers[name]?.api_keys === undefined) return [];
    const accepting = routes.filter(({ auth }) => acceptedIssuers(auth, configuration).includes(name));
    const resources = new Set(accepting.map((route) => resourceUrlOf(route, listeners)?.href));
    const resource = accepting.find((route) => route.resource !== undefined);
    return resource === undefined || resources.size < 2
      ? []
      : [
          `routes: ${resource.name} has a resource, but API keys of ${name} are for no audience, and pass on other routes too; give this resource an issuer of keys of its own`,
        ];
  });
}

/** Issuers whose tokens pass only where `aud` must hold a resource. */
export function issuersForResources(configuration: Configuration): ReadonlySet<string> {
  const accepted = (belongs: boolean): string[] =>
    configuration.routes
      .filter(({ resource }) => (resource !== undefined) === belongs)
      .flatMap(({ auth }) => acceptedIssuers(auth, configuration));
  const others = new Set(accepted(false));
  return new Set(accepted(true).filter((name) => !others.has(name)));
}

/** Where a provider or the type of token asks for audiences, they cannot be removed. */
function unusedAudiences(configuration: Configuration): string[] {
  return [...issuersForResources(configuration)]
    .filter((name) => {
      const issuer = configuration.issuers[name];
      return (
        issuer?.audiences !== undefined && issuer.provider === undefined && issuer.token_type !== 'id_token'
      );
    })
    .map(
      (name) =>
        `issuers.${name}.audiences: no route compares it: each that accepts this issuer has a resource, and aud must hold that; remove it`,
    );
}

/** Those with sender_constrained get a warning of their own. */
function strangeHosts({ routes, listeners }: Configuration): string[] {
  return routes.flatMap((route) => {
    const url = resourceUrlOf(route, listeners);
    const { hosts } = route.match;
    const serves =
      !url ||
      hosts === undefined ||
      route.auth.sender_constrained !== undefined ||
      hosts.some((host) =>
        host.startsWith('*.') ? url.hostname.endsWith(host.slice(1)) : host === url.hostname,
      );
    return serves
      ? []
      : [
          `routes: ${route.name} serves ${hosts.join(', ')}, but the identifier of its resource is ${url.href}: clients that ask for a token for the host that they use get one for another; correct public_url or match.hosts`,
        ];
  });
}

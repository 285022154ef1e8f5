/**
 * What is allowed with many tenants, but risky: claims that every tenant sets as it likes, where all of them are accepted, and
 * tenants that look like one. Pure. Rule J3.
 */
import { headerAlias } from '../http/header-names.ts';
import type { ClaimRuleSetting } from '../token/claim-rules.ts';
import { routeIdentityMap } from './identity-map.ts';
import type { Configuration, IssuerConfiguration } from './schema.ts';
import { upstreamEntries } from './route-upstream-schema.ts';
import { NAMES_OF_USERS } from './tenant-problems.ts';

/** One line for each risk: what it is, what to do. */
export function tenantWarnings(configuration: Configuration): string[] {
  return Object.entries(configuration.issuers).flatMap(([name, issuer]) => [
    ...alikeTenants(name, issuer),
    ...(issuer.tenants === 'any' ? namesOfAnyTenant(configuration, name) : []),
  ]);
}

/** Tenants are compared byte by byte: two spellings are two tenants. */
function alikeTenants(name: string, { tenants }: IssuerConfiguration): string[] {
  if (!Array.isArray(tenants)) return [];
  const seen = new Map<string, string>();
  return tenants.flatMap((tenant: string) => {
    const earlier = seen.get(tenant.toLowerCase());
    seen.set(tenant.toLowerCase(), tenant);
    return earlier === undefined
      ? []
      : [
          `issuers.${name}: tenants: ${earlier} and ${tenant} are the same but for case, and iss is compared with case: each is a tenant of its own; keep the one that stands in iss`,
        ];
  });
}

/** Where a name that every tenant gives to whom it likes reaches services, or permits a request. */
function namesOfAnyTenant(configuration: Configuration, issuer: string): string[] {
  const accepting = configuration.routes.filter(
    ({ auth }) => auth.mode !== 'none' && (auth.issuers?.includes(issuer) ?? true),
  );
  const places = [
    ...namesIn(configuration.issuers[issuer]?.claims ?? {}, `issuers.${issuer}.claims`),
    ...accepting.flatMap((route) => [
      ...headersWithNames(configuration, route),
      ...namesIn(route.auth.claims, `routes: ${route.name} auth.claims`),
      ...(route.auth.any_of ?? []).flatMap(({ claims }, index) =>
        namesIn(claims, `routes: ${route.name} auth.any_of[${index}].claims`),
      ),
      ...upstreamEntries(route.upstream).flatMap(({ claims = {} }, index) =>
        namesIn(claims, `routes: ${route.name} upstream[${index}].claims`),
      ),
    ]),
    ...(accepting.length === 0 ? [] : assertedNames(configuration)),
  ];
  return [...new Set(places)].map(
    (place) =>
      `${place}: issuers.${issuer} has tenants: any, and every tenant sets such a claim as it likes, to the name of a user of another tenant, too; use sub or oid with the tenant, or list the tenants`,
  );
}

function headersWithNames(configuration: Configuration, route: Configuration['routes'][number]): string[] {
  const own = new Set(Object.keys(route.identity.headers).map(headerAlias));
  return Object.entries(routeIdentityMap(configuration, route)).flatMap(([header, value]) =>
    [value]
      .flat()
      .filter((text) => NAMES_OF_USERS.has(text))
      .map((text) => {
        const where = own.has(headerAlias(header))
          ? `routes: ${route.name} identity.headers`
          : 'identity.headers';
        return `${where}.${header}: ${text}`;
      }),
  );
}

/** That a claim is absent is no name. */
function namesIn(rules: Readonly<Record<string, ClaimRuleSetting>>, where: string): string[] {
  return Object.entries(rules)
    .filter(([, rule]) => typeof rule !== 'object' || !('absent' in rule))
    .filter(([claim]) => NAMES_OF_USERS.has(claim))
    .map(([claim]) => `${where}.${claim}`);
}

function assertedNames({ identity: { assertion } }: Configuration): string[] {
  return (assertion?.claims ?? [])
    .filter((claim) => NAMES_OF_USERS.has(claim))
    .map((claim) => `identity.assertion.claims: ${claim}`);
}

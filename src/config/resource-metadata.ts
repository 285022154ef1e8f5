/**
 * What clients are told of a protected resource (RFC 9728 section 2): all of it from the configuration, nothing from a request.
 * Pure. Rule P1.
 */
import { IssuerTemplate } from '../token/issuer-template.ts';
import type { JsonObject } from '../token/claims.ts';
import { acceptedIssuers } from './accepted-by-name.ts';
import type { ProtectedResource } from './protected-resources.ts';
import type { Configuration, IssuerConfiguration, RouteConfiguration } from './schema.ts';
import { takesCertificates } from './takes-certificates.ts';

/** The members of the document, without `signed_metadata`. What has no value is left out (RFC 9728 section 3.2). */
export function resourceMetadata(resource: ProtectedResource, configuration: Configuration): JsonObject {
  const { url, routes } = resource;
  const constrained = routes.filter(({ auth }) => auth.sender_constrained !== undefined);
  const bindsToCertificates = configuration.listeners.some(takesCertificates);
  const needsProofs =
    !bindsToCertificates && routes.every(({ auth }) => auth.sender_constrained === 'required');
  const scopes = [...new Set(routes.flatMap(scopesOf))].sort();
  return {
    resource: url.href,
    authorization_servers: authorizationServers(resource, configuration),
    ...(scopes.length > 0 && { scopes_supported: scopes }),
    bearer_methods_supported: ['header'],
    ...present('resource_name', said(routes, 'name')),
    ...present('resource_documentation', said(routes, 'documentation')),
    ...(bindsToCertificates && { tls_client_certificate_bound_access_tokens: true }),
    ...(constrained.length > 0 && { dpop_signing_alg_values_supported: configuration.dpop.algorithms }),
    ...(needsProofs && { dpop_bound_access_tokens_required: true }),
  };
}

/** Is its metadata signed, too? */
export function isSigned({ routes }: Pick<ProtectedResource, 'routes'>): boolean {
  return said(routes, 'signed_metadata', (value) => value) === true;
}

/** Issuer identifiers (RFC 8414 section 2): those that the configuration names, else those of the issuers of the routes. */
export function authorizationServers(
  { routes }: Pick<ProtectedResource, 'routes'>,
  configuration: Pick<Configuration, 'issuers'>,
): readonly string[] {
  const named = said(routes, 'authorization_servers');
  if (named) return named;
  const names = new Set(routes.flatMap(({ auth }) => acceptedIssuers(auth, configuration)));
  return [...names].flatMap((name) => identifiersOf(configuration.issuers[name]));
}

/** Can clients find its server by its `issuer`? The metadata of a server stand below a URL, and a template is none. */
export function namesItsServer({ issuer, tenants }: { issuer?: unknown; tenants?: unknown }): boolean {
  return typeof issuer === 'string' && /^https?:\/\//.test(issuer) && tenants !== 'any';
}

function identifiersOf(issuer: IssuerConfiguration | undefined): string[] {
  if (issuer?.issuer === undefined || !namesItsServer(issuer)) return [];
  const { issuer: text, tenants } = issuer;
  if (tenants === undefined || tenants === 'any') return [text];
  const template = new IssuerTemplate(text, tenants);
  return tenants.map((tenant) => template.issuerOf(tenant));
}

type Settings = Exclude<RouteConfiguration['resource'], true | undefined>;

/** What the first of its routes says that says anything; the configuration has checked that the others do not contradict. */
function said<K extends keyof Settings>(
  routes: readonly RouteConfiguration[],
  key: K,
  counts: (value: Settings[K]) => boolean = (value) => value !== undefined,
): Settings[K] | undefined {
  for (const { resource } of routes) {
    if (typeof resource === 'object' && counts(resource[key])) return resource[key];
  }
  return undefined;
}

function scopesOf({ auth }: RouteConfiguration): string[] {
  return [auth, ...(auth.any_of ?? [])].flatMap(({ scopes }) =>
    Array.isArray(scopes) ? scopes : [...(scopes.all ?? []), ...(scopes.any ?? [])],
  );
}

function present(name: string, value: string | undefined): JsonObject {
  return value === undefined ? {} : { [name]: value };
}

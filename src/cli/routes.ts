import { identityNames, routeIdentityMap } from '../config/identity-map.ts';
import { accessText, matchText, upstreamText } from '../config/describe-route.ts';
import { metadataPathOf, metadataUrlOf } from '../http/metadata-url.ts';
import { protectedResources, resourceUrlOf } from '../config/protected-resources.ts';
import { upstreamEntries } from '../config/route-upstream-schema.ts';
import type { Configuration, RouteConfiguration } from '../config/schema.ts';
import {
  CONFIG_OPTION,
  configurationOf,
  flag,
  JSON_OPTION,
  print,
  printJson,
  table,
  type Command,
} from './command.ts';

export const routes: Command = {
  name: 'routes',
  summary: 'prints the route table; with --json the contract for service authors',
  usage: '[-c FILE] [--json]',
  options: { ...CONFIG_OPTION, ...JSON_OPTION },
  async run(args) {
    const { configuration } = configurationOf(args);
    if (flag(args, 'json')) printJson(configuration.routes.map((route) => contractOf(route, configuration)));
    else print(routeTable(configuration));
    return 0;
  },
};

/** What is shown of a route. */
interface RouteRow {
  readonly name: string;
  readonly match: string;
  readonly upstream: string;
  readonly access: string;
  /** The identity headers that the upstream gets. */
  readonly headers: readonly string[];
}

export function routeRows(configuration: Configuration): RouteRow[] {
  return configuration.routes.map((route) => ({
    name: route.name,
    match: matchText(route),
    upstream: upstreamText(route),
    access: accessText(route, configuration),
    headers: route.auth.mode === 'none' ? [] : Object.keys(routeIdentityMap(configuration, route)),
  }));
}

/** Route, match, upstream, who may pass, headers injected. */
export function routeTable(configuration: Configuration): string {
  return table([
    ['ROUTE', 'MATCH', 'UPSTREAM', 'WHO MAY PASS', 'HEADERS'],
    ...routeRows(configuration).map(({ name, match, upstream, access, headers }) => [
      name,
      match,
      upstream,
      access,
      headers.length === 0 ? '-' : headers.join(', '),
    ]),
    ...keysRow(configuration),
    ...metadataRows(configuration),
  ]);
}

/** The public keys of assertions, which no route serves. */
function keysRow({ identity }: Configuration): string[][] {
  const publish = identity.assertion?.publish;
  return publish ? [['-', `GET|HEAD ${publish.host}${publish.path}`, '(the gateway)', 'everybody', '-']] : [];
}

/** The metadata of protected resources, which no route serves. */
function metadataRows(configuration: Configuration): string[][] {
  return protectedResources(configuration).map(({ url }) => [
    '-',
    `GET|HEAD|OPTIONS ${url.hostname}${metadataPathOf(url)}`,
    '(the gateway)',
    'everybody',
    '-',
  ]);
}

/** What the service behind a route may rely on. */
function contractOf(route: RouteConfiguration, configuration: Configuration): object {
  const { auth } = route;
  const resource = resourceUrlOf(route, configuration.listeners);
  const { assertion, max_bytes, forward_authorization } = configuration.identity;
  return {
    route: route.name,
    match: route.match,
    upstream: route.upstream,
    ...(route.sticky ? { sticky: route.sticky } : {}),
    mode: auth.mode,
    report_only: auth.report_only,
    // Only then does every request have a caller.
    identity_guaranteed: auth.mode === 'required' && !auth.report_only,
    issuers: auth.mode === 'none' ? [] : (auth.issuers ?? 'every JWT issuer'),
    scopes: auth.scopes,
    claims: auth.claims,
    ...(resource ? { resource: resource.href, resource_metadata: metadataUrlOf(resource) } : {}),
    ...(auth.any_of ? { any_of: auth.any_of } : {}),
    identity_headers: auth.mode === 'none' ? {} : routeIdentityMap(configuration, route),
    // Of these a client's own copy never arrives, on any route.
    identity_reserved: [...identityNames(configuration), ...(assertion ? [assertion.header] : [])],
    identity_max_bytes: max_bytes,
    ...(assertion && auth.mode !== 'none'
      ? {
          assertion: {
            header: assertion.header,
            issuer: configuration.name,
            audience: typeof route.upstream === 'string' ? route.upstream : audiencesOf(route),
            lifetime_seconds: assertion.lifetime / 1000,
            claims: assertion.claims,
            // Where its public keys are, besides the admin listener.
            keys: assertion.publish ?? null,
          },
        }
      : {}),
    forward_authorization: route.identity.forward_authorization ?? forward_authorization,
  };
}

/** Each upstream finds its own name in `aud`. */
function audiencesOf({ upstream }: RouteConfiguration): string[] {
  return [...new Set(upstreamEntries(upstream).map(({ name }) => name))];
}

/**
 * Envoy with jwt_authn, which verifies a token, sets two headers from it and removes it. As its benchmarking advice says: no
 * request ids, no dynamic statistics, no access log, one worker, limits that are not reached.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Credentials } from '../credentials.ts';
import type { KindName } from '../kinds.ts';
import { envoyProgram, envoyVersion } from '../programs.ts';
import { sumOf, textOf, type Contestant } from './contestant.ts';

interface EnvoyOptions {
  readonly port: number;
  readonly adminPort: number;
  readonly upstreamPort: number;
  /** Of the upstream; clients choose theirs. */
  readonly protocol: 'http/1.1' | 'h2';
  /** Undefined: every request passes. */
  readonly authentication: { readonly credentials: Credentials; readonly cache: boolean } | undefined;
}

/** Ten times its default. */
const CACHE_ENTRIES = 1_000;
const NO_LIMIT = 1_000_000;

const extension = (name: string): string => `type.googleapis.com/envoy.extensions.${name}`;
const addressOf = (port: number): object => ({ socket_address: { address: '127.0.0.1', port_value: port } });

export function envoyConfiguration(options: EnvoyOptions): object {
  const manager = { name: 'envoy.filters.network.http_connection_manager', typed_config: managerOf(options) };
  return {
    admin: { address: addressOf(options.adminPort) },
    static_resources: {
      listeners: [{ name: 'in', address: addressOf(options.port), filter_chains: [{ filters: [manager] }] }],
      clusters: [clusterOf(options)],
    },
  };
}

function clusterOf({ upstreamPort, protocol }: EnvoyOptions): object {
  const limits = { max_connections: NO_LIMIT, max_pending_requests: NO_LIMIT, max_requests: NO_LIMIT };
  const http = extension('upstreams.http.v3.HttpProtocolOptions');
  return {
    name: 'up',
    type: 'STATIC',
    connect_timeout: '5s',
    circuit_breakers: { thresholds: [limits] },
    load_assignment: {
      cluster_name: 'up',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: addressOf(upstreamPort) } }] }],
    },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': http,
        explicit_http_config:
          protocol === 'h2' ? { http2_protocol_options: {} } : { http_protocol_options: {} },
      },
    },
  };
}

function managerOf({ authentication }: EnvoyOptions): object {
  const router = { '@type': extension('filters.http.router.v3.Router'), dynamic_stats: false };
  return {
    '@type': extension('filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'in',
    // By its first bytes, as in Sallyport.
    codec_type: 'AUTO',
    generate_request_id: false,
    route_config: {
      virtual_hosts: [
        { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'up' } }] },
      ],
    },
    http_filters: [
      ...(authentication === undefined
        ? []
        : [{ name: 'envoy.filters.http.jwt_authn', typed_config: jwtOf(authentication) }]),
      { name: 'envoy.filters.http.router', typed_config: router },
    ],
  };
}

function jwtOf({ credentials, cache }: NonNullable<EnvoyOptions['authentication']>): object {
  const { issuer, audience, jwks } = credentials;
  return {
    '@type': extension('filters.http.jwt_authn.v3.JwtAuthentication'),
    providers: {
      bench: {
        issuer,
        audiences: [audience],
        local_jwks: { inline_string: JSON.stringify(jwks) },
        ...(cache && { jwt_cache_config: { jwt_cache_size: CACHE_ENTRIES } }),
        claim_to_headers: [
          { header_name: 'x-user-id', claim_name: 'sub' },
          { header_name: 'x-scopes', claim_name: 'scope' },
        ],
      },
    },
    rules: [{ match: { prefix: '/' }, requires: { provider_name: 'bench' } }],
  };
}

export function envoyCommand(folder: string, configuration: object): readonly string[] {
  const file = join(folder, 'envoy.json');
  writeFileSync(file, JSON.stringify(configuration));
  return [envoyProgram(), '-c', file, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'error'];
}

export function envoy(
  name: string,
  authenticates: 'no' | 'yes' | 'with its cache',
  kinds: readonly KindName[],
): Contestant {
  const cache = authenticates === 'with its cache';
  return {
    name,
    version: envoyVersion,
    kinds,
    blindTo: authenticates === 'no' ? undefined : [],
    warmsUp: false,
    start({ folder, port, adminPort, upstreamPort, credentials }) {
      const authentication = authenticates === 'no' ? undefined : { credentials, cache };
      const options = { port, adminPort, upstreamPort, protocol: 'http/1.1', authentication } as const;
      return { command: envoyCommand(folder, envoyConfiguration(options)) };
    },
    ...(cache && {
      lookups: async (adminPort) => {
        const text = await textOf(adminPort, '/stats?filter=jwt_cache');
        return { hits: sumOf(text, /jwt_cache_hit:/), misses: sumOf(text, /jwt_cache_miss:/) };
      },
    }),
  };
}

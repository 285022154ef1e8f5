/** Envoy's configuration for the same job as Sallyport's: verifies a JWT once, sets two headers from it, and removes the token. */
import type { Credentials } from './credentials.ts';

const extension = (name: string): string => `type.googleapis.com/envoy.extensions.${name}`;

export function envoyConfiguration(port: number, upstreamPort: number, credentials: Credentials): object {
  return {
    static_resources: {
      listeners: [
        {
          name: 'in',
          address: addressOf(port),
          filter_chains: [
            {
              filters: [
                { name: 'envoy.filters.network.http_connection_manager', typed_config: manager(credentials) },
              ],
            },
          ],
        },
      ],
      clusters: [
        {
          name: 'up',
          type: 'STATIC',
          connect_timeout: '5s',
          load_assignment: {
            cluster_name: 'up',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: addressOf(upstreamPort) } }] }],
          },
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': extension('upstreams.http.v3.HttpProtocolOptions'),
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
        },
      ],
    },
  };
}

const addressOf = (port: number): object => ({ socket_address: { address: '127.0.0.1', port_value: port } });

function manager({ issuer, audience, jwks }: Credentials): object {
  return {
    '@type': extension('filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'in',
    // By its first bytes, as in Sallyport.
    codec_type: 'AUTO',
    route_config: {
      virtual_hosts: [
        { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'up' } }] },
      ],
    },
    http_filters: [
      {
        name: 'envoy.filters.http.jwt_authn',
        typed_config: {
          '@type': extension('filters.http.jwt_authn.v3.JwtAuthentication'),
          providers: {
            bench: {
              issuer,
              audiences: [audience],
              local_jwks: { inline_string: JSON.stringify(jwks) },
              jwt_cache_config: { jwt_cache_size: 1_000 },
              claim_to_headers: [
                { header_name: 'x-user-id', claim_name: 'sub' },
                { header_name: 'x-scopes', claim_name: 'scope' },
              ],
            },
          },
          rules: [{ match: { prefix: '/' }, requires: { provider_name: 'bench' } }],
        },
      },
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': extension('filters.http.router.v3.Router') },
      },
    ],
  };
}

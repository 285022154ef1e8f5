/**
 * The demo's authorization server: `oidc-provider`, with one application that logs in by client credentials. It issues RFC 9068 JWTs for the cookie API, and opaque tokens for the jar API.
 */
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Provider, type Configuration } from 'oidc-provider';

export interface DemoIssuer {
  readonly url: string;
  close(): Promise<void>;
}

export const COOKIE_API = 'https://cookies.example';
/** Tokens for this resource are opaque; a resource server introspects them. */
export const OPAQUE_RESOURCE = 'https://jars.example';
export const CLIENT = { id: 'cookie-monster', secret: 'om-nom-nom-nom-nom-nom-nom-nom-nom' } as const;
const SCOPES = 'cookies:read cookies:bake';
const TOKEN_SECONDS = 600;

/**
 * Starts the authorization server; port 0 takes a free port.
 * @param url the issuer identifier (`iss`), where clients reach the server by another URL than its own
 */
export async function startIssuer(
  port: number,
  { host = '127.0.0.1', url: publicUrl }: { readonly host?: string; readonly url?: string } = {},
): Promise<DemoIssuer> {
  const server = createServer();
  server.listen(port, host);
  await once(server, 'listening');
  const url = publicUrl ?? `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const serve = new Provider(url, providerSettings()).callback();
  server.on('request', (request, response) => void serve(request, response));
  return {
    url,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Its settings, with a new signing key. */
function providerSettings(): Configuration {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return {
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'demo', alg: 'RS256', use: 'sig' }] },
    cookies: { keys: ['only for the demo'] },
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        scope: SCOPES,
      },
    ],
    scopes: SCOPES.split(' '),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      // There is only one client, and the gateway introspects as that client.
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => COOKIE_API,
        getResourceServerInfo: (_context, resource) => ({
          scope: SCOPES,
          audience: resource,
          accessTokenTTL: TOKEN_SECONDS,
          ...(resource === OPAQUE_RESOURCE
            ? { accessTokenFormat: 'opaque' }
            : { accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } }),
        }),
      },
    },
    ttl: { ClientCredentials: TOKEN_SECONDS },
  };
}

/**
 * A real authorization server (oidc-provider) that binds its tokens to the key of the client, and asks for a nonce in every
 * proof (RFC 9449 sections 5 and 8). JWTs for one resource, opaque tokens for another.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Provider } from 'oidc-provider';
import type { Test } from 'tap';
import { AUDIENCE, createKey } from './tokens.ts';
import { startServer } from './upstream.ts';

export const DPOP_CLIENT = { id: 'app', secret: 'a secret that is long enough for a server' } as const;
/** Tokens for this resource are JWTs. */
export const JWT_RESOURCE = AUDIENCE;
/** Tokens for this one are opaque, and mean what the server says at its introspection endpoint. */
export const OPAQUE_RESOURCE = 'https://jars.example.com';
/** What each JWT carries as `sid`. */
export const SESSION = 'the session of the app';

const key = createKey('ES256');

/** Starts it. Returns its issuer URL. */
export async function startDpopServer(t: Test): Promise<string> {
  let serve: (request: IncomingMessage, response: ServerResponse) => unknown = () => undefined;
  const url = await startServer(t, (request, response) => void serve(request, response));
  serve = providerAt(url).callback();
  return url;
}

function providerAt(url: string): Provider {
  return new Provider(url, {
    jwks: {
      keys: [{ ...key.privateKey.export({ format: 'jwk' }), kid: key.kid, alg: key.algorithm, use: 'sig' }],
    },
    cookies: { keys: ['of the tests'] },
    clients: [
      {
        client_id: DPOP_CLIENT.id,
        client_secret: DPOP_CLIENT.secret,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        scope: 'read',
        id_token_signed_response_alg: 'ES256',
        dpop_bound_access_tokens: true,
      },
    ],
    scopes: ['read'],
    enabledJWA: { dPoPSigningAlgValues: ['ES256', 'EdDSA', 'Ed25519', 'PS256'] },
    extraTokenClaims: () => ({ sid: SESSION }),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
      introspection: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => JWT_RESOURCE,
        getResourceServerInfo: (_context, resource) => ({
          scope: 'read',
          audience: resource,
          accessTokenTTL: 3_600,
          ...(resource === OPAQUE_RESOURCE
            ? { accessTokenFormat: 'opaque' }
            : { accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }),
        }),
      },
    },
    ttl: { ClientCredentials: 3_600 },
  });
}

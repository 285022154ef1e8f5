/** A real authorization server (oidc-provider) whose keys the test can rotate. It issues RFC 9068 JWTs. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Provider } from 'oidc-provider';
import type { Test } from 'tap';
import { AUDIENCE, createKey, type SigningKey } from './tokens.ts';
import { startServer } from './upstream.ts';

type Serve = (request: IncomingMessage, response: ServerResponse) => unknown;

export interface AuthorizationServer {
  readonly url: string;
  /** How often its key set was fetched. */
  readonly keyFetches: () => number;
  /** Signs with a new key from now on; the previous key stays published, older keys do not. */
  rotate(): void;
  /** A new access token for this client. */
  login(): Promise<string>;
}

const CLIENT = { id: 'app', secret: 'a secret that is long enough for a server' } as const;

export async function startAuthorizationServer(t: Test): Promise<AuthorizationServer> {
  let serve: Serve = () => undefined;
  let keyFetches = 0;
  let keys: SigningKey[] = [];
  const url = await startServer(t, (request, response) => {
    if (request.url === '/jwks') keyFetches++;
    void serve(request, response);
  });
  const rotate = (): void => {
    keys = [createKey('ES256', randomUUID()), ...keys].slice(0, 2);
    serve = providerWith(url, keys).callback();
  };
  rotate();
  return {
    url,
    keyFetches: () => keyFetches,
    rotate,
    async login() {
      const response = await fetch(`${url}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(`${CLIENT.id}:${CLIENT.secret}`)}` },
        body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'read' }),
      });
      return ((await response.json()) as { access_token: string }).access_token;
    },
  };
}

function providerWith(url: string, keys: readonly SigningKey[]): Provider {
  return new Provider(url, {
    jwks: {
      keys: keys.map(({ privateKey, kid, algorithm }) => ({
        ...privateKey.export({ format: 'jwk' }),
        kid,
        alg: algorithm,
        use: 'sig',
      })),
    },
    cookies: { keys: ['of the tests'] },
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        scope: 'read',
        id_token_signed_response_alg: 'ES256',
      },
    ],
    scopes: ['read'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        getResourceServerInfo: () => ({
          scope: 'read',
          audience: AUDIENCE,
          accessTokenTTL: 3_600,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    ttl: { ClientCredentials: 3_600 },
  });
}

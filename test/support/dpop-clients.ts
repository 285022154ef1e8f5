/** Clients that others wrote, each with a key of its own, which its tokens are bound to. They speak to loopback without TLS. */
import * as proofs from 'dpop';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { DPOP_CLIENT } from './dpop-server.ts';

/** What went over the wire. */
export interface Exchange {
  readonly url: string;
  readonly method: string;
  readonly proof: string;
  readonly status: number;
  /** The nonce that the response brought. */
  readonly nonce: string | null;
}

export interface DpopClient {
  readonly wire: Exchange[];
  /** A token for this resource, by client credentials. */
  token(resource: string): Promise<string>;
  /** Asks for a resource with this token, again where the gateway asks for a nonce. Resolves with the last status. */
  ask(token: string, method: string, url: string, body?: string): Promise<number>;
}

type Fetch = (url: string, options: object) => Promise<Response>;

/** `fetch` that writes down what it sends. */
function recording(wire: Exchange[]): Fetch {
  return async (url, options) => {
    const { method = 'GET', headers } = options as {
      method?: string;
      headers?: Record<string, string> | Headers;
    };
    const response = await fetch(url, options);
    wire.push({
      url,
      method,
      proof: new Headers(headers).get('dpop') ?? '',
      status: response.status,
      nonce: response.headers.get('dpop-nonce'),
    });
    return response;
  };
}

/** `oauth4webapi`, which says when a nonce is missing, and leaves it to its user to ask again. */
async function oauth4webapi(issuer: string): Promise<DpopClient> {
  const wire: Exchange[] = [];
  const options = { [oauth.allowInsecureRequests]: true, [oauth.customFetch]: recording(wire) };
  const discovered = await oauth.discoveryRequest(new URL(issuer), options);
  const server = await oauth.processDiscoveryResponse(new URL(issuer), discovered);
  const client: oauth.Client = { client_id: DPOP_CLIENT.id };
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
  const authentication = oauth.ClientSecretBasic(DPOP_CLIENT.secret);
  const again = async <T>(request: () => Promise<T>): Promise<T> =>
    request().catch((error: unknown) => {
      if (oauth.isDPoPNonceError(error)) return request();
      throw error;
    });
  const all = { ...options, DPoP };
  return {
    wire,
    async token(resource) {
      const { access_token, token_type } = await again(async () =>
        oauth.processClientCredentialsResponse(
          server,
          client,
          await oauth.clientCredentialsGrantRequest(
            server,
            client,
            authentication,
            { resource, scope: 'read' },
            all,
          ),
        ),
      );
      if (token_type !== 'dpop') throw new Error(`token_type is ${token_type}`);
      return access_token;
    },
    async ask(token, method, url, body) {
      const request = (): Promise<Response> =>
        oauth.protectedResourceRequest(token, method, new URL(url), undefined, body, all);
      return again(request).then(statusOf, (error: unknown) => {
        if (error instanceof oauth.WWWAuthenticateChallengeError) return error.status;
        throw error;
      });
    },
  };
}

/** `openid-client`, which asks again by itself. */
async function openidClient(issuer: string): Promise<DpopClient> {
  const wire: Exchange[] = [];
  const config = await openid.discovery(new URL(issuer), DPOP_CLIENT.id, DPOP_CLIENT.secret, undefined, {
    execute: [openid.allowInsecureRequests],
    [openid.customFetch]: recording(wire),
  });
  const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('EdDSA'));
  return {
    wire,
    async token(resource) {
      return (await openid.clientCredentialsGrant(config, { resource, scope: 'read' }, { DPoP }))
        .access_token;
    },
    ask: (token, method, url, body) =>
      openid
        .fetchProtectedResource(config, token, new URL(url), method, body, undefined, { DPoP })
        .then(statusOf, (error: unknown) => {
          if (error instanceof openid.WWWAuthenticateChallengeError) return error.status;
          throw error;
        }),
  };
}

/** `dpop`, which makes proofs and nothing else, with `fetch`. It keeps the nonce of each server. */
async function dpopPackage(issuer: string): Promise<DpopClient> {
  const wire: Exchange[] = [];
  const pair = await proofs.generateKeyPair('PS256');
  const send = recording(wire);
  const nonces = new Map<string, string>();
  const request = async (
    method: string,
    url: string,
    headers: object,
    body?: string,
    token?: string,
  ): Promise<Response> => {
    const { origin, pathname } = new URL(url);
    for (let attempt = 1; ; attempt++) {
      const proof = await proofs.generateProof(
        pair,
        `${origin}${pathname}`,
        method,
        nonces.get(origin),
        token,
      );
      const response = await send(url, { method, headers: { ...headers, DPoP: proof }, body });
      const nonce = response.headers.get('dpop-nonce');
      if (nonce !== null) nonces.set(origin, nonce);
      if (attempt === 2 || nonce === null || ![400, 401].includes(response.status)) return response;
      await response.arrayBuffer();
    }
  };
  return {
    wire,
    async token(resource) {
      const form = new URLSearchParams({ grant_type: 'client_credentials', scope: 'read', resource });
      const headers = {
        authorization: `Basic ${btoa(`${DPOP_CLIENT.id}:${encodeURIComponent(DPOP_CLIENT.secret)}`)}`,
        'content-type': 'application/x-www-form-urlencoded',
      };
      const response = await request('POST', `${issuer}/token`, headers, form.toString());
      const text = await response.text();
      if (!response.ok) throw new Error(`${response.status} ${text}`);
      return (JSON.parse(text) as { access_token: string }).access_token;
    },
    ask: async (token, method, url, body) =>
      statusOf(await request(method, url, { authorization: `DPoP ${token}` }, body, token)),
  };
}

async function statusOf(response: Response): Promise<number> {
  await response.arrayBuffer();
  return response.status;
}

/** Each with an issuer URL. */
export const DPOP_CLIENTS: Readonly<Record<string, (issuer: string) => Promise<DpopClient>>> = {
  oauth4webapi,
  'openid-client': openidClient,
  dpop: dpopPackage,
};

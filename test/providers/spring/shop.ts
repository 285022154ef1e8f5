/** Clients of Spring Authorization Server, and the gateway that protects their API. */
import {
  Browser,
  formOf,
  loginByCode,
  requestTokens,
  type Client,
  type Tokens,
} from '../support/oauth-client.ts';
import { OPAQUE, REDIRECT_URI, USER, WEB, type Spring } from './server.ts';

export interface Shop {
  readonly spring: Spring;
  endpoint(path: string): string;
  login(client: Client): Promise<Tokens>;
  service(client: Client, scope?: string, headers?: Record<string, string>): Promise<Tokens>;
  refresh(client: Client, tokens: Tokens): Promise<Tokens>;
}

export function shopAt(spring: Spring): Shop {
  const endpoint = (path: string): string => `${spring.url}${path}`;
  const tokens = (client: Client, form: Record<string, string>, headers = {}): Promise<Tokens> =>
    requestTokens(endpoint('/oauth2/token'), client, form, headers);
  return {
    spring,
    endpoint,
    async login(client) {
      const browser = new Browser();
      return loginByCode(client, {
        authorizationEndpoint: endpoint('/oauth2/authorize'),
        tokenEndpoint: endpoint('/oauth2/token'),
        redirectUri: REDIRECT_URI,
        scope: 'openid orders:read',
        browser,
        async login(first) {
          const { action, hidden } = formOf(await browser.follow(first, REDIRECT_URI));
          const form = { ...hidden, username: USER.name, password: USER.password };
          return browser.follow(await browser.open(action, form), REDIRECT_URI);
        },
      });
    },
    service: (client, scope = 'orders:read', headers = {}) =>
      tokens(client, { grant_type: 'client_credentials', scope }, headers),
    refresh: (client, { refresh_token = '' }) =>
      tokens(client, { grant_type: 'refresh_token', refresh_token }),
  };
}

/** The gateway, as docs/providers/spring.md sets it up: JWTs of Spring on most routes, opaque tokens on /opaque, JWTs that Spring is asked about on /asked. */
export function configurationOf(shop: Shop, changes: Record<string, unknown> = {}): Record<string, unknown> {
  const route = (name: string, auth: object): object => ({
    name,
    match: { path_prefix: `/${name}` },
    upstream: 'orders',
    auth,
  });
  const introspected = (audience: string, more: object): object => ({
    provider: 'spring',
    issuer: shop.spring.url,
    introspection: {
      url: shop.endpoint('/oauth2/introspect'),
      client_id: OPAQUE.id,
      client_secret: OPAQUE.secret,
      cache: '0s',
      negative_cache: '0s',
      ...more,
    },
    audiences: [audience],
  });
  return {
    issuers: {
      login: {
        provider: 'spring',
        issuer: shop.spring.url,
        discovery: true,
        audiences: [WEB.id],
        claim_names: { client: 'aud' },
        ...changes,
      },
      opaque: introspected(OPAQUE.id, {}),
      asked: introspected(WEB.id, { jwt: true }),
    },
    routes: [
      route('orders', { issuers: ['login'], scopes: ['orders:read'] }),
      route('changes', { issuers: ['login'], scopes: ['orders:write'] }),
      route('all', { issuers: ['login'] }),
      route('opaque', { issuers: ['opaque'] }),
      route('asked', { issuers: ['asked'] }),
    ],
  };
}

export const PATHS = ['/orders', '/changes', '/all', '/opaque', '/asked'];

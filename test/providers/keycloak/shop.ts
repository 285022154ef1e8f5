/** What clients of the realm do, and the gateway that protects its API. */
import {
  Browser,
  formOf,
  loginByCode,
  requestTokens,
  type Client,
  type Tokens,
} from '../support/oauth-client.ts';
import { ALICE, API, API_CLIENT, PASSWORD, REALM, REDIRECT_URI, WEB } from './realm.ts';
import type { Keycloak } from './server.ts';

export interface Shop {
  readonly keycloak: Keycloak;
  readonly issuer: string;
  /** The OpenID endpoint of this name, such as token or logout. */
  endpoint(name: string): string;
  /** A login by the authorization code flow in this browser. */
  loginInBrowser(client?: Client, username?: string, browser?: Browser): Promise<Tokens>;
  /** A login by the password grant, which needs no browser. */
  login(
    client?: Client,
    username?: string,
    scope?: string,
    headers?: Record<string, string>,
  ): Promise<Tokens>;
  /** Client credentials. */
  service(client: Client, scope?: string): Promise<Tokens>;
  refresh(client: Client, tokens: Tokens): Promise<Tokens>;
}

export function shopAt(keycloak: Keycloak): Shop {
  const issuer = `${keycloak.url}/realms/${REALM}`;
  const endpoint = (name: string): string => `${issuer}/protocol/openid-connect/${name}`;
  const tokens = (client: Client, form: Record<string, string>, headers = {}): Promise<Tokens> =>
    requestTokens(endpoint('token'), client, form, headers);
  return {
    keycloak,
    issuer,
    endpoint,
    loginInBrowser: (client = WEB, username = ALICE, browser = new Browser()) =>
      loginByCode(client, {
        authorizationEndpoint: endpoint('auth'),
        tokenEndpoint: endpoint('token'),
        redirectUri: REDIRECT_URI,
        scope: 'openid orders:read',
        browser,
        async login(first) {
          const page = await browser.follow(first, REDIRECT_URI);
          // Logged in already.
          if (page.location !== undefined) return page;
          const { action, hidden } = formOf(page);
          return browser.follow(
            await browser.open(action, { ...hidden, username, password: PASSWORD }),
            REDIRECT_URI,
          );
        },
      }),
    login: (client = WEB, username = ALICE, scope = 'openid orders:read', headers = {}) =>
      tokens(client, { grant_type: 'password', username, password: PASSWORD, scope }, headers),
    service: (client, scope = 'orders:read') => tokens(client, { grant_type: 'client_credentials', scope }),
    refresh: (client, { refresh_token = '' }) =>
      tokens(client, { grant_type: 'refresh_token', refresh_token }),
  };
}

export const LOGOUT_PATH = '/logout/backchannel';

/** The gateway of the shop, as docs/providers/keycloak.md sets it up: one route for each rule, and one for each way to check tokens. */
export function configurationOf(shop: Shop, changes: Record<string, unknown> = {}): Record<string, unknown> {
  const route = (name: string, auth: object, issuer = 'login'): object => ({
    name,
    match: { path_prefix: `/${name}` },
    upstream: 'orders',
    auth: { issuers: [issuer], ...auth },
  });
  return {
    issuers: {
      login: {
        provider: 'keycloak',
        issuer: shop.issuer,
        discovery: true,
        audiences: [API],
        backchannel_logout: { host: '127.0.0.1', path: LOGOUT_PATH, client_ids: [WEB.id] },
        ...changes,
      },
      // Lightweight tokens say little: Keycloak is asked what they mean.
      light: {
        provider: 'keycloak',
        introspection: {
          url: shop.endpoint('token/introspect'),
          client_id: API_CLIENT.id,
          client_secret: API_CLIENT.secret,
          jwt: true,
          cache: '0s',
          negative_cache: '0s',
        },
        issuer: shop.issuer,
        audiences: [API],
      },
    },
    identity: { headers: { 'X-Roles': 'realm_access.roles' } },
    routes: [
      route('orders', { scopes: ['orders:read'] }),
      route('changes', { scopes: ['orders:write'] }),
      route('managers', { claims: { 'realm_access.roles': ['manager'] } }),
      route('approvals', { claims: { [`resource_access.${API}.roles`]: ['approve'] } }),
      route('all', {}),
      route('light', { scopes: ['orders:read'] }, 'light'),
    ],
  };
}

export const PATHS = ['/orders', '/changes', '/managers', '/approvals', '/all', '/light'];

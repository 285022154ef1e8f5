/** Clients of Hydra, and the gateway that protects their API. */
import { Browser, loginByCode, requestTokens, type Client, type Tokens } from '../support/oauth-client.ts';
import { API, type Hydra } from './server.ts';

const client = (id: string): Client => ({ id, secret: `secret of ${id}` });
/** Gets JWTs. */
export const WEB = client('web');
/** Gets opaque tokens. */
export const OPAQUE = client('opaque');

const REDIRECT_URI = 'http://127.0.0.1/callback';
export const LOGOUT_PATH = '/logout/backchannel';

export async function createClients({ admin }: Pick<Hydra, 'admin'>): Promise<void> {
  for (const { id, secret } of [WEB, OPAQUE])
    await admin('POST', '/clients', {
      client_id: id,
      client_secret: secret,
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      response_types: ['code'],
      redirect_uris: [REDIRECT_URI],
      scope: 'openid offline orders:read orders:write',
      audience: [API],
      token_endpoint_auth_method: 'client_secret_basic',
      access_token_strategy: id === OPAQUE.id ? 'opaque' : 'jwt',
    });
}

/** Where Hydra tells of logouts of the client web. */
export async function registerLogout({ admin }: Pick<Hydra, 'admin'>, uri: string): Promise<void> {
  await admin('PATCH', `/clients/${WEB.id}`, [
    { op: 'replace', path: '/backchannel_logout_uri', value: uri },
    { op: 'replace', path: '/backchannel_logout_session_required', value: true },
  ]);
}

export interface Shop {
  readonly hydra: Hydra;
  login(client: Client, browser?: Browser): Promise<Tokens>;
  service(client: Client, more?: Record<string, string>): Promise<Tokens>;
  refresh(client: Client, tokens: Tokens): Promise<Tokens>;
}

export function shopAt(hydra: Hydra): Shop {
  const tokenEndpoint = `${hydra.url}/oauth2/token`;
  const tokens = (client: Client, form: Record<string, string>): Promise<Tokens> =>
    requestTokens(tokenEndpoint, client, form);
  return {
    hydra,
    login: (client, browser = new Browser()) =>
      loginByCode(client, {
        authorizationEndpoint: `${hydra.url}/oauth2/auth`,
        tokenEndpoint,
        redirectUri: REDIRECT_URI,
        scope: 'openid offline orders:read',
        browser,
        login: (first) => browser.follow(first, REDIRECT_URI),
      }),
    service: (client, more = { audience: API }) =>
      tokens(client, { grant_type: 'client_credentials', scope: 'orders:read', ...more }),
    refresh: (client, { refresh_token = '' }) =>
      tokens(client, { grant_type: 'refresh_token', refresh_token }),
  };
}

/** The gateway, as docs/providers/hydra.md sets it up: JWTs of Hydra on most routes, opaque tokens on /opaque. */
export function configurationOf(
  { hydra }: Shop,
  changes: Record<string, unknown> = {},
): Record<string, unknown> {
  const route = (name: string, auth: object): object => ({
    name,
    match: { path_prefix: `/${name}` },
    upstream: 'orders',
    auth,
  });
  return {
    issuers: {
      login: {
        provider: 'hydra',
        issuer: hydra.url,
        discovery: true,
        audiences: [API],
        backchannel_logout: { host: '127.0.0.1', path: LOGOUT_PATH, client_ids: [WEB.id] },
        ...changes,
      },
      opaque: {
        provider: 'hydra',
        issuer: hydra.url,
        introspection: {
          url: `${hydra.adminUrl}/admin/oauth2/introspect`,
          client_id: 'gateway',
          client_secret: 'which Hydra does not ask for',
          cache: '0s',
          negative_cache: '0s',
        },
        audiences: [API],
      },
    },
    identity: { headers: { 'X-Roles': 'ext.roles' } },
    routes: [
      route('orders', { issuers: ['login'], scopes: ['orders:read'] }),
      route('changes', { issuers: ['login'], scopes: ['orders:write'] }),
      route('managers', { issuers: ['login'], claims: { 'ext.roles': ['manager'] } }),
      route('opaque', { issuers: ['opaque'], scopes: ['orders:read'] }),
    ],
  };
}

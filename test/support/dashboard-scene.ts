/** Two gateways that share a store, and some of everything that can happen to them: what the dashboards show. */
import { join } from 'node:path';
import type { RequestListener } from 'node:http';
import type { Test } from 'tap';
import { certificateAuthority } from './certificates.ts';
import { send } from './client.ts';
import { startDnsServer } from './dns-server.ts';
import { loginIssuer, startGateway, type TestGateway } from './gateway.ts';
import { startHttpTransmitter, type HttpTransmitter } from './http-transmitter.ts';
import { temporaryFolder } from './process.ts';
import { startStatusListServer } from './status-list-server.ts';
import { INTEGRITY } from './stored-keys.ts';
import { claimsOf, createKey, ISSUER, mint, nowSeconds, type SigningKey } from './tokens.ts';
import { startServer, startUpstream } from './upstream.ts';

export interface DashboardScene {
  readonly gateways: readonly TestGateway[];
  /** Signs the tokens of the issuer `login`. */
  readonly key: SigningKey;
  /** Some of everything that happens to a gateway, once on each. */
  readonly replay: () => Promise<void>;
}

export interface DashboardSceneOptions {
  /** Responds for the services behind all routes but `invoices`. Default: 200. */
  readonly respond?: RequestListener;
  /** Where the service behind `payments` listens. Default: nowhere. */
  readonly payments?: string;
}

/** What lies around the gateways, as parts of their configuration. */
interface Surroundings {
  readonly issuers: Record<string, unknown>;
  readonly upstreams: Record<string, unknown>;
  readonly transmitter: HttpTransmitter;
  /** Of the DNS server. */
  readonly names: string;
}

const OPEN = { auth: { mode: 'none' } };
const ROUTES = [
  {
    name: 'orders',
    match: { path_prefix: '/orders' },
    public_url: 'https://api.example.com',
    upstream: 'shop',
    auth: { issuers: ['login', 'partner', 'keys'], sender_constrained: 'optional' },
    rate_limits: [{ name: 'calls', by: 'subject', rate: '1000/1m' }],
  },
  {
    name: 'reports',
    match: { path_prefix: '/reports' },
    upstream: 'shop',
    auth: { report_only: true, issuers: ['login'] },
  },
  {
    name: 'payments',
    match: { path_prefix: '/payments' },
    upstream: [
      { name: 'payments', weight: 1 },
      { name: 'shop', weight: 0 },
    ],
    ...OPEN,
  },
  { name: 'catalog', match: { path_prefix: '/catalog' }, upstream: 'shop', ...OPEN },
  { name: 'search', match: { path_prefix: '/search' }, upstream: 'shop', ...OPEN },
  { name: 'invoices', match: { path_prefix: '/invoices' }, upstream: 'invoices', ...OPEN },
];

export async function startDashboardScene(
  t: Test,
  { respond, payments = 'http://127.0.0.1:1' }: DashboardSceneOptions = {},
): Promise<DashboardScene> {
  const key = createKey('EdDSA');
  const { ca } = certificateAuthority(temporaryFolder(t));
  const list = (await startStatusListServer(t)).publish('/list', key, [0, 1]);
  const upstream = await startUpstream(t, respond);
  const surroundings: Surroundings = {
    issuers: await issuersOf(t, key, list),
    upstreams: {
      shop: { targets: [upstream.url] },
      payments: { targets: [payments] },
      invoices: { targets: ['https://invoices.test'], tls: { ca_file: ca } },
    },
    transmitter: await startHttpTransmitter(t),
    names: (await startDnsServer(t)).address,
  };
  // What a fleet shares is counted and shown only where there is a store for it.
  const store = `sqlite:${join(temporaryFolder(t), 'list.sqlite')}`;
  const configuration = configurationOf(surroundings, store);
  const gateways = [await startGateway(t, configuration), await startGateway(t, configuration)];
  let round = 0;
  return {
    gateways,
    key,
    replay: async () => {
      round++;
      for (const gateway of gateways) await replayOn(gateway, { key, list, round });
    },
  };
}

async function issuersOf(t: Test, key: SigningKey, list: string): Promise<Record<string, unknown>> {
  const keys = await startServer(t, (_request, response) =>
    response.end(JSON.stringify({ keys: [key.jwk] })),
  );
  const introspector = await startServer(t, (request, response) => {
    request.resume();
    response.setHeader('content-type', 'application/json');
    response.end('{"active":false}');
  });
  const { jwks: _jwks, ...login } = loginIssuer(key);
  return {
    login: {
      ...login,
      jwks_url: keys,
      status_list: { uris: [list] },
      backchannel_logout: { host: 'login.example.com', path: '/logout', client_ids: ['web'] },
      global_token_revocation: { url: 'https://login.example.com/revoke', callers: ['okta'] },
    },
    keys: { api_keys: { store: true, integrity_key: INTEGRITY } },
    partner: {
      introspection: { url: introspector, client_id: 'a', client_secret: 'b' },
      audiences: ['https://api.example.com'],
    },
  };
}

function configurationOf(
  { issuers, upstreams, transmitter, names }: Surroundings,
  store: string,
): Record<string, unknown> {
  return {
    issuers,
    limits: { in_flight: 100 },
    revocation: { store, canary: { every: '10s' } },
    signals: {
      events: {
        issuer: transmitter.url,
        discovery: true,
        audiences: [transmitter.audience],
        for: ['login'],
        oauth: { token_url: `${transmitter.url}/token`, client_id: 'a', client_secret: 'b' },
        poll: {},
        stream: {},
      },
    },
    routes: ROUTES,
    // It knows no name.
    dns: { servers: [names] },
    upstreams,
  };
}

async function replayOn(
  gateway: TestGateway,
  { key, list, round }: { readonly key: SigningKey; readonly list: string; readonly round: number },
): Promise<void> {
  const token = mint(key, claimsOf({ sub: `s${round}`, iat: nowSeconds() - 5 }));
  await send(gateway.url, '/orders', { token, headers: ['x-user-id', 'mallory'] });
  await gateway.admin('POST', '/v1/revocations', { issuer: ISSUER, subject: `s${round}` });
  await send(gateway.url, '/orders', { token });
  await send(gateway.url, '/orders', { token: mint(createKey('EdDSA')) });
  const status = { status_list: { uri: list, idx: 1 } };
  await send(gateway.url, '/orders', { token: mint(key, claimsOf({ status })) });
  await send(gateway.url, '/orders', { token: `opaque-${round}` });
  await gateway.admin('POST', '/v1/api-keys', { issuer: 'keys', subject: 'program' });
  await send(gateway.url, '/reports');
  await send(gateway.url, '/payments');
  await send(gateway.url, '/nowhere');
}

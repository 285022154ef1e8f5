/** Requests that meet the rules of test/support/rehearsed.ts: for rehearsals, which must say what a gateway does. */
import { newKey } from './api-keys.ts';
import { proofKey } from './proofs.ts';
import type { SeededRandom } from './seeded-random.ts';
import { AUDIENCE, claimsOf, createKey, mint, nowSeconds } from './tokens.ts';

type Members = Record<string, unknown>;

export const loginKey = createKey('ES256', 'one');
export const otherKey = createKey('EdDSA', 'two');
const holder = proofKey('EdDSA');
export const HOST = 'api.example.com';

export const OTHER_ISSUER = 'https://other.example';
export const SECOND_AUDIENCE = 'https://second.example';
const bound = { cnf: { jkt: holder.thumbprint } };

const now = nowSeconds();

/** API keys of an issuer that routes accept only by its name. */
const partner = newKey('one', { subject: 'partner', scopes: ['orders:read', 'files'] });
export const KEY_FILE = [partner.entry];

interface SentToken {
  readonly text: string | undefined;
  readonly scheme?: string;
  readonly hasProof?: boolean;
  /** Besides, or alone. */
  readonly apiKey?: string;
}

const of = (claims: Members): SentToken => ({ text: mint(loginKey, claimsOf(claims)) });
const login = { acr: 'mfa', auth_time: now - 60 };

/** Those that issuers vouch for, of which routes differ in what they permit. */
const GOOD: readonly SentToken[] = [
  of({ scope: 'orders:read orders:write', roles: ['admin'], tenant: 'acme', ...login }),
  of({ scope: 'orders:write', roles: ['editor'], tenant: 'acme' }),
  of({ scope: 'orders:read files', roles: ['editor', 'reader'], tenant: 'globex', plan: 'gold' }),
  of({ scope: 'files', plan: 'silver', tenant: 'globex', ...login }),
  of({ scope: undefined, roles: ['reader'], ...login }),
  of({ scope: 'orders:read orders:write files admin', roles: ['admin', 'reader'], plan: 'gold', ...login }),
  { text: mint(otherKey, claimsOf({ iss: OTHER_ISSUER, scope: 'orders:read', tenant: 'acme' })) },
  { text: mint(otherKey, claimsOf({ iss: OTHER_ISSUER, scope: 'files orders:write', roles: ['admin'] })) },
  { text: mint(loginKey, claimsOf({ ...bound, scope: 'orders:read' })), hasProof: true, scheme: 'DPoP' },
];

const TOKENS: readonly SentToken[] = [
  ...GOOD,
  ...GOOD,
  ...GOOD,
  { text: undefined },
  { text: undefined },
  { text: undefined },
  of({}),
  of({ sub: 'mallory', scope: 'orders:read' }),
  of({ auth_time: now - 7_200, acr: 'pwd', scope: 'orders:read orders:write' }),
  of({ exp: now - 3_600, iat: now - 7_200 }),
  of({ aud: 'https://elsewhere.example' }),
  of({ aud: SECOND_AUDIENCE, scope: 'orders:read files', roles: ['editor'] }),
  of({ aud: [AUDIENCE, SECOND_AUDIENCE], scope: 'orders:read orders:write' }),
  of({ iss: 'https://stranger.example' }),
  { text: mint(createKey('ES256', 'one'), claimsOf()) },
  { text: mint(loginKey, claimsOf({ ...bound, scope: 'orders:read' })) },
  { text: mint(loginKey, claimsOf()), scheme: 'DPoP' },
  { text: partner.key },
  { text: undefined, apiKey: partner.key },
  { text: undefined, apiKey: 'no-key' },
  { ...of({ scope: 'orders:read' }), apiKey: partner.key },
  { text: 'opaque' },
  { text: 'not a token' },
  { text: 'OmE=', scheme: 'Basic' },
];

const PATHS = [
  ...[
    '/orders',
    '/orders/1',
    '/orders/1/items',
    '/ordersX',
    '/admin',
    '/admin/x',
    '/files/a',
    '/files/a%2Fb',
  ],
  ...[
    '/files//a',
    '/tenants/acme/orders',
    '/tenants/globex/orders',
    '/tenants/acm%65/orders',
    '/',
    '/public/x',
  ],
  ...['/orders/../admin', '/orders;x', '/orders?access_token=x', '/public?page=2', '/%6frders', '/elsewhere'],
];
const METHODS = ['GET', 'GET', 'GET', 'GET', 'POST', 'POST', 'DELETE', 'OPTIONS'];
const HOSTS = [HOST, HOST, HOST, 'a.wild.example', 'other.example'];
const HEADERS: readonly (readonly string[])[] = [
  [],
  [],
  [],
  [],
  ['X-Version', '2'],
  ['X-Version', '3', 'X-Debug', 'on'],
  ['Origin', 'https://app.example.com', 'Access-Control-Request-Method', 'POST'],
];

/** A request that can be sent again. */
export interface SentRequest {
  readonly method: string;
  readonly path: string;
  /** With a proof of its own each time, where its token needs one. */
  readonly headers: () => readonly string[];
}

export function someRequest(random: SeededRandom): SentRequest {
  const [method, path, host] = [random.of(METHODS), random.of(PATHS), random.of(HOSTS)];
  const { text, scheme = 'Bearer', hasProof = false, apiKey: own } = random.of(TOKENS);
  // Some clients send two credentials, of which a route may read both.
  const apiKey = random.below(10) === 0 ? partner.key : own;
  const fields = random.of(HEADERS);
  const url = `https://${HOST}${path.split('?')[0] ?? ''}`;
  return {
    method,
    path,
    headers: () => [
      ...['host', host, ...fields],
      ...(text === undefined ? [] : ['authorization', `${scheme} ${text}`]),
      ...(apiKey === undefined ? [] : ['x-api-key', apiKey]),
      ...(hasProof ? ['dpop', holder.proof({ method, url, token: text ?? '' })] : []),
    ],
  };
}

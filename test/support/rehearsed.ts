/** Configurations that differ in a few rules, and requests that meet them: for rehearsals, which must say what a gateway does. */
import { newKey } from './api-keys.ts';
import { proofKey } from './proofs.ts';
import type { SeededRandom } from './seeded-random.ts';
import { AUDIENCE, claimsOf, createKey, ISSUER, mint, nowSeconds } from './tokens.ts';

type Members = Record<string, unknown>;

const key = createKey('ES256', 'one');
const other = createKey('EdDSA', 'two');
const holder = proofKey('EdDSA');
const HOST = 'api.example.com';

const OTHER = 'https://other.example';
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

const of = (claims: Members): SentToken => ({ text: mint(key, claimsOf(claims)) });
const login = { acr: 'mfa', auth_time: now - 60 };

/** Those that issuers vouch for, of which routes differ in what they permit. */
const GOOD: readonly SentToken[] = [
  of({ scope: 'orders:read orders:write', roles: ['admin'], tenant: 'acme', ...login }),
  of({ scope: 'orders:write', roles: ['editor'], tenant: 'acme' }),
  of({ scope: 'orders:read files', roles: ['editor', 'reader'], tenant: 'globex', plan: 'gold' }),
  of({ scope: 'files', plan: 'silver', tenant: 'globex', ...login }),
  of({ scope: undefined, roles: ['reader'], ...login }),
  of({ scope: 'orders:read orders:write files admin', roles: ['admin', 'reader'], plan: 'gold', ...login }),
  { text: mint(other, claimsOf({ iss: OTHER, scope: 'orders:read', tenant: 'acme' })) },
  { text: mint(other, claimsOf({ iss: OTHER, scope: 'files orders:write', roles: ['admin'] })) },
  { text: mint(key, claimsOf({ ...bound, scope: 'orders:read' })), hasProof: true, scheme: 'DPoP' },
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
  of({ aud: [AUDIENCE, 'https://second.example'], scope: 'orders:read orders:write' }),
  of({ iss: 'https://stranger.example' }),
  { text: mint(createKey('ES256', 'one'), claimsOf()) },
  { text: mint(key, claimsOf({ ...bound, scope: 'orders:read' })) },
  { text: mint(key, claimsOf()), scheme: 'DPoP' },
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
  const { text, scheme = 'Bearer', hasProof = false, apiKey } = random.of(TOKENS);
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

/** One route in the making: each member is drawn by itself, so that one of them can be drawn again. */
type Draw = (random: SeededRandom) => unknown;

const RULES: readonly Members[] = [
  ...Array<Members>(6).fill({}),
  { roles: 'admin' },
  { roles: ['admin', 'editor'] },
  { roles: ['admin', 'editor', 'reader'] },
  { plan: { prefix: ['gold-', 'go'] } },
  { plan: { absent: true } },
  { roles: 'reader', tenant: 'globex' },
];
const SCOPES: readonly unknown[] = [
  ...Array<never[]>(4).fill([]),
  ['orders:read'],
  ['orders:read'],
  ['orders:read', 'orders:write'],
  { any: ['orders:write', 'files'] },
  { all: ['orders:read'], any: ['files', 'admin'] },
];

const WITH_KEYS = ['login', 'partners'];

const AUTH: Readonly<Record<string, Draw>> = {
  mode: (random) => random.of(['required', 'required', 'required', 'optional', 'none']),
  issuers: (random) =>
    random.of([...Array<undefined>(6), ['login'], ['login'], ['other'], WITH_KEYS, WITH_KEYS]),
  scopes: (random) => random.of(SCOPES),
  claims: (random) => random.of(RULES),
  any_of: (random) =>
    random.of([...Array<undefined>(6), [{ scopes: ['files'] }, { claims: random.of(RULES) }]]),
  acr: (random) => random.of([...Array<undefined>(18), ['mfa'], ['mfa', 'pwd']]),
  max_auth_age: (random) => random.of([...Array<undefined>(18), '10m', '4h']),
  sender_constrained: (random) => random.of([undefined, undefined, undefined, 'optional', 'required']),
  report_only: (random) => random.below(6) === 0,
};

const ROUTE: Readonly<Record<string, Draw>> = {
  hosts: (random) => random.of([...Array<undefined>(6), [HOST], ['*.wild.example']]),
  methods: (random) => random.of([...Array<undefined>(6), ['GET'], ['GET', 'POST', 'OPTIONS']]),
  headers: (random) => random.of([...Array<undefined>(6), { 'X-Version': '2' }, { 'X-Debug': 'on' }]),
  upstream: (random) => random.of(['a', 'b', [{ name: 'a' }, { name: 'b', weight: 1 }]]),
  allow: (random) => random.of([[], [], ['encoded_slash', 'empty_segments']]),
  cors: (random) => random.of([...Array<undefined>(7), { origins: ['https://app.example.com'] }]),
};

const PLACES: readonly Members[] = [
  { path_prefix: '/orders' },
  { path_prefix: '/orders' },
  { path_prefix: '/orders/1' },
  { path_prefix: '/admin' },
  { path: '/admin' },
  { path_prefix: '/files' },
  { path_prefix: '/tenants/{tenant}' },
  { path_prefix: '/tenants' },
  { path_prefix: '/public' },
  { path_prefix: '/' },
  { path_prefix: '/' },
];

interface DrawnRoute {
  readonly name: string;
  readonly place: Members;
  readonly auth: Members;
  readonly members: Members;
}

/** What a configuration is made of. */
export interface Drawn {
  readonly routes: readonly DrawnRoute[];
  readonly audiences: readonly string[];
  /** Undefined: API keys come as Bearer alone. */
  readonly keyHeader: string | undefined;
}

function drawnRoute(random: SeededRandom, name: string): DrawnRoute {
  const drawn = (draws: Readonly<Record<string, Draw>>): Members =>
    Object.fromEntries(Object.entries(draws).map(([member, draw]) => [member, draw(random)]));
  return { name, place: random.of(PLACES), auth: drawn(AUTH), members: drawn(ROUTE) };
}

export function someConfiguration(random: SeededRandom): Drawn {
  return {
    routes: ['one', 'two', 'three', 'four', 'five', 'six'].map((name) => drawnRoute(random, name)),
    audiences: [AUDIENCE],
    keyHeader: random.of([undefined, 'X-Api-Key', 'X-Api-Key']),
  };
}

/** The same with a few edits, as people make them: a rule of a route, a place, the order, an audience. */
export function edited(random: SeededRandom, { routes, audiences, keyHeader }: Drawn): Drawn {
  let changed = [...routes];
  for (let edits = 2 + random.below(6); edits > 0; edits--) {
    const at = random.below(changed.length);
    changed = changed.map((route, index) => (index === at ? editedRoute(random, route) : route));
    if (random.below(12) === 0) changed = changed.toReversed();
  }
  return {
    routes: changed,
    audiences: random.below(15) === 0 ? [AUDIENCE, 'https://second.example'] : audiences,
    keyHeader: random.below(10) === 0 ? undefined : keyHeader,
  };
}

function editedRoute(random: SeededRandom, route: DrawnRoute): DrawnRoute {
  const kind = random.below(8);
  if (kind === 0) return drawnRoute(random, route.name);
  if (kind === 1) return { ...route, name: random.of([`${route.name}-renamed`, route.name]) };
  if (kind === 2) return { ...route, place: random.of(PLACES) };
  const draws = kind === 3 ? ROUTE : AUTH;
  const member = random.of(Object.keys(draws));
  const value = { [member]: draws[member]?.(random) };
  return draws === ROUTE
    ? { ...route, members: { ...route.members, ...value } }
    : { ...route, auth: { ...route.auth, ...value } };
}

/** As a file has it. @param upstreams their URLs */
export function configurationOf(
  { routes, audiences, keyHeader }: Drawn,
  upstreams: Readonly<Record<string, string>>,
  facts: boolean,
): Members {
  return {
    listeners: [{ host: '127.0.0.1', port: 0, public_url: `https://${HOST}` }],
    log: { refusals: 0, facts },
    issuers: {
      login: { issuer: ISSUER, jwks: { keys: [key.jwk] }, audiences },
      other: { issuer: OTHER, jwks: { keys: [other.jwk] }, audiences: [AUDIENCE] },
      partners: { api_keys: { file: 'keys.json', ...defined({ header: keyHeader }) } },
    },
    routes: withoutTwins(routes).map(({ name, place, auth, members }) => ({
      name,
      match: {
        ...place,
        ...defined({ hosts: members['hosts'], methods: members['methods'], headers: members['headers'] }),
      },
      upstream: members['upstream'],
      paths: { allow: members['allow'] },
      auth: authOf(auth, place),
      ...defined({ cors: members['cors'] }),
    })),
    upstreams: Object.fromEntries(Object.entries(upstreams).map(([name, url]) => [name, { targets: [url] }])),
  };
}

/** Two routes that match the same requests are a mistake of the file, which is refused. */
function withoutTwins(routes: readonly DrawnRoute[]): readonly DrawnRoute[] {
  const seen = new Map<string, DrawnRoute>();
  for (const route of routes) {
    const { hosts, methods, headers } = route.members;
    const key = JSON.stringify([route.place, hosts, methods, headers]);
    if (!seen.has(key)) seen.set(key, route);
  }
  return [...seen.values()];
}

/** A route without tokens has no rules; only one of tenants can compare its variable. */
function authOf(auth: Members, place: Members): Members {
  if (auth['mode'] === 'none') return { mode: 'none' };
  const isOfTenants = String(place['path_prefix']).includes('{tenant}');
  const claims = { ...(auth['claims'] as object), ...(isOfTenants && { tenant: { path: 'tenant' } }) };
  return defined({ ...auth, claims });
}

function defined(members: Members): Members {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

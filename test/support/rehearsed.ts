/** Configurations that differ in a few rules: for rehearsals, which must say what a gateway does. */
import { HOST, loginKey, OTHER_ISSUER, otherKey, SECOND_AUDIENCE } from './rehearsed-requests.ts';
import type { SeededRandom } from './seeded-random.ts';
import { AUDIENCE, ISSUER } from './tokens.ts';

type Members = Record<string, unknown>;

/** One route in the making: each member is drawn by itself, so that one of them can be drawn again. */
type Draw = (random: SeededRandom) => unknown;

const RULES: readonly Members[] = [
  ...Array<Members>(3).fill({}),
  ...Array<Members>(2).fill({ roles: 'admin' }),
  ...Array<Members>(2).fill({ roles: ['admin', 'editor'] }),
  ...Array<Members>(2).fill({ roles: ['admin', 'editor', 'reader'] }),
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

/** What people edit most. */
const EDITED = [
  ...Object.keys(AUTH),
  'mode',
  'mode',
  'issuers',
  'scopes',
  'scopes',
  'claims',
  'claims',
  'claims',
];

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
    audiences: random.of([[AUDIENCE], [AUDIENCE, SECOND_AUDIENCE]]),
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
    audiences: random.below(4) === 0 ? random.of([[AUDIENCE], [AUDIENCE, SECOND_AUDIENCE]]) : audiences,
    keyHeader: random.below(10) === 0 ? undefined : keyHeader,
  };
}

function editedRoute(random: SeededRandom, route: DrawnRoute): DrawnRoute {
  const kind = random.below(8);
  if (kind === 0) return drawnRoute(random, route.name);
  if (kind === 1) return { ...route, name: random.of([`${route.name}-renamed`, route.name]) };
  if (kind === 2) return { ...route, place: random.of(PLACES) };
  const draws = kind === 3 ? ROUTE : AUTH;
  const member = random.of(draws === ROUTE ? Object.keys(ROUTE) : EDITED);
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
      login: { issuer: ISSUER, jwks: { keys: [loginKey.jwk] }, audiences },
      other: { issuer: OTHER_ISSUER, jwks: { keys: [otherKey.jwk] }, audiences: [AUDIENCE] },
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

/**
 * Does a rehearsal that does not know the earlier configuration take the right things for unchanged: issuers, and where a route of
 * the same name reads API keys?
 */
export function sharesSources(one: Drawn, other: Drawn): boolean {
  const takesKeys = ({ routes }: Drawn, name: string): boolean =>
    routes.some((route) => route.name === name && route.auth['issuers'] === WITH_KEYS);
  return (
    one.keyHeader === other.keyHeader &&
    JSON.stringify(one.audiences) === JSON.stringify(other.audiences) &&
    one.routes.every(({ name }) => takesKeys(one, name) === takesKeys(other, name))
  );
}

/**
 * Claim rules through a whole gateway: at issuers (401), on routes and in alternatives (403). What the client got, what the
 * upstream saw. Rules B3, B4, C9, I2.
 */
import t, { type Test } from 'tap';
import {
  introspectedBy,
  startFallibleServer,
  validatedBy,
} from '../support/fallible-authorization-server.ts';
import { send, type Response } from '../support/client.ts';
import { loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey('ES256');
const upstream = await startUpstream(t);
const authority = await startFallibleServer(t);

const RULES = {
  client_id: ['web', 'app'],
  sub: { prefix: ['user:', 'service:prod:'] },
  roles: { has_key: 'reader' },
  nonce: { absent: true },
};
const GOOD = { client_id: 'app', sub: 'user:alice', roles: { reader: { org: 'x' } } };

const gateway = await startGateway(t, {
  issuers: {
    login: { ...loginIssuer(key), claims: RULES },
    asked: introspectedBy(authority, { jwt: true }, { claims: RULES, token_prefix: '' }),
    checked: validatedBy(authority, {}, { claims: RULES }),
  },
  routes: [
    { name: 'jwt', match: { path: '/jwt' }, upstream: 'u', auth: { issuers: ['login'] } },
    {
      name: 'optional',
      match: { path: '/optional' },
      upstream: 'u',
      auth: { mode: 'optional', issuers: ['login'] },
    },
    { name: 'asked', match: { path: '/asked' }, upstream: 'u', auth: { issuers: ['asked'] } },
    { name: 'checked', match: { path: '/checked' }, upstream: 'u', auth: { issuers: ['checked'] } },
  ],
  upstreams: { u: { targets: [upstream.url] } },
});

/** Sends a request and returns the response with the reason in the log. */
async function play(
  to: TestGateway,
  path: string,
  token?: string,
): Promise<Response & { reason: unknown; seen: number }> {
  const before = upstream.seen.length;
  const response = await send(to.url, path, token === undefined ? {} : { token });
  const id = response.headers['x-request-id'];
  const line = (): Record<string, unknown> | undefined => to.log.find((entry) => entry['request_id'] === id);
  await until(() => line() !== undefined);
  const reason = (line()?.['auth'] as { reason?: unknown } | undefined)?.reason;
  return { ...response, reason, seen: upstream.seen.length - before };
}

const BREAKING: readonly [name: string, changes: Record<string, unknown>][] = [
  ['another client', { client_id: 'other' }],
  ['a client that begins alike', { client_id: 'web2' }],
  ['another subject', { sub: 'service:dev:x' }],
  ['a subject of another type', { sub: 'USER:alice' }],
  ['another role', { roles: { writer: true } }],
  ['a role that is false', { roles: { reader: false } }],
  ['a role that is null', { roles: { reader: null } }],
  ['roles as a list', { roles: ['reader'] }],
  ['no roles', { roles: undefined }],
  ['a nonce', { nonce: 'n' }],
  ['an empty nonce', { nonce: '' }],
];

async function refused(t: Test, path: string, token: string, name: string): Promise<void> {
  const response = await play(gateway, path, token);
  t.equal(response.status, 401, name);
  t.equal(response.problem.code, 'invalid_token', name);
  t.equal(response.reason, 'claim', name);
  t.match(response.headers['www-authenticate'], 'error="invalid_token"', name);
  t.equal(response.seen, 0, `${name}: the upstream saw nothing`);
}

t.test('B3 C9 a JWT that breaks a rule of its issuer is 401 with the reason claim', async (t) => {
  const good = await play(gateway, '/jwt', mint(key, claimsOf(GOOD)));
  t.equal(good.status, 200);
  t.equal(good.seen, 1);
  t.equal((await play(gateway, '/jwt', mint(key, claimsOf({ ...GOOD, nonce: null })))).status, 200);
  for (const [name, changes] of BREAKING) {
    const token = mint(key, claimsOf({ ...GOOD, ...changes }));
    await refused(t, '/jwt', token, name);
    await refused(t, '/optional', token, `${name}, where a token is optional`);
  }
});

t.test('such a JWT is remembered: a second request checks no signature', async (t) => {
  const token = mint(key, claimsOf({ ...GOOD, client_id: 'other' }));
  const hits = 'sallyport_cache_lookups_total{cache="negatives",result="hit"}';
  await refused(t, '/jwt', token, 'first');
  const before = await gateway.metric(hits);
  await refused(t, '/jwt', token, 'second');
  t.equal(await gateway.metric(hits), before + 1);
});

t.test(
  'I2 a response about an opaque token is held to the rules, by introspection and by validation',
  async (t) => {
    for (const path of ['/asked', '/checked']) {
      authority.tokens.set('good', { active: true, ...GOOD });
      t.equal((await play(gateway, path, 'good')).status, 200, path);
      for (const [index, [name, changes]] of BREAKING.entries()) {
        const token = `${path.slice(1)}-${index}`;
        authority.tokens.set(token, { active: true, ...GOOD, ...changes });
        await refused(t, path, token, `${path} ${name}`);
        const { length } = authority.asked;
        await refused(t, path, token, `${path} ${name}, again`);
        t.equal(authority.asked.length, length, 'the server is not asked again');
      }
    }
  },
);

t.test('I2 a claim is absent only if neither the response nor the JWT itself has it', async (t) => {
  const token = (changes: Record<string, unknown>): string =>
    mint(key, claimsOf({ iss: 'https://as.example', ...GOOD, ...changes }));
  const [without, having] = [token({}), token({ nonce: 'n' })];
  for (const each of [without, having]) authority.tokens.set(each, { active: true, ...GOOD });
  t.equal((await play(gateway, '/asked', without)).status, 200);
  await refused(t, '/asked', having, 'the response leaves the nonce out');
});

const WAYS = [
  { scopes: ['read', 'list'] },
  { scopes: { any: ['admin', 'root'] }, claims: { department: 'ops' } },
  { claims: { roles: { has_key: 'Reader' }, azpacr: ['1', '2'] } },
];
const alternatives = await startGateway(t, {
  issuers: { login: loginIssuer(key) },
  routes: [
    { name: 'ways', match: { path: '/ways' }, upstream: 'u', auth: { any_of: WAYS } },
    {
      name: 'both',
      match: { path: '/both' },
      upstream: 'u',
      auth: { scopes: ['base'], claims: { level: { equals: [1, 2] } }, any_of: WAYS },
    },
    { name: 'maybe', match: { path: '/maybe' }, upstream: 'u', auth: { mode: 'optional', any_of: WAYS } },
    {
      name: 'roles',
      match: { path: '/roles' },
      upstream: 'u',
      auth: { any_of: [{ claims: { role: 'x' } }] },
    },
    {
      name: 'report',
      match: { path: '/report' },
      upstream: 'u',
      auth: { report_only: true, any_of: [{ claims: { role: 'x' } }] },
    },
  ],
  upstreams: { u: { targets: [upstream.url] } },
});

/** `pass`, `claim`, or the scope of the challenge. */
const PLAYED: readonly [path: string, claims: Record<string, unknown>, outcome: string][] = [
  ['/ways', { scope: 'read list' }, 'pass'],
  ['/ways', { scope: 'list x read' }, 'pass'],
  ['/ways', { scope: 'root', department: 'ops' }, 'pass'],
  ['/ways', { scope: undefined, roles: { Reader: true }, azpacr: '2' }, 'pass'],
  ['/ways', { scope: 'read' }, 'read list'],
  ['/ways', { scope: undefined }, 'read list'],
  ['/ways', { scope: 'read', department: 'ops' }, 'read list'],
  ['/ways', { scope: 'admin' }, 'read list'],
  ['/ways', { scope: undefined, roles: { Reader: true } }, 'read list'],
  ['/roles', { role: 'x' }, 'pass'],
  ['/roles', { role: 'y' }, 'claim'],
  ['/roles', {}, 'claim'],
  ['/both', { scope: 'base read list', level: 2 }, 'pass'],
  ['/both', { scope: 'read list', level: 2 }, 'base'],
  ['/both', { scope: 'base read list', level: 3 }, 'claim'],
  ['/both', { scope: 'base', level: 1 }, 'base read list'],
  ['/both', { scope: 'base', level: 1, roles: { Reader: {} }, azpacr: '1' }, 'pass'],
];

t.test('B4 C9 one alternative of any_of is enough, and its neighbours must hold as well', async (t) => {
  for (const [path, changes, outcome] of PLAYED) {
    const name = `${path} ${JSON.stringify(changes)}`;
    const response = await play(alternatives, path, mint(key, claimsOf(changes)));
    t.equal(response.status, outcome === 'pass' ? 200 : 403, name);
    t.equal(response.seen, outcome === 'pass' ? 1 : 0, name);
    if (outcome === 'pass') continue;
    t.equal(response.reason, outcome === 'claim' ? 'claim_rule' : 'insufficient_scope', name);
    t.equal(response.problem.code, outcome === 'claim' ? 'access_denied' : 'insufficient_scope', name);
    const challenge = response.headers['www-authenticate'];
    if (outcome === 'claim') t.equal(challenge, undefined, name);
    else t.match(challenge, `error="insufficient_scope", scope="${outcome}"`, name);
  }
});

t.test('B1 no alternative holds without a token', async (t) => {
  const response = await play(alternatives, '/maybe');
  t.equal(response.status, 401);
  t.equal(response.reason, 'missing');
  t.equal(response.seen, 0);
  t.equal((await play(alternatives, '/maybe', mint(key, claimsOf({ scope: 'read list' })))).seen, 1);
});

t.test('a route that only reports passes a token that no alternative permits, and says why', async (t) => {
  const response = await play(alternatives, '/report', mint(key, claimsOf({ role: 'y' })));
  t.equal(response.status, 200);
  t.equal(response.reason, 'claim_rule');
});

/** "Stop this agent": entries for a client or a subject end the tokens through it, by `act` (RFC 8693). Rules V10 to V14, V16. */
import { once } from 'node:events';
import { get as httpGet, type IncomingMessage } from 'node:http';
import t from 'tap';
import type { Explanation } from '../../src/explain/explanation.ts';
import { introspectedBy, startFallibleServer } from '../support/fallible-authorization-server.ts';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { claimsOf, createKey, ISSUER, mint, nowSeconds } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';

const OTHER_ISSUER = 'https://agents.example.com';
const key = createKey('EdDSA');
const upstream = await startUpstream(t);
const authority = await startFallibleServer(t);

const configuration = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  issuers: { login: loginIssuer(key), partner: introspectedBy(authority, { jwt: true, cache: '0s' }) },
  routes: [
    { name: 'jwt', match: { path_prefix: '/' }, upstream: 'u', auth: { issuers: ['login'] } },
    { name: 'opaque', match: { path_prefix: '/opaque' }, upstream: 'u', auth: { issuers: ['partner'] } },
  ],
  upstreams: { u: { targets: [upstream.url] } },
  ...more,
});

async function statusOf(gateway: TestGateway, token: string, path = '/'): Promise<number> {
  const before = upstream.seen.length;
  const { status } = await send(gateway.url, path, { token });
  t.equal(
    upstream.seen.length,
    before + (status === 200 ? 1 : 0),
    'the upstream saw what passed, and no more',
  );
  return status;
}

async function revoke(gateway: TestGateway, body: object): Promise<string> {
  const asked = { issuer: ISSUER, allow_unknown_issuer: true, ...body };
  const response = await gateway.admin('POST', '/v1/revocations', asked);
  t.equal(response.status, 201, JSON.stringify(body));
  return ((await response.json()) as { id: string }).id;
}

const actedBy = (act: unknown, changes: Record<string, unknown> = {}): string =>
  mint(key, claimsOf({ act, ...changes }));

/** agent-1 is the innermost of so many actors. */
const chain = (levels: number): object =>
  levels === 1 ? { sub: 'agent-1' } : { sub: `hop-${levels}`, act: chain(levels - 1) };

t.test('V13 an entry for a client ends all tokens through it, at every depth', async (t) => {
  const gateway = await startGateway(t, configuration());
  const through: Record<string, string> = {
    'as client_id of the actor': actedBy({ client_id: 'agent-1' }),
    'as azp of the actor': actedBy({ sub: 'u1', azp: 'agent-1' }),
    'as a name alone': actedBy('agent-1'),
    'under the issuer of the token': actedBy({ iss: ISSUER, sub: 'agent-1' }),
    'and its own tokens': mint(key, claimsOf({ client_id: 'agent-1' })),
  };
  for (let levels = 1; levels <= 8; levels++) through[`at depth ${levels}`] = actedBy(chain(levels));
  const spared: Record<string, string> = {
    'another actor': actedBy({ sub: 'agent-2' }),
    'of another issuer': actedBy({ iss: OTHER_ISSUER, sub: 'agent-1' }),
    'one that may act': mint(key, claimsOf({ may_act: { sub: 'agent-1' } })),
    'V16 no name': actedBy({ sub: '' }),
    'no actor': mint(key, claimsOf({ act: null })),
  };
  for (const [name, token] of [...Object.entries(through), ...Object.entries(spared)])
    t.equal(await statusOf(gateway, token), 200, name);
  await revoke(gateway, { client: 'agent-1' });
  for (const [name, token] of Object.entries(through)) t.equal(await statusOf(gateway, token), 401, name);
  for (const [name, token] of Object.entries(spared)) t.equal(await statusOf(gateway, token), 200, name);
  const later = actedBy({ sub: 'agent-1' }, { iat: nowSeconds() + 2 });
  t.equal(await statusOf(gateway, later), 200, 'V4 what is issued after the cutoff passes');

  await revoke(gateway, { issuer: OTHER_ISSUER, client: 'agent-1' });
  t.equal(await statusOf(gateway, spared['of another issuer'] ?? ''), 401, 'under the iss of the actor');
  t.equal(await statusOf(gateway, spared['another actor'] ?? ''), 200);
});

t.test('V14 an entry for a subject ends the tokens with which it acts for others', async (t) => {
  const gateway = await startGateway(t, configuration());
  const now = nowSeconds();
  const acting = actedBy({ sub: 'admin', act: { sub: 'older' } });
  const nested = actedBy({ sub: 'helpdesk', act: { sub: 'admin' } });
  const asClient = actedBy({ client_id: 'admin' });
  const refreshed = actedBy({ sub: 'admin' }, { iat: now + 2, auth_time: now - 100 });
  for (const token of [acting, nested, asClient, refreshed]) t.equal(await statusOf(gateway, token), 200);
  await revoke(gateway, { subject: 'admin' });
  t.strictSame(
    await Promise.all(
      [acting, nested, refreshed].map(async (token) => (await send(gateway.url, '/', { token })).status),
    ),
    [401, 401, 401],
  );
  t.equal(await statusOf(gateway, asClient), 200, 'a client of that name is no subject');
  t.equal(await statusOf(gateway, actedBy({ sub: 'admin' }, { iat: nowSeconds() + 2 })), 200);
});

t.test('more than 8 actors, or one that cannot be read, is 401', async (t) => {
  const gateway = await startGateway(t, configuration());
  for (const act of [chain(9), chain(20), [], true, { sub: { id: 'a' } }, { sub: 'a', act: { azp: [] } }]) {
    t.equal(await statusOf(gateway, actedBy(act)), 401, JSON.stringify(act));
    t.match(
      gateway.log.findLast(({ msg }) => msg === 'request'),
      { auth: { reason: 'claim', issuer: 'login' }, error: 'invalid_token' },
    );
  }
  t.equal(await statusOf(gateway, actedBy(chain(8))), 200);
});

t.test('V12 the act of an introspection response counts, and so does that of the JWT itself', async (t) => {
  const gateway = await startGateway(t, configuration());
  const response = { active: true, sub: 'alice', iat: nowSeconds(), exp: nowSeconds() + 600 };
  authority.tokens.set('opaque-1', { ...response, act: { sub: 'agent-1' } });
  authority.tokens.set('opaque-2', { ...response, act: { sub: 'agent-2' } });
  authority.tokens.set('opaque-9', { ...response, act: chain(9) });
  const jwt = actedBy({ sub: 'agent-1' });
  authority.tokens.set(jwt, response);
  for (const token of ['opaque-1', 'opaque-2', jwt])
    t.equal(await statusOf(gateway, token, '/opaque'), 200, token);
  t.equal(await statusOf(gateway, 'opaque-9', '/opaque'), 401);
  await revoke(gateway, { client: 'agent-1' });
  await revoke(gateway, { issuer: 'partner', client: 'agent-1' });
  t.strictSame(
    [
      await statusOf(gateway, 'opaque-1', '/opaque'),
      await statusOf(gateway, jwt, '/opaque'),
      await statusOf(gateway, 'opaque-2', '/opaque'),
    ],
    [401, 401, 200],
  );
});

t.test('an actor grants nothing', async (t) => {
  const routes = [
    {
      name: 'agents',
      match: { path_prefix: '/' },
      upstream: 'u',
      auth: { claims: { client_id: 'agent-1' } },
    },
  ];
  const gateway = await startGateway(t, configuration({ routes }));
  t.equal(await statusOf(gateway, actedBy({ sub: 'agent-1', client_id: 'agent-1', scope: 'all' })), 403);
});

t.test('V10 a running stream ends with its agent', async (t) => {
  const events = await startServer(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: tick\n\n');
  });
  const gateway = await startGateway(t, configuration({ upstreams: { u: { targets: [events] } } }));
  const open = async (token: string): Promise<{ ended: boolean }> => {
    const state = { ended: false };
    const request = httpGet(gateway.url, { headers: { authorization: `Bearer ${token}` } });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    response.on('error', () => (state.ended = true));
    t.teardown(() => request.destroy());
    return state;
  };
  const [mine, others] = [await open(actedBy(chain(3))), await open(actedBy({ sub: 'agent-2' }))];
  await revoke(gateway, { client: 'agent-1' });
  await until(() => mine.ended);
  t.equal(others.ended, false);
});

t.test('explain names the actor', async (t) => {
  const gateway = await startGateway(t, configuration());
  const body = { method: 'GET', url: 'http://api.example.com/', token: actedBy(chain(2)) };
  const id = await revoke(gateway, { client: 'agent-1', reason: 'prompt injection' });
  const explained = (await (await gateway.admin('POST', '/v1/explain', body)).json()) as Explanation;
  const { detail } = explained.stages.find(({ stage }) => stage === 'check_revocation') ?? {};
  t.match(detail, /through agent-1 in act/);
  t.ok(detail?.includes('prompt injection') && detail.includes(id));
});

t.test('V11 an entry for an actor lives as long as tokens of any issuer that may name it', async (t) => {
  const issuers = {
    short: { ...loginIssuer(key), max_lifetime: '1h' },
    long: { ...loginIssuer(createKey()), issuer: OTHER_ISSUER, max_lifetime: '48h' },
  };
  const gateway = await startGateway(t, {
    issuers,
    revocation: { keep: '2h' },
    routes: [{ name: 'r', match: {}, upstream: 'u' }],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const hours = async (target: object): Promise<number> => {
    const response = await gateway.admin('POST', '/v1/revocations', { issuer: 'short', ...target });
    const { expires_at } = (await response.json()) as { expires_at: number };
    return Math.round((expires_at - nowSeconds()) / 3_600);
  };
  t.equal(await hours({ client: 'agent-1' }), 48);
  t.equal(await hours({ subject: 'agent-1' }), 48);
  t.equal(await hours({ session: 'sid' }), 2);
});

/** POST /v1/explain: what would happen to a request on the gateway as it runs, without a trace. Rules A1, A5, V1. */
import t, { type Test } from 'tap';
import type { Explanation } from '../../src/explain/explanation.ts';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, type TestGateway } from '../support/gateway.ts';
import { claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { startServer, startUpstream, type HttpUpstream } from '../support/upstream.ts';

const key = createKey();
const other = createKey();

async function setUp(
  t: Test,
  issuer: object = loginIssuer(key),
): Promise<{ gateway: TestGateway; upstream: HttpUpstream }> {
  const upstream = await startUpstream(t);
  const gateway = await startGateway(t, {
    issuers: { login: issuer },
    admin: {
      auth: { issuer: 'login', audience: 'admin', scopes: { read: 'gw:read', revoke: 'gw:revoke' } },
    },
    routes: [
      { name: 'orders', match: { path_prefix: '/orders' }, upstream: 'u', auth: { scopes: ['read'] } },
    ],
    upstreams: { u: { targets: [upstream.url] } },
  });
  return { gateway, upstream };
}

const ask = (gateway: TestGateway, body: object): Promise<Response> =>
  gateway.admin('POST', '/v1/explain', body);
const asking = (token?: string, url = 'http://api.example.com/orders/1'): object => ({
  method: 'GET',
  url,
  token,
});
const explained = async (gateway: TestGateway, body: object): Promise<Explanation> =>
  (await (await ask(gateway, body)).json()) as Explanation;

t.test('A1 it needs the role revoke', async (t) => {
  const { gateway } = await setUp(t);
  const call = async (scope: string): Promise<number> => {
    const authorization = `Bearer ${mint(key, claimsOf({ aud: 'admin', scope }))}`;
    return (await gateway.admin('POST', '/v1/explain', asking(), { authorization })).status;
  };
  t.strictSame([await call('gw:read'), await call('gw:revoke')], [403, 200]);
});

t.test('it agrees with what the gateway does, and the upstream sees nothing', async (t) => {
  const { gateway, upstream } = await setUp(t);
  const good = mint(key, claimsOf({ scope: 'read' }));
  const cases: Record<string, [token: string | undefined, status: number, reason: string | null]> = {
    good: [good, 200, 'ok'],
    none: [undefined, 401, 'missing'],
    'another key': [mint(other, claimsOf({ scope: 'read' }), { kid: key.kid }), 401, 'bad_signature'],
    'no scope': [mint(key, claimsOf({ scope: '' })), 403, 'insufficient_scope'],
    'no token': ['abc', 401, 'malformed'],
  };
  for (const [name, [token, status, reason]] of Object.entries(cases)) {
    const { decision, status: told, reason: why } = await explained(gateway, asking(token));
    t.strictSame([decision, told ?? 200, why], [status === 200 ? 'allow' : 'deny', status, reason], name);
    t.equal(upstream.seen.length, 0);
  }
  t.match(await explained(gateway, asking(good, 'http://a/none')), { code: 'no_route', status: 404 });
  t.equal((await send(gateway.url, '/orders/1', { token: good })).status, 200);
});

t.test('V1 it knows what is revoked now, and says by whom and why', async (t) => {
  const { gateway } = await setUp(t);
  const token = mint(key, claimsOf({ sub: 'mallory', scope: 'read' }));
  t.equal((await explained(gateway, asking(token))).decision, 'allow');
  const reason = 'a stolen laptop';
  await gateway.admin('POST', '/v1/revocations', { issuer: ISSUER, subject: 'mallory', reason });
  const explanation = await explained(gateway, asking(token));
  t.match(explanation, { decision: 'deny', reason: 'revoked', status: 401 });
  t.match(explanation.stages.find(({ stage }) => stage === 'check_revocation')?.detail, reason);
});

t.test(
  'A5 it leaves no trace: in no log, metric, cache, refusal or session, and the response has no token',
  async (t) => {
    const { gateway } = await setUp(t);
    const good = mint(key, claimsOf({ sub: 'alice', scope: 'read' }));
    const bad = mint(key, claimsOf({ sub: 'alice', scope: '' }));
    const lines = gateway.log.length;
    const counted = async (): Promise<string> =>
      (await (await fetch(`${gateway.adminUrl}/metrics`)).text())
        .split('\n')
        .filter((line) => /^sallyport_(http_requests|auth_|cache_)/.test(line))
        .join('\n');
    const before = await counted();
    for (const token of [good, bad]) {
      const text = await (await ask(gateway, asking(token))).text();
      for (const part of token.split('.')) t.notOk(text.includes(part));
    }
    t.equal(await counted(), before);
    t.equal(gateway.log.length, lines);
    t.match(await (await gateway.admin('GET', '/v1/refusals')).json(), { refusals: { length: 0 } });
    const seen = await gateway.admin('POST', '/v1/sessions/search', { subject: 'alice' });
    t.match(await seen.json(), { sessions: { length: 0 } });
  },
);

t.test('it uses the keys that the gateway has, and fetches none', async (t) => {
  let fetches = 0;
  const url = await startServer(t, (_, response) => {
    fetches++;
    response.end(JSON.stringify({ keys: [key.jwk] }));
  });
  const { jwks: _, ...issuer } = loginIssuer();
  const { gateway } = await setUp(t, { ...issuer, jwks_url: url });
  const before = fetches;
  t.equal((await explained(gateway, asking(mint(key, claimsOf({ scope: 'read' }))))).decision, 'allow');
  t.equal(fetches, before);
});

t.test('what is no such question gets 400, and too large a one 413', async (t) => {
  const { gateway } = await setUp(t);
  for (const body of [
    {},
    { method: 'GET' },
    { method: 'get', url: 'http://a/' },
    { method: 'GET', url: '/orders' },
    { ...asking(), token: '' },
    { ...asking(), headers: {} },
  ])
    t.equal((await ask(gateway, body)).status, 400, JSON.stringify(body));
  t.equal(
    (await ask(gateway, asking('a'.repeat(65_000)))).status,
    200,
    'a long token is explained: it is refused',
  );
  t.equal((await ask(gateway, asking('a'.repeat(66_000)))).status, 413);
});

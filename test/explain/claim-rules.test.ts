/** A dry run says which claim rule, alternative or variable of the path refused a request, and never what a claim holds. */
import t from 'tap';
import { parseConfiguration } from '../../src/config/load.ts';
import { accessText, matchText } from '../../src/config/describe-route.ts';
import { explain } from '../../src/explain/explain.ts';
import type { Explanation } from '../../src/explain/explanation.ts';
import { loginIssuer } from '../support/gateway.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';

const key = createKey('ES256');
const SECRET = 'held by the token';
const document = {
  issuers: { login: { ...loginIssuer(key), claims: { client_id: ['web'], sub: { prefix: 'user:' } } } },
  routes: [
    {
      name: 'orders',
      match: { path: '/tenants/{tenant}/orders' },
      upstream: 'u',
      auth: {
        claims: { tenant: { path: 'tenant' }, level: [1, 2] },
        any_of: [{ scopes: ['read'] }, { claims: { roles: { has_key: 'admin' }, nonce: { absent: true } } }],
      },
    },
  ],
  upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
};
const configuration = parseConfiguration(JSON.stringify(document), 'f', '/tmp', {});

function ask(target: string, claims: Record<string, unknown>): Promise<Explanation> {
  const token = mint(key, claimsOf({ sub: 'user:alice', scope: undefined, ...claims }));
  return explain(
    { configuration, folder: '/tmp', file: 'f' },
    { method: 'GET', scheme: 'http', target, headers: ['Host', 'a.example'], token, peer: '127.0.0.1' },
    { online: false, nowMs: undefined },
  );
}

const detailOf = ({ stages }: Explanation, stage: string): string =>
  stages.find((each) => each.stage === stage)?.detail ?? '';

const ACME = '/tenants/acme/orders';

t.test('C9 every rule and every alternative that fails is named, and no claim is shown', async (t) => {
  const refused = await ask(ACME, {
    tenant: SECRET,
    level: SECRET,
    roles: { [SECRET]: true },
    nonce: SECRET,
  });
  t.equal(refused.status, 403);
  const detail = detailOf(refused, 'authorize');
  for (const words of [
    'tenant is {tenant} of the path',
    'level in 1|2',
    'any_of[0]: scope read',
    'any_of[1]: ',
    'roles has the key admin',
    'nonce is absent: the token has the claim',
  ])
    t.ok(detail.includes(words), words);
  t.notMatch(detail, SECRET);
});

t.test('only what fails is named', async (t) => {
  const refused = await ask(ACME, { tenant: 'acme', level: 1 });
  t.equal(refused.code, 'insufficient_scope');
  const detail = detailOf(refused, 'authorize');
  t.match(detail, /any_of\[0\]/);
  t.notMatch(detail, /\{tenant\}|level/);
  const passed = await ask(ACME, { tenant: ['acme'], level: 1, roles: { admin: {} } });
  t.equal(passed.decision, 'allow');
  t.match(
    detailOf(passed, 'authorize'),
    /\{tenant\} of the path.*level in 1\|2.*one of \(scope read\) or \(/,
  );
  t.equal(passed.upstream?.target, ACME);
});

t.test('B3 a rule of the issuer that fails is named', async (t) => {
  const refused = await ask(ACME, { client_id: 'other', sub: SECRET });
  t.equal(refused.status, 401);
  t.equal(refused.reason, 'claim');
  const detail = detailOf(refused, 'verify_token');
  t.match(detail, /client_id in web.*sub begins with user:/);
  t.notMatch(detail, SECRET);
});

t.test('C10 a variable with several readings is told, and so is the route that a path misses', async (t) => {
  const refused = await ask('/tenants/acme;x/orders', {});
  t.equal(refused.code, 'bad_path');
  t.match(detailOf(refused, 'match_route'), /variable of route orders/);
  const missed = await ask('/tenants/acme/order', {});
  t.equal(missed.code, 'no_route');
  t.match(missed.nearest_routes, [{ route: 'orders', why: [/\/tenants\/\{tenant\}\/orders/] }]);
});

t.test('the route table has the path as written, and every rule', async (t) => {
  const [route] = configuration.routes;
  if (!route) throw new Error('there is a route');
  t.equal(matchText(route), '/tenants/{tenant}/orders');
  for (const words of ['{tenant} of the path', 'level in 1|2', '(scope read) or (roles has the key admin'])
    t.ok(accessText(route, configuration).includes(words), words);
});

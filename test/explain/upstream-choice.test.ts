/** A dry run says which upstream of a list gets the request, and why; and so does the route table. */
import t from 'tap';
import { routeTable } from '../../src/cli/routes.ts';
import { parseConfiguration } from '../../src/config/load.ts';
import type { Configuration } from '../../src/config/schema.ts';
import { explain } from '../../src/explain/explain.ts';
import type { Explanation } from '../../src/explain/explanation.ts';
import { loginIssuer } from '../support/gateway.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';

const key = createKey('ES256');
const SECRET = 'held by the token';
const BETA = { name: 'beta', claims: { beta: true, level: [1, 2] } };
const WEIGHTS = [
  { name: 'next', weight: 5 },
  { name: 'stable', weight: 95 },
];

const route = (name: string, upstream: unknown, more: object = {}): object => ({
  name,
  match: { path: `/${name}` },
  upstream,
  ...more,
});
const routes = [
  route('one', 'stable'),
  route('claims', [BETA, { name: 'stable' }], { auth: { mode: 'optional' } }),
  route('weights', [BETA, ...WEIGHTS]),
  route('sticky', WEIGHTS, { sticky: 'subject', auth: { mode: 'optional' } }),
];

function configured(more: object = {}): Configuration {
  const names = ['stable', 'next', 'beta'];
  const document = {
    issuers: { login: loginIssuer(key) },
    routes,
    upstreams: Object.fromEntries(names.map((name) => [name, { targets: [`http://${name}:1`] }])),
    ...more,
  };
  return parseConfiguration(JSON.stringify(document), 'f', '/tmp', {});
}
const configuration = configured();

function ask(name: string, claims?: Record<string, unknown>, by = configuration): Promise<Explanation> {
  const token = claims && mint(key, claimsOf(claims));
  return explain(
    { configuration: by, folder: '/tmp', file: 'f' },
    {
      method: 'GET',
      scheme: 'http',
      target: `/${name}`,
      headers: ['Host', 'a.example'],
      token,
      peer: '127.0.0.1',
    },
    { online: false, nowMs: undefined },
  );
}

const whyOf = ({ stages }: Explanation): string =>
  stages.find(({ stage }) => stage === 'choose_upstream')?.detail ?? '';

t.test('a route with one upstream leaves no choice', async (t) => {
  const explanation = await ask('one', {});
  t.match(explanation.upstream, { name: 'stable', chosen_by: 'only', shares: [] });
  t.match(whyOf(explanation), /^stable, /);
});

t.test(
  'C9 the claims that choose are named, and those that do not fit; never what a claim holds',
  async (t) => {
    const fits = await ask('claims', { beta: true, level: 2 });
    t.match(fits.upstream, { name: 'beta', chosen_by: 'claims', shares: [] });
    t.match(whyOf(fits), /^beta, .*beta in true.*level in 1\|2/);
    const typed = await ask('claims', { beta: 'true', level: 1 });
    t.match(typed.upstream, { name: 'stable', chosen_by: 'weight', shares: [{ name: 'stable', share: 1 }] });
    t.match(whyOf(typed), /^stable, .*not beta: .*beta in true: the claim has another value$/);
    const lacks = await ask('claims', { beta: SECRET });
    t.match(whyOf(lacks), /level in 1\|2: the token has no such claim/);
    t.notMatch(whyOf(lacks), SECRET);
    t.match(whyOf(await ask('claims')), /^stable, .*not beta: no token/, 'without a token');
  },
);

t.test('by weight: the shares, and the upstream with the largest', async (t) => {
  const explanation = await ask('weights', {});
  t.match(explanation.upstream, {
    name: 'stable',
    chosen_by: 'weight',
    shares: [
      { name: 'next', share: 0.05 },
      { name: 'stable', share: 0.95 },
    ],
  });
  t.match(whyOf(explanation), /next 5 %, stable 95 %.*not beta/);
});

t.test('sticky: the upstream of this subject; by chance where there is none', async (t) => {
  const subjects = Array.from({ length: 60 }, (_, index) => `user-${index}`);
  const names = new Set<string>();
  for (const sub of subjects) {
    const { upstream } = await ask('sticky', { sub });
    t.equal(upstream?.chosen_by, 'subject');
    names.add(upstream?.name ?? '');
  }
  t.strictSame([...names].sort(), ['next', 'stable']);
  t.match(whyOf(await ask('sticky', { sub: 'x' })), /subject; shares: next 5 %, stable 95 %/);
  const ofClient = await ask('sticky', { sub: undefined, client_id: 'x' });
  t.match(whyOf(ofClient), /client; shares/);
  const anonymous = await ask('sticky');
  t.match(anonymous.upstream, { name: 'stable', chosen_by: 'weight' });
  t.match(whyOf(anonymous), /no subject/);
});

t.test('where a listener decides for other proxies, the choice is theirs', async (t) => {
  const decisions = { port: 8090, serve: 'decisions', dialect: 'request', trusted_peers: ['127.0.0.1'] };
  const by = configured({ listeners: [{ port: 8080 }, decisions] });
  t.match(whyOf(await ask('weights', {}, by)), /decisions/);
  t.notMatch(whyOf(await ask('one', {}, by)), /decisions/);
});

t.test('a refused request has no upstream', async (t) => {
  const refused = await ask('weights');
  t.equal(refused.upstream, null);
  t.equal(whyOf(refused), '');
});

t.test('the route table shows the choice', async (t) => {
  const table = routeTable(configuration);
  for (const text of ['next 5 %, stable 95 %, sticky', 'beta if beta in true, level in 1|2; stable'])
    t.ok(table.includes(text), text);
});

/** Which upstream of its route gets a request: by claims, by weight, and the same one for the same subject. */
import t, { type Test } from 'tap';
import { compileUpstream } from '../../src/assembly/compile-upstream.ts';
import type { RouteConfiguration } from '../../src/config/schema.ts';
import { templateOf } from '../../src/http/path-template.ts';
import type { Route, TrafficSplit } from '../../src/policy.ts';
import { chooseUpstream } from '../../src/stages/choose-upstream.ts';
import type { AdmittedRequest } from '../../src/stages/limit-caller.ts';
import type { AuthenticToken } from '../../src/token/token-verifier.ts';
import { routeOf, tokenOf } from '../support/routes.ts';
import { SeededRandom } from '../support/seeded-random.ts';

type Given = Pick<RouteConfiguration, 'upstream' | 'sticky'>;

const upstreamOf = (given: Given, path = '/'): Route['upstream'] =>
  compileUpstream(given as RouteConfiguration, templateOf(path));

function chosen(
  upstream: Route['upstream'],
  token: AuthenticToken | undefined,
  { path = '/', random = () => 0 }: { path?: string; random?: () => number } = {},
): string {
  const route = routeOf({ upstream });
  return chooseUpstream({ route, token, identity: [] } as unknown as AdmittedRequest, path, random);
}

const STABLE = { name: 'stable' };
const WEIGHTS = [
  { name: 'stable', weight: 90 },
  { name: 'next', weight: 10 },
];

t.test('a route with one upstream asks for no random number and looks at no claims', async (t) => {
  const never = (): number => {
    throw new Error('asked');
  };
  for (const upstream of ['stable', [STABLE], [{ name: 'stable', weight: 3 }]])
    t.equal(chosen(upstreamOf({ upstream }), tokenOf({}), { random: never }), 'stable');
});

const BETA = { name: 'beta', claims: { beta: true } };
const ruled: [name: string, claims: string, expected: string][] = [
  ['true', '{"beta":true}', 'beta'],
  ['"true"', '{"beta":"true"}', 'stable'],
  ['1', '{"beta":1}', 'stable'],
  ['a list that holds true', '{"beta":["x",true]}', 'beta'],
  ['false', '{"beta":false}', 'stable'],
  ['null', '{"beta":null}', 'stable'],
  ['absent', '{}', 'stable'],
  ['one level down', '{"x":{"beta":true}}', 'stable'],
  ['what objects inherit', '{"__proto__":{"beta":true}}', 'stable'],
];
t.test('C9 claims choose by their type, as rules of a route do', async (t) => {
  const split = upstreamOf({ upstream: [BETA, STABLE] });
  for (const [name, claims, expected] of ruled) t.equal(chosen(split, tokenOf(claims)), expected, name);
});

t.test('the first entry whose claims all fit takes the request, whatever the weights', async (t) => {
  const staff = { name: 'staff', claims: { org: 'us', level: [1, 2] } };
  const split = upstreamOf({ upstream: [staff, BETA, ...WEIGHTS], sticky: 'subject' });
  const random = (): number => 0.95;
  const rows: [claims: object, expected: string][] = [
    [{ org: 'us', level: 2, beta: true }, 'staff'],
    [{ org: 'us', level: 3, beta: true }, 'beta'],
    [{ org: 'us' }, 'next'],
  ];
  for (const [claims, expected] of rows) t.equal(chosen(split, tokenOf({ ...claims }), { random }), expected);
});

t.test('every form of a claim rule may choose, a variable of the path too', async (t) => {
  const rows: [rule: RouteConfiguration['auth']['claims'], claims: object, fits: boolean][] = [
    [{ sub: { prefix: 'beta:' } }, { sub: 'beta:alice' }, true],
    [{ sub: { prefix: 'beta:' } }, { sub: 'alice' }, false],
    [{ roles: { has_key: 'tester' } }, { roles: { tester: {} } }, true],
    [{ roles: { has_key: 'tester' } }, { roles: { tester: false } }, false],
    [{ plan: { absent: true } }, {}, true],
    [{ plan: { absent: true } }, { plan: 'x' }, false],
    [{ tenant: { path: 'tenant' } }, { tenant: 'acme' }, true],
    [{ tenant: { path: 'tenant' } }, { tenant: 'globex' }, false],
  ];
  for (const [claims, held, fits] of rows) {
    const upstream = upstreamOf({ upstream: [{ name: 'beta', claims }, STABLE] }, '/t/{tenant}');
    t.equal(chosen(upstream, tokenOf({ ...held }), { path: '/t/acme' }), fits ? 'beta' : 'stable');
  }
});

t.test(
  'B1 a caller without a token fits no rule, not even one that asks for the lack of a claim',
  async (t) => {
    const upstream = [{ name: 'beta', claims: { plan: { absent: true as const } } }, STABLE];
    t.equal(chosen(upstreamOf({ upstream }), undefined), 'stable');
  },
);

t.test('weight 0 takes an entry out, with claims and without', async (t) => {
  const out = { name: 'out', weight: 0 };
  const split = upstreamOf({ upstream: [{ ...BETA, weight: 0 }, STABLE, out] }) as TrafficSplit;
  for (const random of [0, 0.5, 1 - 2 ** -53])
    t.equal(chosen(split, tokenOf({ beta: true }), { random: () => random }), 'stable');
  t.strictSame(split.names, ['stable']);
});

t.test('the ends of the random range belong to the first and the last entry', async (t) => {
  const split = upstreamOf({ upstream: WEIGHTS });
  const rows: [random: number, expected: string][] = [
    [0, 'stable'],
    [0.8999, 'stable'],
    [0.9, 'next'],
    [1 - 2 ** -53, 'next'],
  ];
  for (const [random, expected] of rows)
    t.equal(chosen(split, undefined, { random: () => random }), expected);
});

const THREE = [
  { name: 'a', weight: 70 },
  { name: 'b', weight: 25 },
  { name: 'c', weight: 5 },
];

/** Chi-square with two degrees of freedom: above 13.8 once in 1,000 samples of a fair choice. */
function isFair(t: Test, counts: ReadonlyMap<string, number>, total: number): void {
  const chiSquare = THREE.reduce((sum, { name, weight }) => {
    const expected = (total * weight) / 100;
    return sum + ((counts.get(name) ?? 0) - expected) ** 2 / expected;
  }, 0);
  t.ok(chiSquare < 13.8, `chi-square ${chiSquare}`);
}

function countsOf(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

const MANY = 5_000;
const subjects = Array.from({ length: MANY }, (_, index) => `user-${index}`);
/** Made once: they bring along what was drawn for them. */
const tokens = subjects.map((sub) => tokenOf({ sub }));
const ofSubjects = (upstream: RouteConfiguration['upstream']): string[] => {
  const split = upstreamOf({ upstream, sticky: 'subject' });
  return tokens.map((token) => chosen(split, token, { random: () => Number.NaN }));
};

t.test('each upstream gets its share, of requests by chance and of subjects', async (t) => {
  const seed = 20_261_127;
  t.comment(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const split = upstreamOf({ upstream: THREE });
  const requests = tokens.map((token) =>
    chosen(split, token, { random: () => random.below(2 ** 30) / 2 ** 30 }),
  );
  isFair(t, countsOf(requests), MANY);
  isFair(t, countsOf(ofSubjects(THREE)), MANY);
});

/** How many subjects moved, by `from to`. */
const moves = (before: readonly string[], after: readonly string[]): Map<string, number> =>
  countsOf(before.flatMap((from, index) => (from === after[index] ? [] : [`${from} ${after[index]}`])));

t.test('a canary that grows keeps its subjects, and takes only what it needs from the others', async (t) => {
  const weights = (next: number): RouteConfiguration['upstream'] => [
    { name: 'stable', weight: 100 - next },
    { name: 'next', weight: next },
  ];
  let before = ofSubjects(weights(0));
  let share = 0;
  for (const next of [5, 10, 50, 100]) {
    const after = ofSubjects(weights(next));
    const moved = moves(before, after);
    t.strictSame([...moved.keys()], ['stable next'], `to ${next} %: none comes back`);
    const expected = (MANY * (next - share)) / 100;
    const sigma = Math.sqrt(expected);
    t.ok(Math.abs((moved.get('stable next') ?? 0) - expected) < 4 * sigma, `to ${next} %: no more than that`);
    [before, share] = [after, next];
  }
});

t.test('subjects move only to an upstream whose weight has grown against that of their own', async (t) => {
  const [a, b, c] = THREE.map(({ name }) => name);
  const entries = (...weights: readonly number[]) =>
    [a, b, c].map((name = '', index) => ({ name, weight: weights[index] ?? 0 }));
  const before = ofSubjects(entries(70, 25, 5));
  const same: [name: string, upstream: RouteConfiguration['upstream']][] = [
    ['another order', entries(70, 25, 5).reverse()],
    ['a common factor', entries(700, 250, 50)],
    ['an entry that is out', [...entries(70, 25, 5), { name: 'd', weight: 0 }]],
    ['an entry with claims', [BETA, ...entries(70, 25, 5)]],
  ];
  for (const [name, upstream] of same) t.strictSame(moves(before, ofSubjects(upstream)).size, 0, name);
  const rows: [name: string, upstream: ReturnType<typeof entries>, moved: string[]][] = [
    ['two grow', entries(60, 30, 10), ['a b', 'a c', 'b c']],
    ['two grow alike', entries(40, 50, 10), ['a b', 'a c']],
    ['one is taken out', entries(70, 0, 5), ['b a', 'b c']],
    ['one comes in', [...entries(70, 25, 5), { name: 'd', weight: 10 }], ['a d', 'b d', 'c d']],
  ];
  for (const [name, upstream, moved] of rows)
    t.strictSame([...moves(before, ofSubjects(upstream)).keys()].sort(), moved, name);
});

t.test('the place of a subject is the same in every version of the gateway', async (t) => {
  const split = upstreamOf({
    upstream: [
      { name: 'stable', weight: 1 },
      { name: 'next', weight: 1 },
    ],
    sticky: 'subject',
  });
  const names = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank', 'grace'];
  t.strictSame(
    names.map((sub) => chosen(split, tokenOf({ sub }))),
    ['stable', 'next', 'stable', 'stable', 'stable', 'stable', 'next'],
    'a fleet that is upgraded gateway by gateway must agree',
  );
});

t.test(
  'sticky: the issuer counts, and a token without a subject keeps the place of its client',
  async (t) => {
    const split = upstreamOf({
      upstream: [
        { name: 'stable', weight: 1 },
        { name: 'next', weight: 1 },
      ],
      sticky: 'subject',
    });
    const never = (): number => {
      throw new Error('asked');
    };
    const places = (tokens: readonly AuthenticToken[]): string[] =>
      tokens.map((token) => chosen(split, token, { random: never }));
    const hundred = subjects.slice(0, 100);
    const here = places(hundred.map((sub) => tokenOf({ sub })));
    const elsewhere = places(
      hundred.map((sub) => ({ ...tokenOf({ sub }), issuer: 'https://other.example' })),
    );
    t.notSame(here, elsewhere, 'the same subject of another issuer is another');
    const clients = places(hundred.map((client_id) => tokenOf({ client_id })));
    t.strictSame(places(hundred.map((client_id) => tokenOf({ client_id, jti: 'x' }))), clients);
    t.strictSame(here, places(hundred.map((sub, index) => tokenOf({ sub, client_id: `c${index}` }))));
  },
);

t.test('sticky: without a token, or with one that names no caller, chance decides', async (t) => {
  const split = upstreamOf({ upstream: WEIGHTS, sticky: 'subject' });
  for (const token of [undefined, tokenOf({ jti: 'x' })]) {
    t.equal(chosen(split, token, { random: () => 0 }), 'stable');
    t.equal(chosen(split, token, { random: () => 0.95 }), 'next');
  }
});

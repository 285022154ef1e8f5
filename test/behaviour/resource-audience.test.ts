/**
 * For whom a token must be on a route of a protected resource (RFC 8707): `aud` holds the identifier, whatever the audiences of
 * its issuer are, and what a cache knows of one route is nothing to another. Rules J4, C7, C9, I5.
 */
import t, { type Test } from 'tap';
import {
  introspectedBy,
  startFallibleServer,
  type FallibleServer,
} from '../support/fallible-authorization-server.ts';

import { handled, loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { AUDIENCE, claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { sendBefore, startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const send = sendBefore(upstream);
const key = createKey('ES256');
const other = createKey('EdDSA');
const [A, B, ROOT] = ['https://mcp.example.com/a', 'https://mcp.example.com/b', 'https://root.example.com'];

/** Route name to the resource that it belongs to. */
const RESOURCES: Readonly<Record<string, string | undefined>> = {
  a: A,
  'a-too': A,
  b: B,
  root: ROOT,
  plain: undefined,
};

const pathOf = (name: string): string => `/${name.replace('-', '/')}`;
const routeOf = (name: string, auth: Record<string, unknown> = {}): object => {
  const resource = RESOURCES[name];
  return {
    name,
    match: { path_prefix: pathOf(name) },
    upstream: 'u',
    auth,
    ...(resource === undefined
      ? {}
      : { public_url: resource, resource: { authorization_servers: [ISSUER] } }),
  };
};

interface Scene {
  readonly gateway: TestGateway;
  readonly server: FallibleServer;
  readonly outcome: (route: string, token: string) => Promise<[number, string | undefined]>;
}

/** One issuer of JWTs, one of opaque tokens, and one whose JWTs its server is asked about. */
async function setUp(t: Test, auth: Record<string, unknown> = {}, cache = {}): Promise<Scene> {
  const server = await startFallibleServer(t);
  const free = { per_client: { in_flight: 0, per_second: 0 } };
  const issuers = {
    login: { ...loginIssuer(key), ...(auth['fresh'] === true ? introspectedBy(server, free) : {}) },
    second: { ...loginIssuer(other), issuer: 'https://second.example.com', audiences: [A] },
    opaque: introspectedBy(
      server,
      { ...free, jwt: true, ...cache },
      { audiences: [AUDIENCE], issuer: 'https://opaque.example.com' },
    ),
  };
  const used = auth['fresh'] === true ? { login: issuers.login } : issuers;
  const gateway = await startGateway(t, {
    issuers: used,
    routes: Object.keys(RESOURCES).map((name) => routeOf(name, { issuers: Object.keys(used), ...auth })),
    upstreams: { u: { targets: [upstream.url] } },
  });
  return {
    gateway,
    server,
    outcome: async (route, token) => {
      const { status } = await send(gateway.url, pathOf(route), { token });
      const line = gateway.log.findLast(({ msg }) => msg === 'request');
      return [status, (line?.['auth'] as { reason?: string } | undefined)?.reason];
    },
  };
}

const PASSES = [200, 'ok'] as const;
const WRONG = [401, 'wrong_audience'] as const;

t.test('C9 a token for one resource passes there alone, in whichever order it comes', async (t) => {
  const { outcome } = await setUp(t);
  const token = mint(key, claimsOf({ aud: A }));
  for (const [route, expected] of [
    ['b', WRONG],
    ['a', PASSES],
    ['plain', WRONG],
    ['a-too', PASSES],
    ['b', WRONG],
    ['root', WRONG],
    ['a', PASSES],
  ] as const)
    t.strictSame(await outcome(route, token), expected, route);
});

t.test('J4 the audiences of the issuer do not count on a route of a resource', async (t) => {
  const { outcome } = await setUp(t);
  const token = mint(key);
  t.strictSame(await outcome('plain', token), PASSES);
  for (const route of ['a', 'b', 'root']) t.strictSame(await outcome(route, token), WRONG, route);
});

t.test(
  'J4 aud is one text or a list of texts; where it is absent, or anything else, the token is refused',
  async (t) => {
    const { outcome, server } = await setUp(t, {}, { cache: '0s', negative_cache: '0s' });
    const cases: [unknown, boolean][] = [
      [A, true],
      [[B, A], true],
      [[], false],
      [[A, 1], false],
      [{ a: A }, false],
      [`${A}/`, false],
      [`${A}/x`, false],
      [A.toUpperCase(), false],
      [`${A} ${B}`, false],
      ['https://mcp.example.com', false],
      [null, false],
      [undefined, false],
      ['', false],
    ];
    for (const [aud, passes] of cases) {
      const text = JSON.stringify(aud) ?? 'absent';
      t.equal((await outcome('a', mint(key, claimsOf({ aud }))))[0], passes ? 200 : 401, text);
      server.tokens.set('opaque', { active: true, sub: 'x', ...(aud === undefined ? {} : { aud }) });
      t.strictSame(await outcome('a', 'opaque'), passes ? PASSES : WRONG, `opaque, ${text}`);
    }
  },
);

t.test('an identifier without path is the same with a slash at its end', async (t) => {
  const { outcome } = await setUp(t);
  for (const aud of [ROOT, `${ROOT}/`, [B, `${ROOT}/`]])
    t.strictSame(await outcome('root', mint(key, claimsOf({ aud }))), PASSES, String(aud));
  for (const aud of [`${ROOT}//`, `${ROOT}/x`, 'root.example.com', 'http://root.example.com'])
    t.strictSame(await outcome('root', mint(key, claimsOf({ aud }))), WRONG, aud);
});

t.test('C9 what a server has said is kept once, and judged for each route', async (t) => {
  const { outcome, server } = await setUp(t);
  server.tokens.set('both', { active: true, sub: 'x', aud: [A, AUDIENCE] });
  for (const route of ['b', 'a', 'plain', 'b', 'a-too', 'a', 'plain'])
    t.strictSame(await outcome(route, 'both'), route === 'b' ? WRONG : PASSES, route);
  t.equal(server.asked.length, 2, 'once for the route that refuses it, and once for the others');
  server.tokens.set('none', { active: true, sub: 'x', aud: 'https://elsewhere.example' });
  for (let round = 0; round < 3; round++)
    for (const route of ['a', 'b', 'plain']) t.strictSame(await outcome(route, 'none'), WRONG, route);
  t.equal(server.asked.length, 5, 'each refusal is remembered, too');
});

t.test('C9 requests that wait for one call of the server are judged each by its own route', async (t) => {
  const { gateway, outcome, server } = await setUp(t);
  let release: () => void = () => undefined;
  server.tokens.set('held', (response) => {
    release = () =>
      response
        .setHeader('content-type', 'application/json')
        .end(JSON.stringify({ active: true, sub: 'x', aud: B }));
  });
  const routes = ['a', 'b', 'plain', 'b'];
  const sent = routes.map(async (route) => outcome(route, 'held'));
  await until(() => server.open() === 1);
  await handled(gateway);
  release();
  const statuses = (await Promise.all(sent)).map(([status]) => status);
  t.strictSame(statuses, [401, 200, 401, 200]);
  t.equal(server.asked.length, 1);
});

t.test('I5 on a fresh route both the JWT and the response must be for the resource', async (t) => {
  const { outcome, server } = await setUp(t, { fresh: true });
  const token = mint(key, claimsOf({ aud: [A, AUDIENCE] }));
  for (const [aud, onA, onPlain] of [
    [undefined, PASSES, PASSES],
    [A, PASSES, WRONG],
    [AUDIENCE, WRONG, PASSES],
    [B, WRONG, WRONG],
  ] as const) {
    server.otherwise = { active: true, ...(aud === undefined ? {} : { aud }) };
    t.strictSame(await outcome('a', token), onA, `${aud} on a`);
    t.strictSame(await outcome('plain', token), onPlain, `${aud} on plain`);
  }
  const asked = server.asked.length;
  server.otherwise = { active: true, aud: A };
  t.strictSame(await outcome('a', mint(key)), WRONG, 'its response alone is not enough');
  t.equal(server.asked.length, asked, 'nor is its server asked');
});

t.test('a token for a resource that is revoked by itself passes no more', async (t) => {
  const gateway = await startGateway(t, {
    issuers: { login: loginIssuer(key) },
    routes: [routeOf('a'), routeOf('plain')],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const token = mint(key, claimsOf({ aud: A }));
  t.equal((await send(gateway.url, '/a', { token })).status, 200);
  t.equal((await gateway.admin('POST', '/v1/revocations', { token })).status, 201);
  t.equal((await send(gateway.url, '/a', { token })).status, 401);
});

t.test('C7 C9 any tokens on any routes, in any order: only the right audience passes (random)', async (t) => {
  const random = new SeededRandom(Number(process.env['FUZZ_SEED'] ?? 18));
  const steps = Number(process.env['FUZZ_RUNS'] ?? 600);
  const { outcome, server } = await setUp(t);
  const audiences: readonly unknown[] = [A, B, ROOT, AUDIENCE, [A, B], [AUDIENCE, ROOT], undefined];
  interface Known {
    readonly token: string;
    readonly aud: readonly string[];
    readonly issuerAudience: string;
  }
  const jti = 'the same in every token';
  const tokens = audiences.flatMap((aud, index): Known[] => {
    const list = aud === undefined ? [] : ([aud].flat() as string[]);
    server.tokens.set(`opaque-${index}`, {
      active: true,
      sub: 'x',
      jti,
      ...(aud === undefined ? {} : { aud }),
    });
    const introspected = mint(other, claimsOf({ iss: 'https://opaque.example.com', aud: A, jti, nr: index }));
    server.tokens.set(introspected, { active: true, sub: 'x', jti, ...(aud === undefined ? {} : { aud }) });
    const second = { iss: 'https://second.example.com', aud, jti };
    return [
      { token: mint(key, claimsOf({ aud, jti })), aud: list, issuerAudience: AUDIENCE },
      { token: mint(other, claimsOf(second)), aud: list, issuerAudience: A },
      { token: `opaque-${index}`, aud: list, issuerAudience: AUDIENCE },
      { token: introspected, aud: list, issuerAudience: AUDIENCE },
    ];
  });
  const routes = Object.keys(RESOURCES);
  const counts = { passed: 0, refused: 0 };
  for (let step = 0; step < steps; step++) {
    const { token, aud, issuerAudience } = random.of(tokens);
    const route = random.of(routes);
    const passes = aud.includes(RESOURCES[route] ?? issuerAudience);
    const [status] = await outcome(route, token);
    if (status !== (passes ? 200 : 401)) t.fail(`step ${step}: ${status} for aud ${aud.join()} on ${route}`);
    counts[passes ? 'passed' : 'refused']++;
  }
  t.ok(counts.passed > steps / 10 && counts.refused > steps / 10, JSON.stringify(counts));
});

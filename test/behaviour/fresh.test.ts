/** One issuer with keys and introspection: routes with `auth.fresh` ask its server for each request, the others never. */
import t, { type Test } from 'tap';
import { ConfigurationError, parseConfiguration } from '../../src/config/load.ts';
import { configurationWarnings } from '../../src/config/warnings.ts';
import {
  introspectedBy,
  startFallibleServer,
  type FallibleServer,
} from '../support/fallible-authorization-server.ts';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { AUDIENCE, claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const key = createKey('ES256');
const stranger = createKey('ES256');
const shared = { upstreams: { u: { targets: [upstream.url] } } };
const route = (name: string, auth: Record<string, unknown> = {}): object => ({
  name,
  match: { path_prefix: `/${name}` },
  upstream: 'u',
  auth,
});
const routes = [
  route('plain'),
  route('fresh', { fresh: true }),
  route('write', { fresh: true, scopes: ['orders:write'] }),
  route('trial', { fresh: true, report_only: true }),
];

interface Scene {
  readonly gateway: TestGateway;
  readonly server: FallibleServer;
  readonly outcome: (path: string, token: string) => Promise<[number, string | undefined]>;
}

async function setUp(
  t: Test,
  introspection: Record<string, unknown> = {},
  more: Record<string, unknown> = {},
): Promise<Scene> {
  const server = await startFallibleServer(t);
  server.otherwise = { active: true };
  const login = { ...loginIssuer(key), ...more, ...introspectedBy(server, introspection) };
  const gateway = await startGateway(t, { issuers: { login }, routes, ...shared });
  return {
    gateway,
    server,
    outcome: async (path, token) => {
      const lines = gateway.log.length;
      const before = upstream.seen.length;
      const { status } = await send(gateway.url, path, { token });
      if (status !== 200 && upstream.seen.length !== before) throw new Error('the upstream saw it');
      const line = gateway.log.slice(lines).find(({ msg }) => msg === 'request');
      return [status, (line?.['auth'] as { reason?: string } | undefined)?.reason];
    },
  };
}

t.test('I5 a fresh route asks for each request, and another route never', async (t) => {
  const { server, outcome } = await setUp(t);
  const token = mint(key);
  for (let count = 1; count <= 3; count++) {
    t.strictSame(await outcome('/fresh', token), [200, 'ok']);
    t.equal(server.asked.length, count);
    t.strictSame(await outcome('/plain', token), [200, 'ok']);
    t.equal(server.asked.length, count);
  }
});

t.test('I5 nothing is kept: neither a good response, nor a refusal, nor a failure', async (t) => {
  const { server, outcome } = await setUp(t);
  const token = mint(key);
  const story: [FallibleServer['otherwise'], [number, string]][] = [
    [{ active: true }, [200, 'ok']],
    [{ active: false }, [401, 'inactive']],
    [{ active: true }, [200, 'ok']],
    [500, [503, 'introspection_unavailable']],
    [{ active: true }, [200, 'ok']],
  ];
  for (const [behaviour, expected] of story) {
    server.otherwise = behaviour;
    t.strictSame(await outcome('/fresh', token), expected);
    t.strictSame(
      await outcome('/plain', token),
      [200, 'ok'],
      'what the server says is for fresh routes only',
    );
  }
  t.equal(server.asked.length, story.length);
});

t.test('I5 a call that began before a request does not count for it', async (t) => {
  const { gateway, server } = await setUp(t);
  const held: (() => void)[] = [];
  server.otherwise = (response) => {
    const active = held.length === 0;
    held.push(() => response.setHeader('content-type', 'application/json').end(JSON.stringify({ active })));
  };
  const token = mint(key);
  const first = send(gateway.url, '/fresh', { token });
  await until(() => held.length === 1);
  const second = send(gateway.url, '/fresh', { token });
  await until(() => held.length === 2);
  for (const release of held) release();
  t.strictSame([(await first).status, (await second).status], [200, 401]);
});

t.test('J5 a token that does not pass by itself is not asked about', async (t) => {
  const { server, outcome } = await setUp(t);
  const past = Math.floor(Date.now() / 1000) - 3_600;
  for (const token of [
    mint(stranger, claimsOf(), { kid: key.kid }),
    mint(key, claimsOf({ iat: past - 600, exp: past })),
    mint(key, claimsOf({ aud: 'other' })),
    mint(key, claimsOf({ iss: 'https://other.example' })),
    mint(key, claimsOf(), { typ: 'JWT' }),
    'opaque-token',
  ])
    t.equal((await outcome('/fresh', token))[0], 401);
  t.strictSame(server.asked, []);
});

t.test('I3 both must agree: subject, client, issuer, audience, kind and binding', async (t) => {
  const { server, outcome } = await setUp(t);
  const token = mint(key);
  const same = {
    active: true,
    sub: 'alice',
    client_id: 'web',
    iss: ISSUER,
    aud: [AUDIENCE],
    token_type: 'Bearer',
  };
  server.otherwise = same;
  t.strictSame(await outcome('/fresh', token), [200, 'ok']);
  const refusals: [Record<string, unknown>, string][] = [
    [{ sub: 'mallory' }, 'claim'],
    [{ client_id: 'other' }, 'claim'],
    [{ sub: 7 }, 'claim'],
    [{ iss: 'https://other.example' }, 'unknown_issuer'],
    [{ aud: 'other' }, 'wrong_audience'],
    [{ aud: {} }, 'wrong_audience'],
    [{ token_type: 'refresh_token' }, 'wrong_type'],
    [{ token_type: 'DPoP' }, 'binding'],
    [{ cnf: { jkt: 'x' } }, 'binding'],
    [{ exp: 1 }, 'expired'],
    [{ exp: 'soon' }, 'claim'],
  ];
  for (const [changes, reason] of refusals) {
    server.otherwise = { ...same, ...changes };
    t.strictSame(await outcome('/fresh', token), [401, reason], JSON.stringify(changes));
  }
});

t.test('I3 every claim that names the subject or the client is compared', async (t) => {
  const { server, outcome } = await setUp(
    t,
    {},
    { claim_names: { subject: 'oid', client: ['azp', 'appid'] } },
  );
  const token = mint(key, claimsOf({ oid: 'o-1', azp: 'web', appid: 'app', client_id: 'web' }));
  const same = { active: true, sub: 'alice', oid: 'o-1', azp: 'web', appid: 'app', client_id: 'web' };
  for (const told of [same, { active: true }, { ...same, sub: undefined }, { ...same, appid: null }]) {
    server.otherwise = told;
    t.strictSame(await outcome('/fresh', token), [200, 'ok'], JSON.stringify(told));
  }
  for (const name of ['sub', 'oid', 'azp', 'appid', 'client_id'])
    for (const told of [same, { active: true }]) {
      server.otherwise = { ...told, [name]: 'other' };
      t.strictSame(await outcome('/fresh', token), [401, 'claim'], name);
    }
});

t.test('I3 the rules of the issuer hold for what the response says, as far as it says it', async (t) => {
  const claims = {
    tier: 'gold',
    'realm.roles': 'admin',
    blocked: { absent: true },
    scope: 'orders:read',
    token_type: 'access',
  };
  const { server, outcome } = await setUp(t, {}, { claims });
  const token = mint(
    key,
    claimsOf({
      tier: 'gold',
      realm: { roles: ['admin'] },
      scope: ['orders:read', 'x'],
      token_type: 'access',
    }),
  );
  for (const told of [
    {},
    { tier: null },
    { tier: 'gold', realm: { roles: ['admin', 'user'] }, blocked: null },
    { scope: 'x orders:read' },
    { token_type: 'Bearer' },
  ]) {
    server.otherwise = { active: true, ...told };
    t.strictSame(await outcome('/fresh', token), [200, 'ok'], JSON.stringify(told));
  }
  for (const told of [
    { tier: 'bronze' },
    { realm: { roles: [] } },
    { realm: {} },
    { blocked: true },
    { scope: 'x' },
  ]) {
    server.otherwise = { active: true, ...told };
    t.strictSame(await outcome('/fresh', token), [401, 'claim'], JSON.stringify(told));
    t.strictSame(await outcome('/plain', token), [200, 'ok'], 'other routes do not ask');
  }
});

t.test('S1 the scopes are those that token and response both have', async (t) => {
  const { server, outcome } = await setUp(t);
  const token = mint(key, claimsOf({ scope: 'orders:read orders:write' }));
  server.otherwise = { active: true, scope: 'orders:write admin' };
  t.strictSame(await outcome('/write', token), [200, 'ok']);
  t.equal(upstream.seen.at(-1)?.headers['x-scopes'], 'orders:write');
  for (const scope of ['orders:read', '', undefined]) {
    server.otherwise = { active: true, scope };
    t.strictSame(await outcome('/write', token), [403, 'insufficient_scope'], String(scope));
  }
  server.otherwise = { active: true, scope: 'orders:write' };
  t.strictSame(await outcome('/write', mint(key)), [403, 'insufficient_scope'], 'the server cannot add one');
});

t.test('V12 a revocation by what the token says, or by what the response says, ends it', async (t) => {
  const { gateway, server, outcome } = await setUp(t);
  server.otherwise = { active: true, sid: 'session-of-the-server' };
  const revoke = async (body: object): Promise<number> =>
    (await gateway.admin('POST', '/v1/revocations', body)).status;
  const [one, two] = [mint(key, claimsOf({ jti: 'one' })), mint(key, claimsOf({ jti: 'two' }))];
  t.strictSame(await outcome('/fresh', one), [200, 'ok']);
  t.equal(await revoke({ token: one }), 201);
  t.strictSame(await outcome('/fresh', one), [401, 'revoked']);
  t.strictSame(await outcome('/plain', one), [401, 'revoked']);
  t.strictSame(await outcome('/fresh', two), [200, 'ok']);
  t.equal(await revoke({ issuer: 'login', session: 'session-of-the-server' }), 201);
  t.strictSame(await outcome('/fresh', two), [401, 'revoked']);
});

t.test('report_only lets a request pass that the server would have refused', async (t) => {
  const { server, outcome } = await setUp(t);
  server.otherwise = { active: false };
  t.strictSame(await outcome('/trial', mint(key)), [200, 'inactive']);
});

t.test('I8 what one client may ask is bounded on fresh routes, too', async (t) => {
  const { outcome, server } = await setUp(t, { per_client: { per_second: 2 } });
  const statuses = [];
  for (let count = 0; count < 4; count++) statuses.push((await outcome('/fresh', mint(key)))[0]);
  t.ok(statuses.includes(503), statuses.join());
  t.ok(server.asked.length < 4);
  t.strictSame(await outcome('/plain', mint(key)), [200, 'ok']);
});

t.test(
  'two issuers for one provider still do the same: JWTs here, introspection with cache 0s there',
  async (t) => {
    const server = await startFallibleServer(t);
    server.otherwise = { active: true, sub: 'alice' };
    const asked = introspectedBy(
      server,
      { jwt: true, cache: '0s', negative_cache: '0s' },
      { issuer: ISSUER },
    );
    const gateway = await startGateway(t, {
      issuers: { login: loginIssuer(key), asked },
      routes: [route('plain', { issuers: ['login'] }), route('critical', { issuers: ['asked'] })],
      ...shared,
    });
    const token = mint(key);
    t.equal((await send(gateway.url, '/plain', { token })).status, 200);
    t.equal(server.asked.length, 0);
    for (let count = 1; count <= 2; count++) {
      t.equal((await send(gateway.url, '/critical', { token })).status, 200);
      t.equal(server.asked.length, count);
    }
  },
);

t.test('what would be ignored is refused when the file is read', async (t) => {
  const server = { url: 'http://127.0.0.1:1/introspect' } as FallibleServer;
  const problemsOf = (login: object, auth: object, more: object = {}): readonly string[] => {
    try {
      const document = { issuers: { login, ...more }, routes: [route('r', auth as never)], ...shared };
      parseConfiguration(JSON.stringify(document), 'f.json', '/tmp', {});
      return [];
    } catch (error) {
      if (error instanceof ConfigurationError) return error.problems;
      throw error;
    }
  };
  const keys = loginIssuer(key);
  const both = { ...keys, ...introspectedBy(server) };
  const fresh = { fresh: true };
  t.strictSame(problemsOf(both, fresh), []);
  t.strictSame(problemsOf(both, {}), []);
  const warnsOf = (auth: object): boolean => {
    const document = { issuers: { login: both }, routes: [route('r', auth as never)], ...shared };
    const configuration = parseConfiguration(JSON.stringify(document), 'f.json', '/tmp', {});
    return configurationWarnings({ configuration, folder: '/tmp', file: '/tmp/none' }).some((line) =>
      line.startsWith('issuers.login.introspection: no route asks'),
    );
  };
  t.ok(warnsOf({}), 'a server that is never asked is worth a warning');
  t.notOk(warnsOf(fresh));
  t.match(problemsOf(keys, fresh), [/routes\[0\]\.auth\.fresh: .*login/]);
  t.match(problemsOf(introspectedBy(server), { ...fresh, issuers: ['login'] }), [/auth\.fresh: .*cache: 0s/]);
  t.match(problemsOf(both, fresh, { second: { ...keys, issuer: 'https://b.example' } }), [
    /auth\.fresh: .*second/,
  ]);
  t.match(problemsOf(both, { ...fresh, mode: 'none' }), [/auth\.fresh: .*mode: none/]);
  for (const extra of [{ cache: '5s' }, { negative_cache: '5s' }, { failure_cache: '1s' }, { jwt: true }])
    t.match(problemsOf({ ...keys, ...introspectedBy(server, extra) }, fresh), [
      new RegExp(`introspection\\.${Object.keys(extra)[0]}`),
    ]);
  t.match(problemsOf({ ...both, token_prefix: 'x' }, fresh), [/token_prefix/]);
  t.match(problemsOf({ ...keys, validation: { url: 'http://127.0.0.1:1/' } }, {}), [/validation/]);
});

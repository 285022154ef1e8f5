/** What a thief of a bound token, a client with odd requests and a careless operator must not achieve. Rules C4, C9, C24, D10 to D14, V1. */
import t from 'tap';
import { introspectedBy, startFallibleServer } from '../support/fallible-authorization-server.ts';
import { sendRaw, type Response } from '../support/client.ts';
import { loginIssuer, startGateway, withTestPorts, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { proofKey, type ProofOptions } from '../support/proofs.ts';
import { startRedis } from '../support/redis.ts';
import { claimsOf, createKey, mint, type SigningKey } from '../support/tokens.ts';
import { sendBefore, startUpstream } from '../support/upstream.ts';
import { parseConfiguration } from '../../src/config/load.ts';

const key = createKey('ES256');
const holder = proofKey();
const thief = proofKey();
const upstream = await startUpstream(t);
const send = sendBefore(upstream);
const URL_OF_API = 'https://api.example.com';
const cnf = { jkt: holder.thumbprint };
const OPTIONAL = { sender_constrained: 'optional' };
const SECRET = 'a secret of the tests, 32 characters or more';

const route = (name: string, auth: object = OPTIONAL, more: object = {}): object => ({
  name,
  match: { path_prefix: `/${name}` },
  public_url: URL_OF_API,
  upstream: 'u',
  auth,
  ...more,
});
const shared = (routes: readonly object[], issuer: SigningKey | object = key): Record<string, unknown> => ({
  issuers: { login: 'jwk' in issuer ? loginIssuer(issuer) : issuer },
  routes,
  upstreams: { u: { targets: [upstream.url] } },
});

interface Proven extends Partial<ProofOptions> {
  readonly by?: typeof holder;
  readonly scheme?: string;
  readonly dpop?: string;
  readonly more?: readonly string[];
}

function prove(
  { url: base }: TestGateway,
  path: string,
  token: string,
  options: Proven = {},
): Promise<Response> {
  const { by = holder, scheme = 'DPoP', method = 'GET', dpop, more = [], ...proof } = options;
  const line = dpop ?? by.proof({ method, url: `${URL_OF_API}${path}`, token, ...proof });
  return send(base, path, {
    method,
    headers: ['Authorization', `${scheme} ${token}`, 'DPoP', line, ...more],
  });
}
const statusOf = async (response: Promise<Response>): Promise<number> => (await response).status;

t.test('D13 a cached verification says nothing about its holder', async (t) => {
  const gateway = await startGateway(
    t,
    shared([route('plain', {}), route('dpop'), route('need', { sender_constrained: 'required' })]),
  );
  const bound = mint(key, claimsOf({ cnf }));
  t.equal(await statusOf(prove(gateway, '/dpop', bound)), 200);
  for (const path of ['/plain', '/dpop', '/need', '/dpop', '/plain'])
    t.equal((await send(gateway.url, path, { token: bound })).status, 401, path);
  t.equal(await statusOf(prove(gateway, '/plain', bound)), 401, 'no proofs are taken there');
  t.equal(await statusOf(prove(gateway, '/need', bound)), 200, 'what was refused has spoilt nothing');
  const free = mint(key);
  t.equal((await send(gateway.url, '/need', { token: free })).status, 401);
  t.equal((await send(gateway.url, '/plain', { token: free })).status, 200);
  t.equal((await send(gateway.url, '/need', { token: free })).status, 401);
  t.equal(await statusOf(prove(gateway, '/dpop', bound, { by: thief })), 401);
});

t.test('D12 D13 report_only and optional: a bound token without its proof lends no identity', async (t) => {
  const gateway = await startGateway(
    t,
    shared([
      route('trial', { ...OPTIONAL, report_only: true }),
      route('mixed', { ...OPTIONAL, mode: 'optional' }),
    ]),
  );
  const bound = mint(key, claimsOf({ cnf }));
  const identity = (): unknown => upstream.seen.at(-1)?.headers['x-user-id'];
  t.equal((await send(gateway.url, '/trial', { token: bound })).status, 200);
  t.equal(identity(), undefined, 'as Bearer');
  t.equal(await statusOf(prove(gateway, '/trial', bound, { by: thief })), 200);
  t.equal(identity(), undefined, 'with the proof of a thief');
  const proof = holder.proof({ url: `${URL_OF_API}/trial`, token: bound });
  for (const expected of ['alice', undefined]) {
    t.equal(await statusOf(prove(gateway, '/trial', bound, { dpop: proof })), 200);
    t.equal(identity(), expected);
  }
  t.equal(
    (await send(gateway.url, '/mixed', { token: bound })).status,
    401,
    'optional does not mean ignored',
  );
  t.equal((await send(gateway.url, '/mixed', { headers: ['DPoP', proof] })).status, 200);
  t.match(
    [identity(), upstream.seen.at(-1)?.headers['dpop']],
    [undefined, undefined],
    'a proof alone is no caller',
  );
});

t.test(
  'D12 cnf of a token that is introspected: in the response, in the JWT, in both, in neither',
  async (t) => {
    const server = await startFallibleServer(t);
    const issuer = { ...loginIssuer(key), ...introspectedBy(server, {}) };
    const opaque = introspectedBy(server, { jwt: true });
    const gateway = await startGateway(t, {
      ...shared([
        route('fresh', { ...OPTIONAL, issuers: ['login'], fresh: true }),
        route('opaque', { ...OPTIONAL, issuers: ['server'] }),
      ]),
      issuers: { login: issuer, server: opaque },
    });
    const other = { jkt: thief.thumbprint };
    const told = async (path: string, token: string, response: object, by = holder): Promise<number[]> => {
      server.otherwise = { active: true, ...response };
      return [
        (await send(gateway.url, path, { token })).status,
        await statusOf(prove(gateway, path, token, { by })),
      ];
    };
    const bound = mint(key, claimsOf({ cnf }));
    const free = mint(key);
    t.strictSame(await told('/fresh', free, {}), [200, 401], 'in neither');
    t.strictSame(await told('/fresh', bound, {}), [401, 200], 'in the JWT');
    t.strictSame(await told('/fresh', free, { cnf }), [401, 200], 'in the response');
    t.strictSame(await told('/fresh', bound, { cnf }), [401, 200], 'in both');
    t.strictSame(await told('/fresh', bound, { cnf: other }), [401, 401], 'two keys');
    t.strictSame(await told('/fresh', bound, { cnf: other }, thief), [401, 401], 'two keys, the other one');
    t.strictSame(
      await told('/fresh', bound, { cnf: null }),
      [401, 401],
      'null in the response takes nothing off',
    );
    t.strictSame(await told('/opaque', 'opaque-1', { cnf }), [401, 200], 'an opaque token');
    t.strictSame(await told('/opaque', 'opaque-1', {}), [401, 200], 'and from the cache');
    t.strictSame(
      await told('/opaque', 'opaque-2', { token_type: 'dpop' }),
      [401, 401],
      'bound to an unknown key',
    );
    t.strictSame(await told('/opaque', 'opaque-3', { cnf: 'x' }), [401, 401], 'cnf of another kind');
    t.strictSame(
      await told('/opaque', mint(createKey('ES256'), claimsOf({ iss: 'https://x.example', cnf })), {}),
      [401, 200],
      'a JWT that only the server knows',
    );
  },
);

t.test('D12 cnf of a validation service counts where the configuration finds it', async (t) => {
  const server = await startFallibleServer(t);
  server.otherwise = { user: { sub: 'olga' }, confirmation: cnf };
  const validation = {
    url: server.url,
    send: { in: 'form' },
    claims: '/user',
    claim_pointers: { cnf: '/confirmation' },
  };
  const gateway = await startGateway(
    t,
    shared([route('dpop', { ...OPTIONAL, issuers: ['login'] })], { validation }),
  );
  t.equal(await statusOf(prove(gateway, '/dpop', 'opaque')), 200);
  t.equal((await send(gateway.url, '/dpop', { token: 'opaque' })).status, 401);
  t.equal(await statusOf(prove(gateway, '/dpop', 'opaque', { by: thief })), 401);
});

t.test('headers in odd places and spellings', async (t) => {
  const gateway = await startGateway(t, shared([route('dpop')]));
  const token = mint(key, claimsOf({ cnf }));
  const url = `${URL_OF_API}/dpop`;
  const fresh = (): string => holder.proof({ url, token });
  const raw = async (lines: readonly string[], body = ''): Promise<number> => {
    const head = [
      'POST /dpop HTTP/1.1',
      'Host: x.example',
      `Authorization: DPoP ${token}`,
      ...lines,
      'Connection: close',
    ];
    const text = await sendRaw(gateway.port, `${head.join('\r\n')}\r\n\r\n${body}`);
    return Number(text.slice(9, 12));
  };
  const post = (): string => holder.proof({ url, token, method: 'POST' });
  t.equal(await raw([`DPoP: ${post()}`, 'Content-Length: 0']), 200, 'as it should be');
  for (const name of ['D_PoP', 'D.PoP', 'DPoP_', 'X-DPoP', 'HTTP_DPOP'])
    t.equal(await raw([`${name}: ${post()}`, 'Content-Length: 0']), 401, name);
  t.equal(
    await raw(['Transfer-Encoding: chunked', 'Trailer: DPoP'], `0\r\nDPoP: ${post()}\r\n\r\n`),
    401,
    'a trailer',
  );
  t.equal(
    await raw([`DPoP: ${post()}`, 'Connection: DPoP', 'Content-Length: 0']),
    200,
    'Connection does not take it away',
  );
  t.ok(upstream.seen.every(({ headers }) => headers['dpop'] === undefined));
  t.equal(await statusOf(prove(gateway, '/dpop', token, { dpop: '' })), 401, 'D2 empty');
  t.equal(
    await statusOf(prove(gateway, '/dpop', token, { dpop: `${fresh()} ` })),
    200,
    'white space around it is none of it',
  );
  t.equal(
    await statusOf(prove(gateway, '/dpop', token, { dpop: 'e'.repeat(8_193) })),
    401,
    'D2 8 KiB and one',
  );
  t.equal(
    await statusOf(prove(gateway, '/dpop', token, { claims: { pad: 'p'.repeat(5_000) } })),
    200,
    'a long one',
  );
  for (const jti of ['é'.repeat(256), '\0'.repeat(256), '.'.repeat(256), '\ud800'])
    t.match(
      await statusOf(prove(gateway, '/dpop', token, { claims: { jti } })),
      jti === '\ud800' ? /^(?:200|401)$/ : 200,
      JSON.stringify(jti.slice(0, 2)),
    );
  t.equal(await statusOf(prove(gateway, '/dpop', token, { claims: { jti: 'j'.repeat(257) } })), 401);
});

t.test('D9 paths that a route lets pass, as the client has written them', async (t) => {
  const paths = { allow: ['encoded_slash', 'empty_segments'] };
  const gateway = await startGateway(
    t,
    shared([route('dpop', OPTIONAL, { paths, rewrite: { strip_prefix: '/dpop' } })]),
  );
  const token = mint(key, claimsOf({ cnf }));
  const ask = (path: string, htu: string): Promise<number> =>
    statusOf(prove(gateway, path, token, { url: `${URL_OF_API}${htu}` }));
  t.equal(await ask('/dpop/a%2Fb', '/dpop/a%2fb'), 200);
  t.equal(await ask('/dpop/a%2Fb', '/dpop/a/b'), 401);
  t.equal(await ask('/dpop//a', '/dpop//a'), 200);
  t.equal(await ask('/dpop//a', '/dpop/a'), 401);
  t.equal(await ask('/dpop/%7Ea', '/dpop/~a'), 200);
  t.equal(await ask('/dpop/a', '/a'), 401, 'not the path behind the rewrite');
});

t.test('C29 in the open, DPoP credentials are refused like others', async (t) => {
  const listeners = [
    { host: '127.0.0.1', port: 0, serve: 'redirect' },
    { host: '127.0.0.1', port: 0 },
  ];
  const gateway = await startGateway(t, { ...shared([route('dpop')]), listeners });
  t.match(await prove(gateway, '/dpop', mint(key, claimsOf({ cnf }))), {
    status: 403,
    problem: { code: 'https_required' },
  });
  t.equal(await statusOf(prove(gateway, '/dpop', 'x', { scheme: 'dpop' })), 403);
});

t.test('V1 D13 the admin API: it takes no bound token, and revokes every one', async (t) => {
  const gateway = await startGateway(t, {
    ...shared([route('dpop')]),
    admin: { auth: { issuer: 'login', audience: 'admin', scopes: { read: 'orders:read' } } },
  });
  const token = mint(key, claimsOf({ cnf }));
  const path = '/v1/revocations';
  const operator = (more: object = {}): string => mint(key, claimsOf({ aud: 'admin', ...more }));
  for (const scheme of ['Bearer', 'DPoP']) {
    const bound = operator({ cnf });
    const dpop = holder.proof({ url: `${gateway.adminUrl}${path}`, token: bound });
    const headers = { authorization: `${scheme} ${bound}`, dpop };
    t.equal((await gateway.admin('GET', path, undefined, headers)).status, 401, scheme);
  }
  t.equal(
    (await gateway.admin('GET', path, undefined, { authorization: `Bearer ${operator()}` })).status,
    200,
  );
  t.equal(await statusOf(prove(gateway, '/dpop', token)), 200);
  t.equal((await gateway.admin('POST', path, { token })).status, 201);
  t.match(await prove(gateway, '/dpop', token), { status: 401, problem: { code: 'invalid_token' } });
  t.match(gateway.log.at(-1), { auth: { reason: 'revoked' } });
});

t.test('D14 a retry of the gateway uses no proof twice', async (t) => {
  const gateway = await startGateway(t, {
    ...shared([route('dpop', OPTIONAL, { retries: { attempts: 2 } })]),
    upstreams: { u: { targets: ['http://127.0.0.1:1', upstream.url] } },
  });
  const token = mint(key, claimsOf({ cnf }));
  for (let each = 0; each < 4; each++) t.equal(await statusOf(prove(gateway, '/dpop', token)), 200);
  t.ok((await gateway.metric('sallyport_upstream_retries_total{upstream="u"}')) > 0, 'it has tried again');
  t.equal(await gateway.metric('sallyport_dpop_proofs_total{result="accepted"}'), 4);
  t.equal(await gateway.metric('sallyport_dpop_proofs_total{result="replayed"}'), 0);
});

t.test('D13 a thief leaves no trace in the session of a bound token', async (t) => {
  const gateway = await startGateway(t, { ...shared([route('dpop')]), sessions: 'hashed' });
  const token = mint(key, claimsOf({ cnf }));
  const sessions = async (): Promise<number> => {
    const response = await gateway.admin('POST', '/v1/sessions/search', { subject: 'alice' });
    return ((await response.json()) as { sessions: unknown[] }).sessions.length;
  };
  t.equal((await send(gateway.url, '/dpop', { token })).status, 401);
  t.equal(await statusOf(prove(gateway, '/dpop', token, { by: thief })), 401);
  t.equal(await sessions(), 0);
  t.equal(await statusOf(prove(gateway, '/dpop', token)), 200);
  t.equal(await sessions(), 1);
});

t.test(
  'a browser: the preflight allows DPoP where cors.headers says so, and refusals can be read',
  async (t) => {
    const origin = 'https://app.example.com';
    const cors = { origins: [origin], headers: ['authorization', 'dpop'] };
    const gateway = await startGateway(t, {
      ...shared([route('dpop', OPTIONAL, { cors })]),
      dpop: { nonces: { secret: SECRET } },
    });
    const asking = [
      'Origin',
      origin,
      'Access-Control-Request-Method',
      'GET',
      'Access-Control-Request-Headers',
      'authorization,dpop',
    ];
    const preflight = await send(gateway.url, '/dpop', { method: 'OPTIONS', headers: asking });
    t.match(preflight, { status: 204, headers: { 'access-control-allow-headers': /\bdpop\b/ } });
    const refused = await prove(gateway, '/dpop', mint(key, claimsOf({ cnf })), { more: ['Origin', origin] });
    t.match(refused, { status: 401, headers: { 'access-control-allow-origin': origin } });
    const exposed = String(refused.headers['access-control-expose-headers']);
    t.match(exposed, /WWW-Authenticate/);
    t.match(exposed, /DPoP-Nonce/);
    t.ok(refused.headers['dpop-nonce']);
  },
);

t.test('a reload in the middle', async (t) => {
  const clock = new ManualClock();
  const configured = (dpop: object): Record<string, unknown> => ({
    ...shared([route('dpop')]),
    dpop,
    revocation: { max_view_age: '2h' },
  });
  const reload = (gateway: TestGateway, dpop: object): Promise<void> => {
    const text = JSON.stringify(withTestPorts({ realm: 'test', ...configured(dpop) }));
    return gateway.instance.reload({
      configuration: parseConfiguration(text, 'test.json', '/tmp', {}),
      folder: '/tmp',
      file: 'test.json',
    });
  };
  const gateway = await startGateway(t, configured({}), { clock });
  const now = (): number => Math.floor(clock.nowMs() / 1000);
  const token = mint(key, claimsOf({ cnf, iat: now(), exp: now() + 3_000 }));
  const make = (claims: object = {}): string =>
    holder.proof({ url: `${URL_OF_API}/dpop`, token, iat: now(), claims: { ...claims } });
  const ask = (dpop: string): Promise<Response> => prove(gateway, '/dpop', token, { dpop });

  await t.test('D14 a longer max_age lets no proof pass again that was forgotten', async (t) => {
    const used = make();
    t.equal((await ask(used)).status, 200);
    clock.advance(70_000);
    for (let each = 0; each < 5; each++)
      t.equal((await ask(make())).status, 200, 'the store forgets the old');
    await reload(gateway, { max_age: '10m' });
    t.equal((await ask(used)).status, 401);
    await reload(gateway, { max_age: '20m' });
    t.equal((await ask(used)).status, 401, 'nor after another reload');
    const next = make();
    t.equal((await ask(next)).status, 200);
    t.equal((await ask(next)).status, 401);
    clock.advance(300_000);
    t.equal((await ask(next)).status, 401, 'new ones are remembered for longer');
  });

  await t.test('D10 another secret asks for another nonce', async (t) => {
    await reload(gateway, { nonces: { secret: SECRET } });
    const nonce = (await ask(make())).headers['dpop-nonce'];
    t.equal((await ask(make({ nonce }))).status, 200);
    await reload(gateway, { nonces: { secret: `${SECRET}!` } });
    const refused = await ask(make({ nonce }));
    t.equal(refused.problem.code, 'use_dpop_nonce');
    t.equal((await ask(make({ nonce: refused.headers['dpop-nonce'] }))).status, 200);
  });

  await t.test('D14 a smaller memory forgets nothing that it holds', async (t) => {
    await reload(gateway, {});
    const [first, second] = [make(), make()];
    t.equal((await ask(first)).status, 200);
    await reload(gateway, { remembered: { entries: 1 } });
    t.equal((await ask(first)).status, 401);
    t.equal((await ask(second)).status, 503);
    await reload(gateway, {});
    t.equal((await ask(second)).status, 200);
  });

  await t.test('A9 D11 a clock that steps back: the future is refused, and nothing breaks', async (t) => {
    const [before, used] = [make(), make()];
    t.equal((await ask(used)).status, 200);
    clock.stepWall(-30_000);
    t.equal((await ask(before)).status, 401, 'a proof from the future');
    t.equal((await ask(make())).status, 200, 'one of now');
    clock.advance(31_000);
    t.equal((await ask(used)).status, 401, 'what was used stays used');
  });
});

t.test('D14 a store that hangs: each request ends, and one after the other', async (t) => {
  const redis = await startRedis(t);
  const gateway = await startGateway(t, {
    ...shared([route('dpop', OPTIONAL, { when_stale: 'allow' })]),
    revocation: { store: redis.url, max_view_age: '1h' },
  });
  const token = mint(key, claimsOf({ cnf }));
  t.equal(await statusOf(prove(gateway, '/dpop', token)), 200);
  const warnings: string[] = [];
  const note = ({ message }: Error): void => void warnings.push(message);
  process.on('warning', note);
  t.teardown(() => process.off('warning', note));
  redis.freeze();
  const statuses = await Promise.all(
    Array.from({ length: 50 }, () => statusOf(prove(gateway, '/dpop', token))),
  );
  t.ok(
    statuses.every((status) => status === 503),
    statuses.join(),
  );
  t.equal(await statusOf(prove(gateway, '/dpop', token)), 503);
  t.equal(
    (await send(gateway.url, '/dpop', { token: mint(key) })).status,
    200,
    'Bearer does not wait for it',
  );
  t.strictSame(warnings, [], 'the connection that all of them waited for is closed once');
  redis.thaw();
  let status = 503;
  for (let each = 0; each < 100 && status === 503; each++)
    status = await statusOf(prove(gateway, '/dpop', token));
  t.equal(status, 200);
});

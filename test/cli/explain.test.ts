/** `sallyport explain` as people use it. That it tells the truth is shown in test/explain/. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { sallyport, type Result } from '../support/command.ts';
import { sallyportProcess, temporaryFolder } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import { loginIssuer, startGateway } from '../support/gateway.ts';
import { claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { startServer } from '../support/upstream.ts';

const key = createKey('ES256', 'k1');
const SECRET_TENANT = 'the tenant that stays hidden';

interface Scene {
  readonly folder: string;
  readonly document: Record<string, unknown>;
  /** Questions that the authorization server was asked. */
  readonly asked: string[];
  explain(args: readonly string[], token?: string): Promise<Result>;
}

async function setUp(t: Test): Promise<Scene> {
  const folder = temporaryFolder(t);
  const redis = await startRedis(t);
  const asked: string[] = [];
  let tokens = 0;
  const server = await startServer(t, (request, response) => {
    asked.push(request.url ?? '');
    const body = request.url === '/jwks' ? { keys: [key.jwk] } : { active: true, sub: 'bob', scope: 'x' };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  const document = {
    issuers: {
      login: { issuer: ISSUER, jwks_url: `${server}/jwks`, audiences: ['https://api.example.com'] },
      partner: {
        introspection: { url: `${server}/introspect`, client_id: 'gateway', client_secret: 'hush' },
      },
    },
    revocation: { store: redis.url },
    routes: [
      {
        name: 'orders',
        match: { hosts: ['api.example.com'], path_prefix: '/orders', methods: ['GET'] },
        upstream: 'u',
        auth: { scopes: ['orders:read'], claims: { 'tenant.id': ['acme'] } },
      },
      {
        name: 'partners',
        match: { path_prefix: '/partners' },
        upstream: 'u',
        auth: { issuers: ['partner'] },
      },
      { name: 'trial', match: { path_prefix: '/trial' }, upstream: 'u', auth: { report_only: true } },
    ],
    upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
  };
  const file = join(folder, 'c.json');
  writeFileSync(file, JSON.stringify(document), { mode: 0o600 });
  return {
    folder,
    document,
    asked,
    explain: (args, token) => {
      if (token === undefined) return sallyport(['explain', ...args, '-c', file]);
      const tokenFile = join(folder, `token-${tokens++}`);
      writeFileSync(tokenFile, `${token}\n`);
      return sallyport(['explain', ...args, '-c', file, '--token-file', tokenFile]);
    },
  };
}

const URL_OF_ORDERS = 'https://api.example.com/orders/7?x=1';
const good = (changes: Record<string, unknown> = {}): string =>
  mint(key, claimsOf({ tenant: { id: 'acme' }, ...changes }));

t.test('what passes exits 0 and shows what the upstream gets; the token is nowhere to be seen', async (t) => {
  const scene = await setUp(t);
  const token = good();
  const { code, out } = await scene.explain(['GET', URL_OF_ORDERS, '-H', 'X-User-Id: root'], token);
  t.equal(code, 0);
  t.match(out, /assumed {2}verify_token +SIGNATURE NOT CHECKED/);
  t.match(out, /It passes, if the signature is good/);
  t.match(out, /^ {2}GET \/orders\/7\?x=1$/m);
  t.match(out, /^ {2}X-User-Id: alice$/m);
  t.notMatch(out, /root/);
  t.notMatch(out, token.split('.')[2] ?? '');
  t.strictSame(scene.asked, [], 'no server was asked');
});

t.test('--online fetches keys, asks about opaque tokens, reads the revocation list', async (t) => {
  const scene = await setUp(t);
  const gateway = await startGateway(t, scene.document);
  const online = await scene.explain(['GET', URL_OF_ORDERS, '--online'], good());
  t.equal(online.code, 0);
  t.match(online.out, /ok +verify_token +issuer login, ES256 by key "k1"/);
  t.match(online.out, /not revoked; the list holds 0/);
  const forged = mint(createKey('ES256', 'k1'), claimsOf({ tenant: { id: 'acme' } }));
  t.match(await scene.explain(['GET', URL_OF_ORDERS, '--online'], forged), {
    code: 3,
    out: /reason bad_signature/,
  });
  const lost = good();
  await gateway.admin('POST', '/v1/revocations', { issuer: ISSUER, subject: 'alice', reason: 'phone lost' });
  const revoked = await scene.explain(['GET', URL_OF_ORDERS, '--online'], lost);
  t.equal(revoked.code, 3);
  t.match(
    revoked.out,
    /REFUSED +check_revocation +refused: subject revoked by operator admin \(phone lost\), \d+ s ago \(entry .*; issued up to .*\)/,
  );
  t.match(await scene.explain(['GET', 'http://a/partners'], 'opaque'), { code: 1, out: /add --online/ });
  const partner = await scene.explain(['GET', 'http://a/partners', '--online', '--json'], 'opaque');
  t.equal(partner.code, 0);
  t.match(JSON.parse(partner.out), { decision: 'allow', reason: 'ok', issuer: 'partner', route: 'partners' });
  t.ok(scene.asked.includes('/introspect'));
});

t.test('the list is unavailable: as the route says, and why', async (t) => {
  const scene = await setUp(t);
  const file = join(scene.folder, 'gone.json');
  writeFileSync(file, JSON.stringify({ ...scene.document, revocation: { store: 'redis://127.0.0.1:1/0' } }));
  const { code, out } = await sallyportProcess(
    ['explain', 'GET', URL_OF_ORDERS, '--online', '-c', file, '--token-file', '-'],
    { input: good() },
  );
  t.equal(code, 3);
  t.match(out, /REFUSED +check_revocation +the list is unavailable: .*ECONNREFUSED/);
  t.match(out, /503 revocation_unavailable/);
});

t.test('what is refused exits 3 and says why, with the response that the client gets', async (t) => {
  const scene = await setUp(t);
  const stories: [args: string[], token: string | undefined, said: RegExp[]][] = [
    [['GET', URL_OF_ORDERS], undefined, [/REFUSED +extract_token/, /401 missing_token/, /Bearer realm=/]],
    [['GET', URL_OF_ORDERS], `Bearer ${good()}`, [/400 invalid_request/, /the scheme and not the token/]],
    [
      ['GET', URL_OF_ORDERS],
      good({ scope: 'x' }),
      [/scope orders:read is missing; it has "x"/, /403 insufficient/],
    ],
    [
      ['GET', URL_OF_ORDERS],
      good({ tenant: { id: SECRET_TENANT } }),
      [/claim rule tenant\.id in acme: .*another value/],
    ],
    [['GET', URL_OF_ORDERS], good({ tenant: undefined }), [/claim rule tenant\.id in acme: .*no such claim/]],
    [
      ['GET', URL_OF_ORDERS],
      mint(key, claimsOf({ aud: 'elsewhere', exp: 1_000, iat: 900, jti: undefined, cnf: {} }), {
        typ: 'JWT',
      }),
      [
        /typ is "JWT"/,
        /also claim: it lacks jti/,
        /also wrong_audience: aud is "elsewhere"/,
        /also binding: /,
        /also expired: /,
      ],
    ],
    [
      ['GET', URL_OF_ORDERS],
      mint(key, claimsOf(), { typ: 'JWT' }),
      [/typ is "JWT"; token_type is at\+jwt.*provider:.*token_type: any.*required_claims/],
    ],
    [
      ['GET', URL_OF_ORDERS],
      mint(key, claimsOf({ iss: ISSUER.replace('https', 'http') })),
      [/http or https differs/, /the route accepts login \(https:\/\/login\.example\.com\)/],
    ],
    [['GET', URL_OF_ORDERS], good({ filler: 'x'.repeat(9_000) }), [/limits\.token_bytes \(8192\)/]],
    [
      ['GET', URL_OF_ORDERS],
      good({ filler: 'x'.repeat(20_000) }),
      [/limits\.header_bytes is 16384.*the token has 2\d{4} bytes/],
    ],
    [['GET', URL_OF_ORDERS], good({ aud: 'elsewhere' }), [/aud is "elsewhere"; audiences are https:\/\/api/]],
    [
      ['GET', URL_OF_ORDERS],
      good({ jti: undefined, client_id: undefined }),
      [/it lacks jti, client_id \(or azp/],
    ],
    [['GET', URL_OF_ORDERS, '--now', '2100-01-01T00:00:00Z'], good(), [/it expired .* days ago/]],
    [['GET', URL_OF_ORDERS, '--now', '2000-01-01T00:00:00Z'], good(), [/reason not_yet_valid/]],
    [
      ['POST', 'https://api.example.com/order/7'],
      good(),
      [/nearest: orders: the path is not \/orders, nor below it; the method POST is not GET/, /404 no_route/],
    ],
    [['GET', 'https://api.example.com/trial/../orders'], good(), [/dot segments/, /400 bad_path/]],
    [
      ['GET', 'https://api.example.com/%6frders'],
      good(),
      [/can also be read as \/orders, which is route orders, not none/],
    ],
    [
      ['GET', URL_OF_ORDERS, '-H', 'Host: b.example'],
      good(),
      [/the host b\.example is not api\.example\.com/],
    ],
  ];
  await Promise.all(
    stories.map(async ([args, token, said]) => {
      const { code, out } = await scene.explain(args, token);
      t.equal(code, 3, args.join(' '));
      for (const words of said) t.match(out, words);
      t.notMatch(out, SECRET_TENANT);
    }),
  );
});

t.test('the gateway responds to a preflight request', async (t) => {
  const scene = await setUp(t);
  const file = join(scene.folder, 'cors.json');
  const routes = [{ name: 'a', match: {}, upstream: 'u', cors: { origins: ['https://app.example.com'] } }];
  writeFileSync(file, JSON.stringify({ ...scene.document, routes }));
  const { code, out } = await sallyport([
    ...['explain', 'OPTIONS', 'http://a/', '-c', file],
    ...['-H', 'Origin: https://app.example.com', '-H', 'Access-Control-Request-Method: GET'],
  ]);
  t.equal(code, 0);
  t.match(out, /a preflight request, which the cors section of the route handles/);
  t.match(out, /access-control-allow-origin: https:\/\/app\.example\.com/);
});

t.test(
  'a back-channel logout and a global token revocation are for their endpoints, and for no route',
  async (t) => {
    const scene = await setUp(t);
    const file = join(scene.folder, 'logout.json');
    const key = createKey();
    const backchannel_logout = { host: 'gw.test', path: '/logout', client_ids: ['app'] };
    const global_token_revocation = { url: 'https://gw.test/revoke', callers: ['okta'] };
    const issuers = { login: { ...loginIssuer(key), backchannel_logout, global_token_revocation } };
    const routes = [{ name: 'a', match: { path_prefix: '/a' }, upstream: 'u' }];
    writeFileSync(file, JSON.stringify({ ...scene.document, issuers, routes }));
    const explained = (method: string): Promise<{ code: number | null; out: string }> =>
      sallyport(['explain', method, 'https://gw.test/logout', '-c', file]);
    t.match(await explained('POST'), {
      code: 0,
      out: /ok +match_route +the back-channel logout endpoint of issuer login: the logout_token/,
    });
    t.match(await explained('GET'), {
      code: 3,
      out: /The client gets 405 method_not_allowed[^]*allow: POST/,
    });
    t.match(await sallyport(['explain', 'POST', 'https://gw.test/revoke', '-c', file]), {
      code: 0,
      out: /ok +match_route +the global token revocation endpoint of issuer login: the JWT/,
    });
  },
);

t.test('a report-only route passes, and tells what it would have refused', async (t) => {
  const scene = await setUp(t);
  const { code, out } = await scene.explain(['GET', 'http://a/trial']);
  t.equal(code, 0);
  t.match(out, /REPORT +extract_token/);
  t.match(out, /It passes, and is reported as missing/);
  const handshake = ['-H', 'Upgrade: websocket', '-H', 'Connection: Upgrade'];
  const refused = await scene.explain(['GET', 'http://a/trial', ...handshake]);
  t.equal(refused.code, 3);
  t.match(refused.out, /REPORT +extract_token/);
  t.match(refused.out, /REFUSED +rewrite_headers/);
});

t.test('--peer is an address, as it is in trusted_proxies', async (t) => {
  const scene = await setUp(t);
  for (const peer of ['proxy', '10.0.0.1:443', '10.0.0.0/8', '[::1]', '10.1', ''])
    t.match(
      await scene.explain(['GET', 'http://a/', '--peer', peer]),
      { code: 2, err: /--peer/, out: '' },
      peer,
    );
  for (const peer of ['10.0.0.1', '2001:db8::1', '::ffff:10.0.0.1'])
    t.match(await scene.explain(['GET', 'http://a/', '--peer', peer]), { code: 3 }, peer);
});

t.test('tokens do not belong on the command line; what is attackers’ text moves no cursor', async (t) => {
  const scene = await setUp(t);
  t.match(await scene.explain(['GET', 'http://a/', '-H', 'authorization: Bearer x']), {
    code: 2,
    err: /--token-file/,
  });
  for (const option of [['--token', 's3cret'], ['--token=s3cret']]) {
    const { code, err } = await scene.explain(['GET', 'http://a/', ...option]);
    t.equal(code, 2);
    t.match(err, /--token-file/);
    t.notMatch(err, /s3cret/);
  }
  const { out } = await scene.explain(['GET', URL_OF_ORDERS], good({ aud: 'a\u001b[2J\u009b2J' }));
  t.match(out, /\\u001b\[2J\\u009b2J/);
  t.notMatch(out, /[\u001b\u009b]/);
});

t.test('explain says which algorithm, length or issuer does not fit', async (t) => {
  const scene = await setUp(t);
  const cases: [token: string, says: RegExp][] = [
    [
      mint(key, claimsOf(), { alg: 'RS512' }),
      /alg is "RS512".*RS512 is not among issuers\.login\.algorithms/,
    ],
    [mint(key, claimsOf({ iss: `${ISSUER}/` })), /issuers\.login\.issuer: a trailing slash differs/],
    [mint(key, claimsOf({ x: 'y'.repeat(8_192) })), /longer than limits\.token_bytes \(8192\)/],
  ];
  for (const [token, says] of cases) {
    const { code, out } = await scene.explain(['GET', URL_OF_ORDERS], token);
    t.equal(code, 3);
    t.match(out, says);
    t.notMatch(out, token);
  }
  const unknown = mint(createKey('ES256', 'unknown'));
  t.match(await scene.explain(['GET', URL_OF_ORDERS, '--online'], unknown), { code: 3, out: /unknown_key/ });
});

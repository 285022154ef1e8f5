/** Decisions for other proxies, asked for in each dialect. docs/forward-auth.md. Rules C1, C3, C10, B10. */
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { send, sendRaw, statuses, type Response } from '../support/client.ts';
import { loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';
import { HTTP_DIALECTS, type HttpDialect } from '../../src/http/original-request.ts';

const key = createKey('EdDSA');
const upstream = await startUpstream(t);
const HOST = 'api.example.com';

const ROUTES = [
  {
    name: 'orders',
    match: { hosts: [HOST], path_prefix: '/orders', methods: ['GET', 'POST'] },
    upstream: 'u',
    auth: { scopes: ['orders:read'] },
    identity: { headers: { 'X-Tenant': 'tenant.id' } },
  },
  {
    name: 'slashes',
    match: { hosts: [HOST], path_prefix: '/files' },
    upstream: 'u',
    paths: { allow: ['encoded_slash'] },
  },
  { name: 'public', match: { hosts: [HOST], path_prefix: '/public' }, upstream: 'u', auth: { mode: 'none' } },
  {
    name: 'mixed',
    match: { hosts: [HOST], path_prefix: '/mixed' },
    upstream: 'u',
    auth: { mode: 'optional' },
  },
];

interface Decisions {
  readonly gateway: TestGateway;
  readonly url: string;
  readonly port: number;
}

async function start(
  t: Test,
  dialect: HttpDialect,
  trustedPeers = ['127.0.0.1/32'],
  ofOrders: Record<string, unknown> = {},
): Promise<Decisions> {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'identity.jwk'), JSON.stringify(key.privateKey.export({ format: 'jwk' })));
  const gateway = await startGateway(
    t,
    {
      listeners: [
        { host: '127.0.0.1', port: 0 },
        { host: '127.0.0.1', port: 0, serve: 'decisions', dialect, trusted_peers: trustedPeers },
      ],
      issuers: {
        login: loginIssuer(key),
        gone: { introspection: { url: 'http://127.0.0.1:1/', client_id: 'x', client_secret: 'y' } },
      },
      identity: {
        headers: { 'X-User-Id': 'sub', 'X-Email': 'email' },
        assertion: { key_file: 'identity.jwk' },
      },
      routes: [
        ...ROUTES.map((route) => (route.name === 'orders' ? { ...route, ...ofOrders } : route)),
        {
          name: 'opaque',
          match: { hosts: [HOST], path_prefix: '/opaque' },
          upstream: 'u',
          auth: { issuers: ['gone'] },
        },
      ],
      upstreams: { u: { targets: [upstream.url] } },
    },
    { folder },
  );
  const port = gateway.instance.listeners[1]?.address.port ?? 0;
  return { gateway, port, url: `http://127.0.0.1:${port}` };
}

interface Original {
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly token?: string;
  readonly headers?: readonly string[];
}

/** Asks as a proxy does that speaks this dialect. */
async function ask(
  { url }: Decisions,
  dialect: HttpDialect,
  { method = 'GET', path = '/orders/1', host = HOST, token, headers = [] }: Original,
): Promise<Response> {
  const credentials = token === undefined ? {} : { token };
  switch (dialect) {
    case 'forwarded':
      return send(url, '/auth', {
        ...credentials,
        headers: [
          ...['X-Forwarded-Method', method, 'X-Forwarded-Proto', 'https', 'X-Forwarded-Host', host],
          ...['X-Forwarded-Uri', path, ...headers],
        ],
      });
    case 'original':
      return send(url, '/auth', {
        ...credentials,
        headers: ['Host', host, 'X-Original-Method', method, 'X-Original-URI', path, ...headers],
      });
    case 'original_url':
      return send(url, '/auth', {
        ...credentials,
        headers: ['X-Original-Method', method, 'X-Original-URL', `https://${host}${path}`, ...headers],
      });
    case 'request':
      return send(url, path, { method, ...credentials, headers: ['Host', host, ...headers] });
  }
}

const good = mint(key, claimsOf({ tenant: { id: 'acme' } }));

for (const dialect of HTTP_DIALECTS) {
  t.test(`dialect ${dialect}`, async (t) => {
    const decisions = await start(t, dialect);
    const asked = (original: Original): Promise<Response> => ask(decisions, dialect, original);
    /** What nginx can pass on, where it is nginx. */
    const told = (status: number): number => (dialect.startsWith('original') && status < 500 ? 403 : status);

    t.test('a good token passes, with every identity header of every route', async (t) => {
      const response = await asked({ token: good });
      t.match(response, { status: 200, body: '' });
      t.match(response.headers, {
        'x-user-id': 'alice',
        'x-email': '',
        'x-tenant': 'acme',
        'cache-control': 'no-store',
        'content-length': '0',
      });
      t.match(response.headers['x-identity-assertion'], /^[\w-]+\.[\w-]+\.[\w-]+$/);
      t.ok(response.headers['x-request-id']);
      t.equal((await asked({ token: good, method: 'POST' })).status, 200);
    });

    t.test('C1 no caller is empty, not absent: what a client wrote there is overwritten', async (t) => {
      for (const path of ['/public', '/mixed']) {
        const response = await asked({ path, headers: ['X-User-Id', 'root', 'Connection', 'X-Tenant'] });
        t.match(response, { status: 200 });
        t.match(response.headers, {
          'x-user-id': '',
          'x-email': '',
          'x-tenant': '',
          'x-identity-assertion': '',
        });
      }
      t.equal(
        await decisions.gateway.metric('sallyport_identity_headers_stripped_total{route="public"}'),
        1,
        'and counted',
      );
    });

    t.test('C2 Envoy is told by HTTP what to remove; other proxies are not', async (t) => {
      const headers = ['X_User_Id', 'root', 'X.Tenant', 'root', 'X-Other', 'kept'];
      const response = await asked({ path: '/orders', token: good, headers });
      t.equal(response.status, 200);
      const list = response.headers['x-envoy-auth-headers-to-remove'];
      const removed = typeof list === 'string' ? list.split(', ') : [];
      for (const name of ['authorization', 'x_user_id', 'x.tenant', 'x-email'])
        t.equal(removed.includes(name), dialect === 'request', name);
      for (const name of ['x-user-id', 'x-tenant', 'x-other']) t.notOk(removed.includes(name), name);
    });

    const refusals: Record<string, [Original, status: number, code: string]> = {
      'no token': [{}, 401, 'missing_token'],
      'a forged token': [{ token: mint(createKey('EdDSA', key.kid)) }, 401, 'invalid_token'],
      'a missing scope': [{ token: mint(key, claimsOf({ scope: 'x' })) }, 403, 'insufficient_scope'],
      'two tokens': [{ token: good, headers: ['Authorization', 'Bearer x'] }, told(400), 'invalid_request'],
      'no route': [{ path: '/elsewhere', token: good }, told(404), 'no_route'],
      'another host': [{ host: 'evil.example', token: good }, told(404), 'no_route'],
      'another method': [{ method: 'DELETE', token: good }, told(404), 'no_route'],
      'C10 dot segments': [{ path: '/public/../orders/1' }, told(400), 'bad_path'],
      'C10 encoded dot segments': [{ path: '/public/%2e%2e/orders/1' }, told(400), 'bad_path'],
      'C10 another reading': [{ path: '/%70ublic' }, told(400), 'bad_path'],
      'B10 an authority that is down': [{ path: '/opaque', token: 'x' }, 503, 'introspection_unavailable'],
    };
    for (const [name, [original, status, code]] of Object.entries(refusals)) {
      t.test(`${name}: ${status}, with no identity`, async (t) => {
        const response = await asked(original);
        t.match(response, { status, problem: { code, status } });
        t.equal(response.headers['x-user-id'], undefined);
        if (status === 401) t.match(response.headers['www-authenticate'], /^Bearer realm="test"/);
      });
    }

    t.test('what a route allows of a path is allowed here', async (t) => {
      t.equal((await asked({ path: '/files/a%2Fb', token: good })).status, 200);
    });

    t.test('C3 the other dialects’ headers are not looked at', async (t) => {
      const elsewhere: Record<HttpDialect, string[]> = {
        forwarded: ['X-Forwarded-Uri', '/public', 'X-Forwarded-Method', 'GET', 'X-Forwarded-Host', HOST],
        original: ['X-Original-URI', '/public'],
        original_url: ['X-Original-URL', `https://${HOST}/public`],
        request: [],
      };
      const method = dialect.startsWith('original') ? [] : ['X-Original-Method', 'GET'];
      const headers = [
        ...Object.entries(elsewhere).flatMap(([of, lines]) => (of === dialect ? [] : lines)),
        ...method,
      ];
      t.equal((await asked({ headers })).status, 401);
      t.equal((await asked({ headers: [...headers, 'X_Forwarded_Uri', '/public'] })).status, 401);
    });

    t.test('decisions are counted and logged like requests', async (t) => {
      const response = await asked({ token: good, headers: ['X-Forwarded-For', '203.0.113.9'] });
      const requestId = response.headers['x-request-id'];
      const { log } = decisions.gateway;
      await until(() => log.some((line) => line['request_id'] === requestId));
      t.match(
        log.find((line) => line['request_id'] === requestId),
        {
          route: 'orders',
          method: 'GET',
          path: '/orders/1',
          status: 200,
          client_ip: '203.0.113.9',
          auth: { decision: 'allow', reason: 'ok', issuer: 'login' },
        },
      );
    });

    t.test('a revoked token is refused', async (t) => {
      const token = mint(key);
      t.equal((await asked({ token })).status, 200);
      await decisions.gateway.admin('POST', '/v1/revocations', { token });
      t.equal((await asked({ token })).status, 401);
    });

    t.test('a body is left alone', async (t) => {
      const body = 'x'.repeat(100);
      const bytes = (path: string): string =>
        [
          `POST ${path} HTTP/1.1`,
          `Host: ${HOST}`,
          'X-Forwarded-Method: POST',
          'X-Forwarded-Proto: https',
          `X-Forwarded-Host: ${HOST}`,
          'X-Forwarded-Uri: /orders',
          'X-Original-Method: POST',
          'X-Original-URI: /orders',
          `X-Original-URL: https://${HOST}/orders`,
          `Authorization: Bearer ${good}`,
          `Content-Length: ${body.length}`,
          '',
          body,
        ].join('\r\n');
      const received = await sendRaw(
        decisions.port,
        [bytes('/orders'), bytes('/orders')],
        (text) => statuses(text).length === 2,
      );
      t.strictSame(statuses(received), [200, 200]);
    });

    t.test('the public keys of assertions are there where no original can be meant', async (t) => {
      const response = await send(decisions.url, '/.well-known/sallyport/jwks.json', {
        headers: ['Host', HOST],
      });
      t.equal(response.status, dialect === 'request' ? 404 : 200);
      if (dialect !== 'request') t.match(JSON.parse(response.body), { keys: [{ kty: 'OKP', d: undefined }] });
      const asking = await ask(decisions, dialect, { path: '/.well-known/sallyport/jwks.json' });
      t.match(asking, { status: told(404), problem: { code: 'no_route' } });
    });
  });

  t.test(`dialect ${dialect}: only trusted peers may ask`, async (t) => {
    for (const peers of [['10.0.0.0/8'], []]) {
      const decisions = await start(t, dialect, peers);
      const response = await ask(decisions, dialect, { path: '/public' });
      t.match(response, { status: 403, problem: { code: 'peer_not_trusted' } });
      t.equal(response.headers['x-user-id'], undefined);
    }
  });
}

t.test('a part of the original that is missing, repeated or impossible is refused', async (t) => {
  const whole: Record<'forwarded' | 'original' | 'original_url', [string, string][]> = {
    forwarded: [
      ['X-Forwarded-Method', 'GET'],
      ['X-Forwarded-Proto', 'https'],
      ['X-Forwarded-Host', HOST],
      ['X-Forwarded-Uri', '/public'],
    ],
    original: [
      ['X-Original-Method', 'GET'],
      ['X-Original-URI', '/public'],
    ],
    original_url: [
      ['X-Original-Method', 'GET'],
      ['X-Original-URL', `https://${HOST}/public`],
    ],
  };
  const impossible: Record<string, string[]> = {
    'X-Forwarded-Method': ['', 'G ET', 'GET, GET', 'CONNECT'],
    'X-Forwarded-Proto': ['', 'ftp', 'https,http', 'httpss', 'wss,ws', 'https:'],
    'X-Forwarded-Host': ['', 'a b', `${HOST}, ${HOST}`, `${HOST}/`],
    'X-Forwarded-Uri': [
      '',
      'public',
      'http://evil.example/public',
      `http://${HOST}/public`,
      '/pub lic',
      '/a#b',
    ],
    'X-Original-Method': ['', 'GET GET', 'TRACE'],
    'X-Original-URI': ['', '*', 'public', '//', '/public\\..'],
    'X-Original-URL': [
      '',
      '/public',
      HOST,
      `//${HOST}/public`,
      `${HOST}/public`,
      `ftp://${HOST}/public`,
      `https:/${HOST}/public`,
      `https://${HOST}`,
      `https://${HOST}?/public`,
      'https:///public',
      `https://user@${HOST}/public`,
      `https://user:pass@${HOST}/public`,
      `https://evil.example@${HOST}/public`,
      `https://${HOST}/public#x`,
      `https://${HOST}#/public`,
      `https://${HOST}\\/public`,
      `https://${HOST}/public\\x`,
      `https://${HOST}/public?a\\b`,
      `https://a b/public`,
      `https://${HOST}../public`,
      `https://${HOST}:99999/public`,
      `https://${HOST}:/public`,
      'https://api%2eexample.com/public',
      `https://${HOST}, https://${HOST}/public`,
      `https://${HOST}/public, https://${HOST}/public/../orders`,
    ],
  };
  for (const dialect of ['forwarded', 'original', 'original_url'] as const) {
    const decisions = await start(t, dialect);
    const status = async (headers: readonly [string, string][]): Promise<number> =>
      (await send(decisions.url, '/public', { headers: ['Host', HOST, ...headers.flat()] })).status;
    const parts = whole[dialect];
    t.equal(await status(parts), 200);
    const refused = dialect === 'forwarded' ? [400, 405] : [403];
    for (const [name, value] of parts) {
      const others = parts.filter(([other]) => other !== name);
      t.ok(refused.includes(await status(others)), `${name} missing`);
      t.ok(refused.includes(await status([...parts, [name, value]])), `${name} twice`);
      for (const wrong of impossible[name] ?? [])
        t.ok(refused.includes(await status([...others, [name, wrong]])), `${name}: ${wrong}`);
    }
  }
  t.equal(upstream.seen.length, 0);
});

t.test('what Node’s parser refuses is told in words that nginx knows, too', async (t) => {
  for (const dialect of ['original', 'original_url'] as const) {
    const { port } = await start(t, dialect);
    const bytes = 'GET / HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n';
    t.strictSame(statuses(await sendRaw(port, bytes)), [403], dialect);
  }
});

t.test('dialect forwarded: ws and wss are http and https, in any case of letters', async (t) => {
  const { url } = await start(t, 'forwarded');
  for (const proto of ['ws', 'wss', 'WSS', 'Ws', 'HTTPS', 'http']) {
    const headers = ['X-Forwarded-Method', 'GET', 'X-Forwarded-Proto', proto, 'X-Forwarded-Uri', '/public'];
    const response = await send(url, '/', { headers: [...headers, 'X-Forwarded-Host', HOST] });
    t.equal(response.status, 200, proto);
  }
});

t.test('dialect original_url: host and path are those of the URL, whatever Host and path ask', async (t) => {
  const { url } = await start(t, 'original_url');
  const status = async (original: string, host = HOST, path = '/public'): Promise<number> => {
    const headers = ['Host', host, 'X-Original-Method', 'GET', 'X-Original-URL', original];
    return (await send(url, path, { headers })).status;
  };
  t.equal(await status(`http://${HOST}/public?a=b@c:d/e`, 'sallyport.svc', '/auth'), 200);
  t.equal(await status(`WSS://${HOST.toUpperCase()}.:443/public`, 'sallyport.svc', '/auth'), 200);
  t.equal(await status(`https://${HOST}/orders`), 401);
  t.equal(await status('https://evil.example/public'), 403);
});

const PREFLIGHT = ['Origin', 'https://app.example.com', 'Access-Control-Request-Method', 'POST'];
for (const dialect of HTTP_DIALECTS) {
  t.test(
    `dialect ${dialect}: a preflight of a route with cors passes, and says nothing of a caller`,
    async (t) => {
      const decisions = await start(t, dialect, undefined, {
        cors: { origins: ['https://app.example.com'] },
      });
      const asked = (headers: string[], original: Original = {}): Promise<Response> =>
        ask(decisions, dialect, { method: 'OPTIONS', headers, ...original });
      const response = await asked([...PREFLIGHT, 'X-User-Id', 'root']);
      t.match(response, { status: 200, body: '' });
      t.match(response.headers, {
        'x-user-id': '',
        'x-email': '',
        'x-tenant': '',
        'x-identity-assertion': '',
      });

      const [, origin = '', , method = ''] = PREFLIGHT;
      const others: Record<string, [headers: string[], original?: Original]> = {
        'another origin': [['Origin', 'https://evil.example', 'Access-Control-Request-Method', method]],
        'no origin': [['Access-Control-Request-Method', method]],
        'two origins': [[...PREFLIGHT, 'Origin', origin]],
        'no method': [['Origin', origin]],
        'two methods': [[...PREFLIGHT, 'Access-Control-Request-Method', method]],
        'a method that cors does not name': [['Origin', origin, 'Access-Control-Request-Method', 'DELETE']],
        'a route without cors': [PREFLIGHT, { path: '/files/a' }],
        'another host': [PREFLIGHT, { host: 'evil.example' }],
        'a path with two readings': [PREFLIGHT, { path: '/orders/%2e%2e/files' }],
        'no OPTIONS': [PREFLIGHT, { method: 'GET' }],
      };
      for (const [what, [headers, original]] of Object.entries(others)) {
        const refused = await asked(headers, original);
        t.ok([400, 401, 403, 404].includes(refused.status), `${what}: ${refused.status}`);
        t.equal(refused.headers['x-user-id'], undefined, what);
      }
      t.equal(
        (await asked(['Origin', origin], { path: '/mixed' })).status,
        200,
        'decided like any other request',
      );
      t.equal((await asked(['Origin', origin], { path: '/files/a' })).status, 401);
      t.equal((await asked(['Origin', origin], { path: '/files/a', token: good })).status, 200);
    },
  );
}

t.test('a proxy that leaves before the decision is counted and logged with 499', async (t) => {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  const silent = await startServer(t, () => resolve());
  const gateway = await startGateway(t, {
    listeners: [
      { host: '127.0.0.1', port: 0, serve: 'decisions', dialect: 'request', trusted_peers: ['127.0.0.1/32'] },
    ],
    issuers: { o: { introspection: { url: silent, client_id: 'x', client_secret: 'y' }, audiences: ['a'] } },
    routes: [{ name: 'r', match: {}, upstream: 'u', auth: { issuers: ['o'] } }],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const proxy = connect(gateway.port, '127.0.0.1');
  proxy.write('GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer opaque\r\n\r\n');
  await asked;
  proxy.destroy();
  await until(() => gateway.log.some(({ status }) => status === 499));
  const labels = 'route="r",method="GET",code="499",source="gateway"';
  t.equal(await gateway.metric(`sallyport_http_requests_total{${labels}}`), 1);
});

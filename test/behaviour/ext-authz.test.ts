/** Decisions for other proxies by gRPC. docs/forward-auth.md. Rules B2, B10, C1 to C3, C10, F1, G5. */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { join } from 'node:path';
import { credentials, status as Status } from '@grpc/grpc-js';
import t, { type Test } from 'tap';
import { systemClock, type Clock } from '../../src/clock.ts';
import { certificateAuthority } from '../support/certificates.ts';
import { send } from '../support/client.ts';
import {
  CHECK,
  checkRequestOf,
  startAsker,
  type Asker,
  type Original,
  type Outcome,
} from '../support/ext-authz.ts';
import { loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { responseOf, type Http2Response } from '../support/http2.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey('EdDSA');
const good = mint(key, claimsOf({ tenant: { id: 'acme' } }));
const upstream = await startUpstream(t);
const HOST = 'api.example.com';
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000);

const ROUTES = [
  {
    name: 'orders',
    match: { hosts: [HOST], path_prefix: '/orders', methods: ['GET', 'POST'] },
    auth: { scopes: ['orders:read'] },
    identity: { headers: { 'X-Tenant': 'tenant.id' } },
    cors: { origins: ['https://app.example.com'] },
  },
  { name: 'files', match: { hosts: [HOST], path_prefix: '/files' }, paths: { allow: ['encoded_slash'] } },
  { name: 'public', match: { hosts: [HOST], path_prefix: '/public' }, auth: { mode: 'none' } },
  { name: 'mixed', match: { hosts: [HOST], path_prefix: '/mixed' }, auth: { mode: 'optional' } },
  {
    name: 'kept',
    match: { hosts: [HOST], path_prefix: '/kept' },
    auth: { mode: 'optional' },
    identity: { forward_authorization: true },
  },
  { name: 'versioned', match: { hosts: [HOST], path: '/versioned', headers: { 'x-version': '2' } } },
  { name: 'opaque', match: { hosts: [HOST], path_prefix: '/opaque' }, auth: { issuers: ['gone'] } },
].map((route) => ({ ...route, upstream: 'u' }));

interface Scene {
  readonly gateway: TestGateway;
  readonly asker: Asker;
  readonly port: number;
  readonly forwardedUrl: string;
}

async function start(
  t: Test,
  more: Record<string, unknown> = {},
  { peers = ['127.0.0.1/32'], clock = systemClock }: { peers?: readonly string[]; clock?: Clock } = {},
): Promise<Scene> {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'identity.jwk'), JSON.stringify(key.privateKey.export({ format: 'jwk' })));
  const deciding = { host: '127.0.0.1', port: 0, serve: 'decisions', trusted_peers: peers };
  const gateway = await startGateway(
    t,
    {
      listeners: [
        { ...deciding, dialect: 'ext_authz' },
        { ...deciding, dialect: 'forwarded' },
      ],
      issuers: {
        login: loginIssuer(key),
        gone: { introspection: { url: 'http://127.0.0.1:1/', client_id: 'x', client_secret: 'y' } },
      },
      identity: {
        headers: { 'X-User-Id': '$subject', 'X-Email': 'email' },
        assertion: { key_file: 'identity.jwk' },
      },
      trusted_proxies: ['203.0.113.0/24', '127.0.0.1'],
      timeouts: { drain: '100ms' },
      routes: ROUTES,
      upstreams: { u: { targets: [upstream.url] } },
      ...more,
    },
    { folder, clock },
  );
  const { port } = gateway;
  const forwardedUrl = `http://127.0.0.1:${gateway.instance.listeners[1]?.address.port}`;
  return { gateway, asker: startAsker(t, port), port, forwardedUrl };
}

const bearer = (token: string): string[] => ['Authorization', `Bearer ${token}`];
/** What a client must not be able to say, in spellings that some servers read as one. */
const SPOOFED = [
  ...[
    'X-User-Id',
    'root',
    'x-user-id',
    'root2',
    'X_User_Id',
    'root',
    'X.User.Id',
    'root',
    'X~User~Id',
    'root',
  ],
  ...['X-Client-Id', 'root', 'X-Email', 'root', 'x_email', 'root', 'X-Tenant', 'root', 'X_Tenant', 'root'],
  ...['X-Identity-Assertion', 'root', 'X_Identity_Assertion', 'root', 'X_Forwarded_For', '10.0.0.9'],
];

const HEALTH = '/grpc.health.v1.Health/Check';
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
/** Of the comparison of dialects; more are for runs by hand. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 150);

t.test('one gateway', async (t) => {
  const scene = await start(t);
  const { gateway, asker } = scene;
  const ask = (original: Original): Promise<Outcome> => asker.ask(original);

  t.test('a good token passes, and the upstream learns who it is', async (t) => {
    for (const raw of [false, true]) {
      const outcome = await ask({
        path: '/orders/1?a=b',
        headers: [...bearer(good), 'X-Other', 'kept'],
        raw,
      });
      t.equal(outcome.status, 200);
      const { 'x-identity-assertion': assertion = '', ...rest } = outcome.upstream;
      t.match(assertion, /^[\w-]+\.[\w-]+\.[\w-]+$/);
      t.match(rest, {
        'x-user-id': 'alice',
        'x-client-id': 'web',
        'x-tenant': 'acme',
        'x-other': 'kept',
        'x-request-id': /^[\w-]+$/,
      });
      t.notOk('authorization' in rest, 'the token ends here');
      t.equal(outcome.headers['x-request-id'], rest['x-request-id'], 'the client gets the id, too');
    }
  });

  t.test('C1 C2 C4 a client cannot say who it is, in no spelling, on no route', async (t) => {
    for (const raw of [false, true])
      for (const [path, token, user] of [
        ['/orders', good, 'alice'],
        ['/mixed', good, 'alice'],
        ['/mixed', '', undefined],
        ['/public', good, undefined],
        ['/public', '', undefined],
      ] as const) {
        const headers = [
          ...(token === '' ? [] : bearer(token)),
          ...SPOOFED,
          'Connection',
          'X-User-Id, X-Email',
        ];
        const { status, upstream } = await ask({ path, headers, raw });
        t.equal(status, 200, path);
        t.equal(upstream['x-user-id'], user, path);
        t.strictSame(
          Object.entries(upstream).filter(([, value]) => value.startsWith('root') || value === '10.0.0.9'),
          [],
          path,
        );
        t.notOk('authorization' in upstream, path);
      }
    t.ok((await gateway.metric('sallyport_identity_headers_stripped_total{route="public"}')) > 0);
  });

  t.test('absent identity headers and credentials are removed, whatever the client sent', async (t) => {
    const { response } = await asker.check(checkRequestOf({ path: '/public' }));
    const removed = response?.ok_response?.headers_to_remove ?? [];
    for (const name of ['x-user-id', 'x-client-id', 'x-scopes', 'x-token-issuer', 'x-email', 'x-tenant'])
      t.ok(removed.includes(name), name);
    const credentials = ['authorization', 'proxy-authorization', 'dpop', 'client-cert', 'client-cert-chain'];
    for (const name of ['x-identity-assertion', ...credentials]) t.ok(removed.includes(name), name);
  });

  t.test('Authorization stays where the route forwards it', async (t) => {
    const { upstream } = await ask({ path: '/kept', headers: bearer(good) });
    t.match(upstream, { authorization: `Bearer ${good}`, 'x-user-id': 'alice' });
  });

  const forged = mint(createKey('EdDSA', key.kid));
  const refusals: Record<string, [Original, status: number, code: string]> = {
    'no token': [{ path: '/orders' }, 401, 'missing_token'],
    'another scheme': [{ path: '/orders', headers: ['Authorization', 'Basic eDp5'] }, 401, 'missing_token'],
    'a forged token': [{ path: '/orders', headers: bearer(forged) }, 401, 'invalid_token'],
    'a missing scope': [
      { path: '/orders', headers: bearer(mint(key, claimsOf({ scope: 'x' }))) },
      403,
      'insufficient_scope',
    ],
    'B2 two tokens': [
      { path: '/orders', headers: [...bearer(good), ...bearer('x')] },
      400,
      'invalid_request',
    ],
    'B2 one token twice': [
      { path: '/orders', headers: [...bearer(good), ...bearer(good)] },
      400,
      'invalid_request',
    ],
    'B2 an empty second one': [
      { path: '/orders', headers: [...bearer(good), 'Authorization', ''] },
      400,
      'invalid_request',
    ],
    'a token in the query': [{ path: `/orders?access_token=${good}` }, 400, 'invalid_request'],
    'no route': [{ path: '/elsewhere', headers: bearer(good) }, 404, 'no_route'],
    'another host': [{ path: '/orders', host: 'evil.example', headers: bearer(good) }, 404, 'no_route'],
    'another method': [{ path: '/orders', method: 'DELETE', headers: bearer(good) }, 404, 'no_route'],
    'a header that the route asks for': [{ path: '/versioned', headers: bearer(good) }, 404, 'no_route'],
    TRACE: [{ path: '/public', method: 'TRACE' }, 405, 'method_not_allowed'],
    'C10 dot segments': [{ path: '/public/../orders' }, 400, 'bad_path'],
    'C10 encoded dot segments': [{ path: '/public/%2e%2e/orders' }, 400, 'bad_path'],
    'C10 another reading': [{ path: '/%70ublic' }, 400, 'bad_path'],
    'C10 bytes beyond ASCII': [{ path: '/public/ä', raw: true }, 400, 'unclear_original_request'],
    'C10 a space': [{ path: '/public /x' }, 400, 'unclear_original_request'],
    'C10 an absolute form': [{ path: `http://${HOST}/public` }, 400, 'unclear_original_request'],
    'an asterisk': [{ path: '*', method: 'OPTIONS' }, 400, 'unclear_original_request'],
    'no host': [{ path: '/public', host: '' }, 400, 'unclear_original_request'],
    'an odd host': [{ path: '/public', host: 'a b' }, 400, 'bad_host'],
    'two hosts': [{ path: '/public', host: `${HOST},${HOST}` }, 400, 'bad_host'],
    'another scheme of URLs': [{ path: '/public', scheme: 'ftp' }, 400, 'unclear_original_request'],
    'another Host beside the authority': [
      { path: '/public', headers: ['Host', 'evil.example'] },
      400,
      'unclear_original_request',
    ],
    'a header section too large': [
      { path: '/public', headers: ['X-Large', 'x'.repeat(17_000)] },
      431,
      'headers_too_large',
    ],
    'a URI too long': [{ path: `/public/${'x'.repeat(9_000)}` }, 414, 'uri_too_long'],
    'H3 two framings': [
      { path: '/public', headers: ['Content-Length', '1', 'Transfer-Encoding', 'chunked'] },
      400,
      'malformed_request',
    ],
    'B10 an authority that is down': [
      { path: '/opaque', headers: bearer('x') },
      503,
      'introspection_unavailable',
    ],
  };
  for (const [name, [original, status, code]] of Object.entries(refusals))
    t.test(`${name}: ${status} ${code}`, async (t) => {
      for (const raw of original.raw === undefined ? [false, true] : [original.raw]) {
        const outcome = await ask({ ...original, raw });
        t.match(outcome, { status, code, upstream: {} });
        t.match(outcome.headers, { 'content-type': 'application/problem+json', 'cache-control': 'no-store' });
        const challenge = outcome.headers['www-authenticate'];
        if (status === 401) t.match(challenge, /^Bearer realm="test"/);
        if (status === 503) t.match(outcome.headers, { 'retry-after': /^\d+$/ });
        t.equal(outcome.headers['content-length'], undefined, 'the proxy writes the framing');
      }
    });

  t.test('a refusal carries the CORS headers of its route', async (t) => {
    const { headers } = await ask({ path: '/orders', headers: ['Origin', 'https://app.example.com'] });
    t.match(headers, { 'access-control-allow-origin': 'https://app.example.com', vary: 'Origin' });
  });

  t.test('G5 a request of gRPC is refused without a content type, which the proxy writes', async (t) => {
    const headers = ['Content-Type', 'application/grpc', 'TE', 'trailers'];
    const { response } = await asker.check(checkRequestOf({ path: '/orders', method: 'POST', headers }));
    const denied = response?.denied_response;
    t.equal(denied?.status?.code, 401);
    t.notOk(denied?.body?.startsWith('{'), 'the body becomes grpc-message');
    const names = denied?.headers?.map(({ header }) => header.key);
    t.ok(names?.includes('www-authenticate'));
    t.notOk(names?.includes('content-type'));
  });

  t.test('a preflight of a route with cors passes, and says nothing of a caller', async (t) => {
    const preflight = ['Origin', 'https://app.example.com', 'Access-Control-Request-Method', 'POST'];
    const original = { method: 'OPTIONS', path: '/orders/1' };
    const outcome = await ask({ ...original, headers: [...preflight, ...SPOOFED] });
    t.equal(outcome.status, 200);
    t.strictSame(
      Object.values(outcome.upstream).filter((value) => value.startsWith('root')),
      [],
    );
    const others = {
      'another origin': 'https://evil.example',
      'two origins': `${preflight[1]},${preflight[1]}`,
    };
    for (const [what, origin] of Object.entries(others)) {
      const headers = ['Origin', origin, ...preflight.slice(2)];
      t.not((await ask({ ...original, headers })).status, 200, what);
    }
    t.not((await ask({ ...original, path: '/files/1', headers: preflight })).status, 200);
  });

  t.test(
    'F1 the client is the peer of the proxy, and behind a trusted proxy the one that it tells',
    async (t) => {
      const clientOf = async (original: Original): Promise<unknown> => {
        const { headers } = await ask({ path: '/public', ...original });
        const line = (): Record<string, unknown> | undefined =>
          gateway.log.find(({ request_id }) => request_id === headers['x-request-id']);
        await until(() => line() !== undefined);
        return line()?.['client_ip'];
      };
      const chain = ['X-Forwarded-For', '192.0.2.1, 192.0.2.2'];
      t.equal(await clientOf({ source: '198.51.100.1' }), '198.51.100.1');
      t.equal(
        await clientOf({ source: '198.51.100.1', headers: chain }),
        '198.51.100.1',
        'it is not believed',
      );
      t.equal(await clientOf({ source: '203.0.113.7', headers: chain }), '192.0.2.2');
      t.equal(await clientOf({ source: '::ffff:198.51.100.1' }), '198.51.100.1');
      for (const source of ['', '/run/envoy.sock', '1.2.3', 'x\ny'])
        t.equal(await clientOf({ source, headers: chain }), '127.0.0.1', `without an address: ${source}`);
    },
  );

  t.test('decisions are counted and logged like requests', async (t) => {
    const { headers } = await ask({
      path: '/orders/9?secret=1',
      headers: [...bearer(good), 'X-Request-Id', 'id-of-envoy', 'Traceparent', TRACEPARENT],
    });
    t.equal(headers['x-request-id'], 'id-of-envoy');
    const line = (): Record<string, unknown> | undefined =>
      gateway.log.find(({ request_id }) => request_id === 'id-of-envoy');
    await until(() => line() !== undefined);
    t.match(line(), {
      route: 'orders',
      method: 'GET',
      path: '/orders/9',
      status: 200,
      trace_id: TRACEPARENT.split('-')[1],
      auth: { decision: 'allow', reason: 'ok', issuer: 'login' },
    });
    const counted = 'sallyport_http_requests_total{route="orders",method="GET",code="200",source="gateway"}';
    t.ok((await gateway.metric(counted)) > 0);
  });

  t.test('V1 a revoked token is refused though its verification is cached', async (t) => {
    const token = mint(key);
    t.equal((await ask({ path: '/orders', headers: bearer(token) })).status, 200);
    await gateway.admin('POST', '/v1/revocations', { token });
    t.match(await ask({ path: '/orders', headers: bearer(token) }), { status: 401, code: 'invalid_token' });
  });

  t.test('an attribute that is missing, or said in two ways, is refused', async (t) => {
    const whole = checkRequestOf({ path: '/public' }) as {
      attributes: { request: { http: Record<string, unknown> } };
    };
    const { attributes } = whole;
    const { http } = attributes.request;
    const withHttp = (changes: Record<string, unknown>): object => ({
      attributes: { ...attributes, request: { http: { ...http, ...changes } } },
    });
    t.ok((await asker.check(whole)).response?.ok_response, 'it passes as it is');
    const header_map = { headers: [{ key: 'x-user-id', raw_value: Buffer.from('root') }] };
    const impossible: Record<string, object> = {
      nothing: {},
      'no request': { attributes: { ...attributes, request: null } },
      'no http, as for TCP': { attributes: { ...attributes, request: {} } },
      'no method': withHttp({ method: '' }),
      'no path': withHttp({ path: '' }),
      'no scheme': withHttp({ scheme: '' }),
      'another path in the headers': withHttp({ headers: { ':path': '/orders' } }),
      'another method in the headers': withHttp({ headers: { ':method': 'POST' } }),
      'another authority in the headers': withHttp({ headers: { ':authority': 'evil.example' } }),
      'both kinds of headers': withHttp({ header_map }),
      'one name in two spellings': withHttp({ headers: { 'x-a': '1', 'X-A': '2' } }),
      'a name that is none': withHttp({ headers: { 'x a': '1' } }),
      'an empty name': withHttp({ headers: { '': '1' } }),
      'a value with a line end': withHttp({ headers: { 'x-a': '1\r\nx-user-id: root' } }),
      'a value with NUL': withHttp({ headers: { 'x-a': '\0' } }),
    };
    for (const [what, request] of Object.entries(impossible)) {
      const { code, response } = await asker.check(request);
      t.equal(code, Status.OK, what);
      t.equal(response?.denied_response?.status?.code, 400, what);
      t.not(response?.status?.code, 0, what);
    }
  });

  t.test('a call that is none is refused by a status of gRPC', async (t) => {
    const message = CHECK.requestSerialize(checkRequestOf({ path: '/public' }));
    for (const path of [
      '/envoy.service.auth.v2.Authorization/Check',
      '/envoy.service.auth.v3.Authorization/X',
      '/',
    ])
      t.equal((await asker.call(path, message)).code, Status.UNIMPLEMENTED, path);
    t.equal((await asker.call(CHECK.path, message)).code, Status.OK);
    t.equal((await asker.call(CHECK.path, Buffer.from([0xff]))).code, Status.INTERNAL);
    t.equal((await asker.call(CHECK.path, Buffer.alloc(400 * 1024))).code, Status.RESOURCE_EXHAUSTED);
    t.equal(
      (await asker.call(CHECK.path, Buffer.alloc(0))).response?.denied_response?.status?.code,
      400,
      'an empty message is a CheckRequest without attributes',
    );
  });

  t.test('a body that is not one message, and what is no gRPC, get no decision', async (t) => {
    const session = connect(`http://127.0.0.1:${scene.port}`);
    t.teardown(() => session.destroy());
    const message = CHECK.requestSerialize(checkRequestOf({ path: '/public' }));
    const framed = (flag: number, length = message.length): Buffer => {
      const prefix = Buffer.from([flag, 0, 0, 0, 0]);
      prefix.writeUInt32BE(length, 1);
      return Buffer.concat([prefix, message]);
    };
    const post = (body: Buffer, headers: Record<string, string> = {}): Promise<Http2Response> =>
      responseOf(
        session.request({
          ':method': 'POST',
          ':path': CHECK.path,
          'content-type': 'application/grpc',
          te: 'trailers',
          ...headers,
        }),
        body,
      );
    const statusOf = async (body: Buffer): Promise<number> => {
      const { headers, trailers } = await post(body);
      return Number(trailers['grpc-status'] ?? headers['grpc-status']);
    };
    t.equal(await statusOf(framed(0)), Status.OK);
    t.equal(await statusOf(framed(1)), Status.UNIMPLEMENTED, 'compressed');
    t.equal(await statusOf(framed(2)), Status.INTERNAL);
    t.equal(await statusOf(framed(0, message.length - 1)), Status.INTERNAL);
    t.equal(await statusOf(framed(0, message.length + 1)), Status.INTERNAL);
    t.equal(await statusOf(Buffer.concat([framed(0), framed(0)])), Status.INTERNAL, 'two messages');
    t.equal(await statusOf(Buffer.alloc(0)), Status.INTERNAL);
    t.equal(await statusOf(Buffer.from([0, 0, 0])), Status.INTERNAL);
    t.match(await post(framed(0), { 'content-type': 'application/grpc+proto' }), { status: 200 });
    for (const type of ['application/json', 'application/grpc+json', 'application/grpc-web', ''])
      t.match(await post(framed(0), { 'content-type': type }), { status: 415, code: 'not_grpc' }, type);
    t.match(await post(framed(0), { ':method': 'PUT' }), { status: 415, code: 'not_grpc' });
    const http1 = { method: 'POST', headers: ['content-type', 'application/grpc'], body: framed(0) };
    t.match(await send(`http://127.0.0.1:${scene.port}`, CHECK.path, http1), {
      status: 415,
      problem: { code: 'not_grpc' },
    });
  });

  t.test('the public keys of assertions are there, by either version of HTTP', async (t) => {
    const path = '/.well-known/sallyport/jwks.json';
    const { status, body } = await send(`http://127.0.0.1:${scene.port}`, path);
    t.equal(status, 200);
    t.match(JSON.parse(body), { keys: [{ kty: 'OKP', d: undefined }] });
    t.match(await ask({ path }), { status: 404, code: 'no_route' }, 'but an original request is one');
  });

  t.test('it responds to health checks of gRPC', async (t) => {
    const service = Buffer.from('envoy.service.auth.v3.Authorization');
    const named = Buffer.concat([Buffer.from([0x0a, service.length]), service]);
    for (const message of [Buffer.alloc(0), named])
      t.match(await asker.call(HEALTH, message), { code: Status.OK, bytes: Buffer.from([0x08, 1]) });
    t.equal((await asker.call(HEALTH, Buffer.from([0x0a, 1, 0x78]))).code, Status.NOT_FOUND);
    const large = Buffer.alloc(4 * 1024, 0x61);
    t.equal(
      (await asker.call(HEALTH, Buffer.concat([Buffer.from([0x0a, 0x80, 0x20]), large]))).code,
      Status.RESOURCE_EXHAUSTED,
      'those who may not ask for decisions fill no memory',
    );
    t.equal((await asker.call(HEALTH.replace('Check', 'Watch'), named)).code, Status.UNIMPLEMENTED);
  });

  t.test('many questions at a time on one connection get each its own answer', async (t) => {
    const outcomes = await Promise.all(
      Array.from({ length: 300 }, async (_, index) => {
        const token = index % 3 === 0 ? mint(key, claimsOf({ sub: `user-${index}` })) : '';
        const headers = token === '' ? [] : bearer(token);
        const { status, upstream } = await ask({ path: '/orders', headers });
        return token === '' ? status === 401 : status === 200 && upstream['x-user-id'] === `user-${index}`;
      }),
    );
    t.ok(outcomes.every((isRight) => isRight));
  });

  t.test(`messages with random bytes never pass a guarded path (seed ${SEED})`, async (t) => {
    const random = new SeededRandom(SEED);
    const messages = [
      checkRequestOf({ path: '/orders', headers: bearer(good) }),
      checkRequestOf({ path: '/orders', headers: bearer(forged), raw: true }),
    ].map((request) => CHECK.requestSerialize(request));
    const seen = new Map<number, number>();
    const tryOne = async (run: number): Promise<void> => {
      const message = Buffer.from(messages[run % 2] ?? []);
      for (let edits = 1 + random.below(4); edits > 0; edits--)
        message[random.below(message.length)] = random.below(256);
      const cut = message.subarray(0, run % 5 === 0 ? random.below(message.length) : message.length);
      const { code, response } = await asker.call(CHECK.path, cut);
      seen.set(code, (seen.get(code) ?? 0) + 1);
      const passes = code === 0 && (response?.status?.code ?? 0) === 0;
      // Without its token, or with a forged one, nothing passes: also where the bytes that changed do not matter.
      if (passes && (run % 2 === 1 || !cut.includes(good))) t.fail(`run ${run}: ${cut.toString('hex')}`);
      if (![Status.OK, Status.INTERNAL].includes(code)) t.fail(`run ${run}: ${code}`);
      if (code === 0 && !response?.ok_response && !response?.denied_response) t.fail(`run ${run}: empty`);
    };
    await Promise.all(Array.from({ length: RUNS }, (_, run) => tryOne(run)));
    t.comment(JSON.stringify([...seen]));
    t.equal(upstream.seen.length, 0, 'a decision listener forwards nothing');
  });
});

t.test('only trusted peers may ask, and others learn nothing', async (t) => {
  for (const peers of [['10.0.0.0/8'], []]) {
    const { asker, gateway } = await start(t, {}, { peers });
    const { code, response } = await asker.check(checkRequestOf({ path: '/public' }));
    t.equal(code, Status.PERMISSION_DENIED);
    t.equal(response, undefined);
    t.equal((await asker.call(HEALTH, Buffer.alloc(0))).code, Status.OK, 'health is for all');
    await until(() => gateway.log.some(({ error }) => error === 'peer_not_trusted'));
  }
});

t.test('a proxy that gives up before the decision harms nothing', async (t) => {
  const waiting: (() => void)[] = [];
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  const slow = await startUpstream(t, (_request, response) => {
    waiting.push(() => response.setHeader('content-type', 'application/json').end('{"active":true}'));
    resolve();
  });
  const { asker, gateway } = await start(t, {
    issuers: {
      login: loginIssuer(key),
      gone: {
        introspection: { url: slow.url, client_id: 'x', client_secret: 'y' },
        audiences: ['https://api.example.com'],
      },
    },
  });
  const original = checkRequestOf({ path: '/opaque', headers: bearer('opaque-token') });
  const given = asker.check(original, { deadline: Date.now() + 300 });
  await asked;
  t.equal((await given).code, Status.DEADLINE_EXCEEDED);
  for (const respond of waiting) respond();
  await until(() => gateway.log.some(({ status }) => status === 499));
  t.equal((await asker.ask({ path: '/public' })).status, 200, 'on the same connection');
  t.equal(gateway.instance.inFlight.count, 0);
});

t.test('H19 a message that does not come is no decision, and the call ends', async (t) => {
  const clock = new ManualClock();
  const { gateway, port } = await start(t, {}, { clock });
  const session = connect(`http://127.0.0.1:${port}`);
  t.teardown(() => session.destroy());
  const head = { ':method': 'POST', ':path': CHECK.path, 'content-type': 'application/grpc' };
  const slow = session.request(head, { endStream: false });
  slow.write(Buffer.from([0, 0, 0]));
  await until(() => gateway.instance.inFlight.count === 1);
  clock.advance(11_000);
  const [headers] = (await once(slow, 'response')) as [Record<string, unknown>];
  t.equal(Number(headers['grpc-status']), Status.DEADLINE_EXCEEDED);
});

t.test('above limits.in_flight a question is decided: 503, with Retry-After', async (t) => {
  const { asker, gateway } = await start(t, { limits: { in_flight: 1 } });
  gateway.instance.inFlight.count = 1;
  const outcome = await asker.ask({ path: '/public' });
  t.match(outcome, { status: 503, code: 'overloaded', headers: { 'retry-after': '1' } });
  gateway.instance.inFlight.count = 0;
  t.equal((await asker.ask({ path: '/public' })).status, 200);
});

t.test('V8 while the revocation list is too old, a question with a token is decided: 503', async (t) => {
  const redis = await startRedis(t);
  const clock = new ManualClock();
  const { asker, gateway } = await start(
    t,
    { revocation: { store: redis.url, max_view_age: '30s' } },
    { clock },
  );
  const question = { path: '/orders', headers: bearer(good) };
  t.equal((await asker.ask(question)).status, 200);
  await redis.kill();
  await until(() => !gateway.instance.view.connected);
  t.equal((await asker.ask(question)).status, 200, 'the view serves');
  clock.advance(31_000);
  const { code, response } = await asker.check(checkRequestOf(question));
  t.equal(code, Status.OK, 'a decision, and no error of the call');
  t.equal(response?.status?.code, Status.UNAVAILABLE);
  t.match(await asker.ask(question), {
    status: 503,
    code: 'revocation_unavailable',
    headers: { 'retry-after': /^\d+$/ },
    upstream: {},
  });
  t.equal((await asker.ask({ path: '/public' })).status, 200);
});

t.test('a gateway that drains says so to health checks, and still decides', async (t) => {
  const { asker, gateway } = await start(t, { timeouts: { drain_delay: '1s', drain: '1s' } });
  const notServing = Buffer.from([0x08, 2]);
  t.equal((await asker.ask({ path: '/public' })).status, 200);
  const stopped = gateway.stop();
  t.strictSame((await asker.call(HEALTH, Buffer.alloc(0))).bytes, notServing);
  t.equal((await asker.ask({ path: '/public' })).status, 200);
  await stopped;
});

t.test('over TLS it speaks HTTP/2 as well', async (t) => {
  const folder = temporaryFolder(t);
  const authority = certificateAuthority(folder);
  authority.issue('server', 'DNS:localhost', 'IP:127.0.0.1');
  const gateway = await startGateway(
    t,
    {
      listeners: [
        {
          ...{ host: '127.0.0.1', port: 0, serve: 'decisions', dialect: 'ext_authz' },
          trusted_peers: ['127.0.0.1'],
          tls: { cert_file: 'server.crt', key_file: 'server.key' },
        },
      ],
      issuers: { login: loginIssuer(key) },
      routes: ROUTES.filter(({ name }) => name === 'public'),
      upstreams: { u: { targets: [upstream.url] } },
    },
    { folder },
  );
  const channel = credentials.createSsl(readFileSync(authority.ca));
  const asker = startAsker(t, gateway.port, channel, 'localhost');
  t.equal((await asker.ask({ path: '/public' })).status, 200);
});

/** One of these, or of these joined. */
const PARTS = {
  methods: ['GET', 'GET', 'GET', 'GET', 'POST', 'POST', 'OPTIONS', 'DELETE', 'HEAD', 'TRACE', 'X-OWN'],
  hosts: [
    HOST,
    HOST,
    HOST,
    HOST,
    HOST,
    'API.Example.com.',
    `${HOST}:443`,
    `${HOST}:80`,
    'other.example',
    'a b',
    `${HOST}..`,
  ],
  paths: [
    ...['/orders', '/orders/2', '/orders/3', '/mixed/x', '/mixed', '/public/1', '/kept/2', '/opaque/1'],
    ...['/orders/4', '/mixed/5', '/opaque/2', '/versioned', '/files/a', '/files/b', '/public'],
    ...['/orders', '/orders/1', '/orders/', '/ordersx', '/public', '/mixed/x', '/kept', '/files/a%2Fb'],
    ...['/public/../orders', '/public/%2e%2e/orders', '//public', '/public//x', '/orders;x=1', '/%6frders'],
    ...[
      '/versioned',
      '/opaque',
      '/public%2Forders',
      '/public/\\x',
      '/pub%lic',
      '/orders%00',
      '/%c0%ae/orders',
    ],
  ],
  queries: ['', '', '', '', '', '', '?a=b', '?access_token=x', '?a=/../x'],
  fields: [
    ...[
      ['X-User-Id', 'root'],
      ['X_User_Id', 'root'],
      ['X.Tenant', 'root'],
      ['X-Email', 'root'],
    ],
    ...[
      ['X-Version', '2'],
      ['x-version', '3'],
      ['Connection', 'X-User-Id, close'],
      ['Cookie', 'a=b'],
    ],
    ...[
      ['Origin', 'https://app.example.com'],
      ['Origin', 'https://evil.example'],
    ],
    ...[
      ['Access-Control-Request-Method', 'POST'],
      ['X-Request-Id', 'an-id'],
      ['Via', '1.1 test'],
    ],
    ...[
      ['DPoP', 'x'],
      ['TE', 'trailers'],
      ['Upgrade', 'websocket'],
      ['Expect', '100-continue'],
    ],
    ...[
      ['Authorization', 'Basic eDp5'],
      ['Authorization', ''],
      ['Authorization', 'Bearer'],
      ['Authorization', 'Bearer a b'],
    ],
  ] as [string, string][],
};

interface Request {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly headers: readonly string[];
}

t.test(`it decides as the dialect forwarded does, for generated requests (seed ${SEED})`, async (t) => {
  const { asker, forwardedUrl } = await start(t);
  const random = new SeededRandom(SEED);
  const tokens = [
    ...[good, mint(key, claimsOf({ scope: 'other' })), mint(key, claimsOf({ exp: 1 }))],
    ...[mint(createKey('EdDSA', key.kid)), 'opaque', mint(key, claimsOf({ email: 'ä@x', sub: 'a,b' }))],
  ];
  const statuses = new Map<number, number>();
  /** First of all: one for each status, whatever the seed. */
  const certain: Request[] = [
    { method: 'GET', host: HOST, path: '/orders', headers: bearer(good) },
    { method: 'GET', host: HOST, path: '/public/../orders', headers: [] },
    { method: 'GET', host: HOST, path: '/orders', headers: [] },
    { method: 'GET', host: HOST, path: '/ordersx', headers: [] },
  ];
  const anyRequest = (): Request => {
    const headers = Array.from({ length: random.below(5) }, () => random.of(PARTS.fields)).flat();
    for (let credentials = random.below(8); credentials > 2; credentials -= 4)
      headers.push(...bearer(random.of(tokens)));
    const [method, host] = [random.of(PARTS.methods), random.of(PARTS.hosts)];
    return { method, host, path: random.of(PARTS.paths) + random.of(PARTS.queries), headers };
  };
  const compare = async (run: number): Promise<void> => {
    const { method, host, path, headers } = certain[run] ?? anyRequest();
    const name = JSON.stringify({ run, method, host, path, headers });
    const forwarded = await send(forwardedUrl, '/', {
      headers: [
        ...['X-Forwarded-Method', method, 'X-Forwarded-Proto', 'https', 'X-Forwarded-Host', host],
        ...['X-Forwarded-Uri', path, ...headers],
      ],
    });
    statuses.set(forwarded.status, (statuses.get(forwarded.status) ?? 0) + 1);
    const raw = await asker.ask({ method, host, path, headers, raw: true });
    if (raw.status !== forwarded.status || raw.code !== forwarded.problem.code)
      t.fail(`${name}: ${raw.status} ${raw.code}, and not ${forwarded.status} ${forwarded.problem.code}`);
    const joined = await asker.ask({ method, host, path, headers });
    // Fields that Envoy has joined may be refused for another reason, and never pass instead.
    if ((joined.status === 200) !== (forwarded.status === 200)) t.fail(`${name}, joined: ${joined.status}`);
    if (forwarded.status !== 200) return;
    for (const { upstream } of [raw, joined])
      for (const identity of [
        'x-user-id',
        'x-client-id',
        'x-scopes',
        'x-token-issuer',
        'x-email',
        'x-tenant',
      ])
        if ((upstream[identity] ?? '') !== forwarded.headers[identity])
          t.fail(
            `${name}: ${identity} is ${upstream[identity]}, and not ${String(forwarded.headers[identity])}`,
          );
  };
  for (let run = 0; run < RUNS; run += 20)
    await Promise.all(Array.from({ length: 20 }, (_, index) => compare(run + index)));
  t.comment(JSON.stringify([...statuses]));
  for (const status of [200, 400, 401, 404]) t.ok(statuses.has(status), `${status} was among them`);
});

t.test('none of all these listeners has forwarded anything', async (t) => {
  t.strictSame(upstream.seen, [], 'the upstream saw nothing');
});

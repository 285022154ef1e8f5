/** Where a standard names one content type, what is nearly that type is refused. Rules A2, I7, K4. */
import t from 'tap';
import { send } from '../support/client.ts';
import { ADMIN_TOKEN, loginIssuer, startGateway } from '../support/gateway.ts';
import { claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';

const key = createKey('EdDSA');
const upstream = await startUpstream(t);

const NEAR_JSON: readonly (readonly string[])[] = [
  ...[
    'application/ld+json',
    'application/problem+json',
    'application/merge-patch+json',
    'application/x+json',
  ],
  ...['application/json5', 'application/jsonp', 'application/x-json', 'text/json', 'json', 'text/plain'],
  ...['application/json, text/plain', 'application/json text/plain', '\u00a0application/json'],
].map((type) => [type]);

t.test(
  'A2 the admin API takes application/json alone; nothing is revoked by a body of another type',
  async (t) => {
    const gateway = await startGateway(t, {
      issuers: { login: loginIssuer(key) },
      routes: [{ name: 'all', match: {}, upstream: 'u' }],
      upstreams: { u: { targets: [upstream.url] } },
    });
    const token = mint(key);
    const post = async (path: string, types: readonly string[], body: string): Promise<number> =>
      (
        await send(gateway.adminUrl, path, {
          method: 'POST',
          token: ADMIN_TOKEN,
          headers: types.flatMap((type) => ['Content-Type', type]),
          body,
        })
      ).status;
    const body = JSON.stringify({ token });
    const form = 'application/x-www-form-urlencoded';
    const wrong = [
      ...NEAR_JSON,
      [],
      [form],
      ['application/json', 'text/plain'],
      ['text/plain', 'application/json'],
    ];
    for (const types of wrong) t.equal(await post('/v1/revocations', types, body), 415, types.join(' and '));
    for (const types of [
      ['application/json'],
      [`${form}x`],
      [`${form}+json`],
      [`${form}, ${form}`],
      [form, form],
    ])
      t.equal(await post('/v1/revoke', types, `token=${token}`), 415, types.join(' and '));
    t.equal((await send(gateway.url, '/', { token })).status, 200, 'it is not revoked');
    t.equal(await post('/v1/revocations', ['Application/JSON ; charset=utf-8'], body), 201);
    t.equal((await send(gateway.url, '/', { token })).status, 401);
  },
);

t.test('I7 an introspection response of another type is an outage', async (t) => {
  let types: readonly string[] = [];
  const server = await startServer(t, (_request, response) => {
    response.writeHead(
      200,
      types.flatMap((type) => ['Content-Type', type]),
    );
    response.end(JSON.stringify({ active: true, sub: 'alice', data: { sub: 'alice' } }));
  });
  for (types of [...NEAR_JSON, ['application/json', 'text/html'], ['application/json']]) {
    const gateway = await startGateway(t, {
      issuers: {
        standard: { introspection: { url: server, client_id: 'gateway', client_secret: 'x' } },
        other: { validation: { url: server, claims: '/data' } },
      },
      routes: ['standard', 'other'].map((name) => ({
        name,
        match: { path_prefix: `/${name}` },
        upstream: 'u',
        auth: { issuers: [name] },
      })),
      upstreams: { u: { targets: [upstream.url] } },
    });
    const before = upstream.seen.length;
    const name = types.join(' and ');
    const exact = name === 'application/json';
    t.equal((await send(gateway.url, '/standard', { token: 'good' })).status, exact ? 200 : 503, name);
    t.equal(upstream.seen.length, exact ? before + 1 : before);
    // It follows no standard that names one type.
    const isJson = exact || name.endsWith('+json');
    t.equal((await send(gateway.url, '/other', { token: 'good' })).status, isJson ? 200 : 503, name);
    await gateway.stop();
  }
});

t.test('K4 metadata of another type names no key set', async (t) => {
  let type = '';
  const asked: string[] = [];
  const server = await startServer(t, (request, response) => {
    asked.push(request.url ?? '');
    const isMetadata = request.url?.includes('.well-known') === true;
    response.writeHead(200, { 'content-type': isMetadata ? type : 'application/jwk-set+json' });
    response.end(
      JSON.stringify(isMetadata ? { issuer: server, jwks_uri: `${server}/jwks` } : { keys: [key.jwk] }),
    );
  });
  for (type of ['application/ld+json', 'application/json5', 'text/plain', 'application/json;charset=utf-8']) {
    asked.length = 0;
    const gateway = await startGateway(t, {
      issuers: { login: { issuer: server, discovery: true, audiences: ['https://api.example.com'] } },
      routes: [{ name: 'all', match: {}, upstream: 'u' }],
      upstreams: { u: { targets: [upstream.url] } },
    });
    const exact = type.startsWith('application/json;');
    const { status } = await send(gateway.url, '/', { token: mint(key, claimsOf({ iss: server })) });
    t.equal(status, exact ? 200 : 503, type);
    t.equal(asked.includes('/jwks'), exact, type);
    await gateway.stop();
  }
});

t.test('a logout takes a form alone', async (t) => {
  const gateway = await startGateway(t, {
    issuers: {
      login: {
        ...loginIssuer(key),
        backchannel_logout: { host: 'gw.example', path: '/logout', client_ids: ['app'] },
      },
    },
    routes: [{ name: 'all', match: {}, upstream: 'u' }],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const { iss, iat, exp, jti } = claimsOf();
  const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
  const claims = { iss, iat, exp, jti, aud: 'app', sub: 'alice', events };
  const body = `logout_token=${mint(key, claims, { typ: 'logout+jwt' })}`;
  const token = mint(key);
  const post = async (...types: string[]): Promise<number> =>
    (
      await send(gateway.url, '/logout', {
        method: 'POST',
        headers: ['Host', 'gw.example', ...types.flatMap((type) => ['Content-Type', type])],
        body,
      })
    ).status;
  const form = 'application/x-www-form-urlencoded';
  for (const types of [
    [],
    ['application/json'],
    [`${form}+json`],
    [form, 'text/plain'],
    [form, form],
    [`${form}, x`],
  ])
    t.equal(await post(...types), 400, types.join(' and '));
  t.equal((await send(gateway.url, '/', { token })).status, 200, `${ISSUER}: nothing is revoked`);
  t.equal(await post(`${form};charset=utf-8`), 200);
  t.equal((await send(gateway.url, '/', { token })).status, 401);
});

/**
 * The metadata of protected resources (RFC 9728) on the public listeners: what clients read, where it is, and that it hides no
 * route. Rules P1, P2, B12, C10, C22.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRemoteJWKSet, importJWK, jwtVerify } from 'jose';
import { customFetch, processResourceDiscoveryResponse, resourceDiscoveryRequest } from 'oauth4webapi';
import t, { type Test } from 'tap';
import { parseConfiguration } from '../../src/config/load.ts';
import { identityObject, readIdentity } from '../../packages/identity/src/index.ts';
import { send, type Response as Received, type SendOptions } from '../support/client.ts';
import { sallyport } from '../support/command.ts';
import { advance, loginIssuer, startGateway, withTestPorts, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { noNginx, startNginx } from '../support/nginx.ts';
import { temporaryFolder } from '../support/process.ts';
import { claimsOf, createKey, ISSUER, mint, type SigningKey } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const HOST = 'api.example.com';
const WELL_KNOWN = '/.well-known/oauth-protected-resource';
const MCP = `https://${HOST}/mcp`;
const key = createKey('ES256');
const upstream = await startUpstream(t);

const route = (path: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  name: path.replace(/\W+/g, '-').replace(/^-/, '') || 'root',
  match: { path_prefix: path },
  upstream: 'u',
  ...more,
});
const mcp = { public_url: MCP, resource: { name: 'Tools', documentation: 'https://docs.example.com/' } };

function configuration(
  routes: readonly object[],
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    issuers: { login: loginIssuer(key) },
    routes,
    upstreams: { u: { targets: [upstream.url] } },
    ...more,
  };
}

const ROUTES = [
  route('/mcp', { ...mcp, auth: { scopes: ['mcp:read'] } }),
  route('/mcp/tools', {
    public_url: MCP,
    resource: true,
    auth: { scopes: { any: ['tools:b', 'tools:a'] }, any_of: [{ scopes: ['mcp:read', 'admin'] }] },
  }),
  route('/', { public_url: `https://${HOST}`, resource: true }),
  route('/other', { auth: { mode: 'none' } }),
];

type Ask = (path?: string, options?: SendOptions) => Promise<Received>;
const asking =
  ({ url }: Pick<TestGateway, 'url'>, host = HOST): Ask =>
  (path = `${WELL_KNOWN}/mcp`, { headers = [], ...options } = {}) =>
    send(url, path, {
      ...options,
      headers: [...(headers.includes('Host') ? [] : ['Host', host]), ...headers],
    });

const json = (response: Received): Record<string, unknown> => {
  if (response.status !== 200) throw new Error(`${response.status}`);
  return JSON.parse(response.body) as Record<string, unknown>;
};

async function documentOf(t: Test, routes: readonly object[], more?: Record<string, unknown>, path?: string) {
  const gateway = await startGateway(t, configuration(routes, more));
  const document = json(await asking(gateway)(path));
  await gateway.stop();
  return document;
}

t.test('P1 one document tells what the routes of a resource ask, and where tokens come from', async (t) => {
  const gateway = await startGateway(t, configuration(ROUTES));
  const ask = asking(gateway);
  const seen = upstream.seen.length;
  const response = await ask();
  t.equal(response.headers['content-type'], 'application/json');
  t.strictSame(json(response), {
    resource: MCP,
    authorization_servers: [ISSUER],
    scopes_supported: ['admin', 'mcp:read', 'tools:a', 'tools:b'],
    bearer_methods_supported: ['header'],
    resource_name: 'Tools',
    resource_documentation: 'https://docs.example.com/',
  });
  const root = {
    resource: `https://${HOST}`,
    authorization_servers: [ISSUER],
    bearer_methods_supported: ['header'],
  };
  t.strictSame(json(await ask(WELL_KNOWN)), root, 'a resource without path');
  t.strictSame(json(await ask(`${WELL_KNOWN}/`)), root);
  t.equal(upstream.seen.length, seen, 'no upstream was asked');
  t.match(gateway.log.at(-1), { msg: 'request', route: 'unmatched', status: 200, auth: undefined });
  const series = 'sallyport_http_requests_total{route="unmatched",method="GET",code="200",source="gateway"}';
  t.equal(await gateway.metric(series), 3);
});

t.test('P1 nothing of a document comes from the request', async (t) => {
  const gateway = await startGateway(t, configuration(ROUTES, { trusted_proxies: ['127.0.0.1'] }));
  const ask = asking(gateway);
  const { body } = await ask();
  const headers = [
    ...['X-Forwarded-Host', 'evil.example', 'X-Forwarded-Proto', 'http', 'X-Forwarded-Prefix', '/evil'],
    ...['Forwarded', 'host=evil.example', 'Origin', 'https://evil.example', 'Accept', 'text/html'],
  ];
  for (const [path, options] of [
    [`${WELL_KNOWN}/mcp?resource=https://evil.example`, {}],
    [`${WELL_KNOWN}/mcp`, { headers }],
    [`${WELL_KNOWN}/mcp`, { headers: ['Host', 'API.example.COM.:8443'] }],
    [`${WELL_KNOWN}/mcp`, { token: mint(key) }],
    [`${WELL_KNOWN}/mcp`, { token: 'not-a-token' }],
  ] as const) {
    const response = await ask(path, options);
    t.match(response, { status: 200, body }, path);
    t.notMatch(JSON.stringify(response.rawHeaders), 'evil');
  }
  t.match(await ask(`${WELL_KNOWN}/mcp`, { headers: ['Host', 'evil.example'] }), {
    status: 404,
    problem: { code: 'no_resource_metadata' },
  });
});

t.test('P2 the well-known path and all below it are the gateway’s, and nothing else is', async (t) => {
  const gateway = await startGateway(t, configuration(ROUTES));
  const ask = asking(gateway);
  const token = mint(key, claimsOf({ aud: `https://${HOST}` }));
  const seen = upstream.seen.length;
  for (const path of ['/x', '/mcp/tools', '/mcp//', '/%6dcp', '/../mcp']) {
    const response = await ask(`${WELL_KNOWN}${path}`, { token });
    t.match(response, { status: 404, problem: { code: 'no_resource_metadata' } }, path);
    t.equal(response.headers['access-control-allow-origin'], '*', 'a script sees that there is none');
  }
  t.equal(upstream.seen.length, seen);
  for (const path of [
    '/.well-known',
    '/.well-known/oauth-protected-resources',
    `/x${WELL_KNOWN}/mcp`,
    '/a%20b',
  ])
    t.equal((await ask(path, { token })).status, 200, path);
  t.equal(upstream.seen.length, seen + 4, 'these are requests like any other');
});

t.test('P2 without a resource the path is one like any other', async (t) => {
  const gateway = await startGateway(t, configuration([route('/')]));
  const token = mint(key);
  for (const path of [WELL_KNOWN, `${WELL_KNOWN}/mcp`])
    t.equal((await asking(gateway)(path, { token })).body, 'ok');
});

t.test('P2 C10 a path that can be read as a well-known one is refused', async (t) => {
  const gateway = await startGateway(t, configuration(ROUTES));
  const token = mint(key, claimsOf({ aud: `https://${HOST}` }));
  const seen = upstream.seen.length;
  for (const path of [
    '/.well-known/oauth%2Dprotected-resource',
    '/.well-known/oauth-protected-resource%2fmcp',
    '/.well-known/oauth-protected-resource;v=1/mcp',
    '/.well-known//oauth-protected-resource/mcp',
    '/%2ewell-known/oauth-protected-resource/mcp',
    '/%252ewell-known/oauth-protected-resource/mcp',
    '/x/../.well-known/oauth-protected-resource/mcp',
  ])
    t.match(await asking(gateway)(path, { token }), { status: 400, problem: { code: 'bad_path' } }, path);
  t.equal(upstream.seen.length, seen);
});

t.test('caches may keep a document for a minute, and ask whether it has changed', async (t) => {
  const gateway = await startGateway(t, configuration(ROUTES));
  const ask = asking(gateway);
  const { headers } = await ask();
  t.match(headers, { 'cache-control': 'public, max-age=60', 'access-control-allow-origin': '*' });
  const { etag = '' } = headers;
  const known = await ask(`${WELL_KNOWN}/mcp`, { headers: ['If-None-Match', etag] });
  t.match(known, { status: 304, body: '' });
  t.match(known.headers, { etag, 'access-control-allow-origin': '*' });
  const head = await ask(`${WELL_KNOWN}/mcp`, { method: 'HEAD' });
  t.match(head, { status: 200, body: '' });
  t.match(head.headers, { etag, 'content-length': headers['content-length'] });
});

t.test('a script of any page may read it, with headers of its own', async (t) => {
  const gateway = await startGateway(t, configuration(ROUTES));
  for (const path of ['/mcp', '/unknown']) {
    const response = await asking(gateway)(`${WELL_KNOWN}${path}`, {
      method: 'OPTIONS',
      headers: [
        ...['Origin', 'https://app.example.com', 'Access-Control-Request-Method', 'GET'],
        ...['Access-Control-Request-Headers', 'mcp-protocol-version'],
      ],
    });
    t.match(response, { status: 204, body: '' });
    t.match(response.headers, {
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET, HEAD',
      'access-control-allow-headers': '*, Authorization',
      'access-control-allow-credentials': undefined,
    });
  }
});

t.test('B12 other methods are 405', async (t) => {
  const gateway = await startGateway(t, configuration(ROUTES));
  const seen = upstream.seen.length;
  for (const method of ['POST', 'PUT', 'DELETE']) {
    const response = await asking(gateway)(`${WELL_KNOWN}/mcp`, { method });
    t.match(response, { status: 405, problem: { code: 'method_not_allowed' } }, method);
    t.equal(response.headers.allow, 'GET, HEAD, OPTIONS');
  }
  t.equal(upstream.seen.length, seen);
});

t.test('the identifier may be that of the listener, and ports tell two resources apart', async (t) => {
  const listeners = [{ host: '127.0.0.1', port: 0, public_url: `https://${HOST}/v1` }];
  const prefixed = await startGateway(t, configuration([route('/mcp', { resource: true })], { listeners }));
  const resourceAt = async (gateway: TestGateway, path: string, host: string): Promise<unknown> =>
    json(await asking(gateway, host)(`${WELL_KNOWN}${path}`))['resource'];
  t.equal(await resourceAt(prefixed, '/v1', HOST), `https://${HOST}/v1`);
  t.equal(await resourceAt(prefixed, '/v1', `${HOST}:7777`), `https://${HOST}/v1`, 'a proxy may change it');
  t.equal(
    (await asking(prefixed)('/mcp')).headers['www-authenticate'],
    `Bearer realm="test", resource_metadata="https://${HOST}${WELL_KNOWN}/v1"`,
  );
  const two = await startGateway(
    t,
    configuration([
      route('/a', { public_url: 'https://x.example/a', resource: true }),
      route('/a/b', { public_url: 'https://x.example:8443/a', resource: true }),
    ]),
  );
  t.equal(await resourceAt(two, '/a', 'x.example'), 'https://x.example/a');
  t.equal(await resourceAt(two, '/a', 'x.example:8443'), 'https://x.example:8443/a');
});

t.test('the authorization servers are those of the configuration, else those of the issuers', async (t) => {
  const issuers = {
    login: loginIssuer(key),
    numbered: { ...loginIssuer(key), issuer: 'shared' },
    tenants: {
      ...loginIssuer(key),
      issuer: 'https://sso.example.com/{tenant}/v2.0',
      tenants: ['one', 'two'],
      claim_names: { tenant: 'tid' },
    },
    opaque: {
      issuer: 'https://opaque.example.com',
      introspection: { url: 'https://opaque.example.com/i', client_id: 'g', client_secret: 's' },
    },
  };
  const servers = async (resource: unknown, auth: object = {}): Promise<unknown> => {
    const routes = [route('/mcp', { public_url: MCP, resource, auth }), route('/x')];
    return (await documentOf(t, routes, { issuers }))['authorization_servers'];
  };
  const tenants = ['https://sso.example.com/one/v2.0', 'https://sso.example.com/two/v2.0'];
  t.strictSame(await servers(true), [ISSUER, ...tenants]);
  t.strictSame(await servers(true, { issuers: ['opaque', 'login'] }), ['https://opaque.example.com', ISSUER]);
  t.strictSame(await servers({ authorization_servers: ['https://as.example/'] }), ['https://as.example/']);
});

t.test('what a resource asks of proofs and certificates is told', async (t) => {
  const members = async (auths: readonly object[], more: Record<string, unknown> = {}) => {
    const routes = auths.map((auth, index) =>
      route(index === 0 ? '/mcp' : '/mcp/b', { public_url: MCP, resource: true, auth }),
    );
    return documentOf(t, routes, more);
  };
  const [optional, required] = [{ sender_constrained: 'optional' }, { sender_constrained: 'required' }];
  const names = [
    'dpop_signing_alg_values_supported',
    'dpop_bound_access_tokens_required',
    'tls_client_certificate_bound_access_tokens',
  ] as const;
  const told = (document: Record<string, unknown>): unknown[] => names.map((name) => document[name]);
  const algorithms = { dpop: { algorithms: ['ES256', 'EdDSA'] } };
  t.strictSame(told(await members([{}], algorithms)), [undefined, undefined, undefined]);
  t.strictSame(told(await members([{}, optional], algorithms)), [['ES256', 'EdDSA'], undefined, undefined]);
  t.strictSame(told(await members([required, {}], algorithms)), [['ES256', 'EdDSA'], undefined, undefined]);
  t.strictSame(told(await members([required, required], algorithms)), [['ES256', 'EdDSA'], true, undefined]);
});

const privateJwk = ({ kid, privateKey }: SigningKey): object => ({
  ...privateKey.export({ format: 'jwk' }),
  kid,
});

t.test('the challenges of a refusal lead to it, also where another proxy asks for a decision', async (t) => {
  const listeners = [
    { host: '127.0.0.1', port: 0 },
    { host: '127.0.0.1', port: 0, serve: 'decisions', dialect: 'original', trusted_peers: ['127.0.0.1'] },
  ];
  const gateway = await startGateway(t, configuration(ROUTES, { listeners }));
  const challenge = async (index: number, token?: string): Promise<unknown[]> => {
    const ask = asking({ url: `http://127.0.0.1:${gateway.instance.listeners[index]?.address.port}` });
    const original = ['X-Original-Method', 'GET', 'X-Original-URI', '/mcp'];
    const { status, headers } = await ask('/mcp', {
      headers: index === 0 ? [] : original,
      ...(token === undefined ? {} : { token }),
    });
    return [status, headers['www-authenticate']];
  };
  const metadata = `resource_metadata="https://${HOST}${WELL_KNOWN}/mcp"`;
  for (const index of [0, 1]) {
    t.strictSame(await challenge(index), [401, `Bearer realm="test", scope="mcp:read", ${metadata}`]);
    t.strictSame(await challenge(index, mint(key)), [
      401,
      `Bearer realm="test", error="invalid_token", scope="mcp:read", ${metadata}`,
    ]);
    t.strictSame(await challenge(index, mint(key, claimsOf({ aud: MCP }))), [
      403,
      `Bearer realm="test", error="insufficient_scope", scope="mcp:read", ${metadata}`,
    ]);
  }
});

t.test('a reload changes the documents at once', async (t) => {
  const folder = temporaryFolder(t);
  const gateway = await startGateway(t, configuration(ROUTES), { folder });
  const ask = asking(gateway);
  const { etag } = (await ask()).headers;
  const routes = [route('/mcp', { public_url: MCP, resource: { name: 'Others' } })];
  const text = JSON.stringify(withTestPorts({ realm: 'test', ...configuration(routes) }));
  const { file } = gateway.loaded;
  await gateway.instance.reload({ file, folder, configuration: parseConfiguration(text, file, folder, {}) });
  const response = await ask(`${WELL_KNOWN}/mcp`, { headers: ['If-None-Match', String(etag)] });
  t.match(json(response), { resource_name: 'Others', scopes_supported: undefined });
  t.equal((await ask(WELL_KNOWN)).status, 404);
});

t.test('signed metadata is signed with the key of assertions, and renewed with it', async (t) => {
  const [older, newer] = [createKey('EdDSA', 'older'), createKey('ES256', 'newer')];
  const folder = temporaryFolder(t);
  const write = (...keys: readonly SigningKey[]): void =>
    writeFileSync(`${folder}/identity.jwk`, JSON.stringify({ keys: keys.map(privateJwk) }));
  write(older);
  const clock = new ManualClock();
  const assertion = {
    key_file: 'identity.jwk',
    publish: { host: '127.0.0.1', path: '/keys' },
    lifetime: '10s',
  };
  const routes = [route('/mcp', { public_url: MCP, resource: { signed_metadata: true } })];
  const gateway = await startGateway(t, configuration(routes, { identity: { assertion } }), {
    folder,
    clock,
  });
  const ask = asking(gateway);
  const signed = async (): Promise<string> => String(json(await ask())['signed_metadata']);
  const verified = async (jwt: string) =>
    jwtVerify(jwt, createRemoteJWKSet(new URL(`${gateway.url}/keys`)), {
      issuer: MCP,
      typ: 'oauth-protected-resource+jwt',
      currentDate: new Date(clock.nowMs()),
    });

  const first = await signed();
  const { payload, protectedHeader } = await verified(first);
  t.match(protectedHeader, { kid: 'older', alg: 'EdDSA' });
  const { signed_metadata: own, ...rest } = json(await ask());
  t.equal(own, first, 'the same document while it lasts');
  t.match(payload, { ...rest, signed_metadata: undefined, aud: undefined, sub: undefined });
  await advance(gateway, clock, 5 * 60_000);
  const second = await signed();
  t.not(second, first, 'renewed before it expires');
  write(newer);
  await gateway.instance.reload(gateway.loaded);
  t.match((await verified(await signed())).protectedHeader, { kid: 'newer', alg: 'ES256' });
  await advance(gateway, clock, 9 * 60_000);
  await t.resolves(verified(second), 'the old key is published while what it has signed is valid');
});

t.test('signed metadata is nothing else: no access token, and no assertion', async (t) => {
  const own = createKey('ES256', 'own');
  const folder = temporaryFolder(t);
  writeFileSync(`${folder}/identity.jwk`, JSON.stringify(privateJwk(own)));
  const jwks = { keys: [own.jwk] };
  for (const token_type of ['at+jwt', 'any', 'id_token']) {
    // An issuer that has the very key, and the identifier as its name.
    const issuers = { self: { issuer: MCP, jwks, token_type, audiences: [MCP] } };
    const routes = [
      route('/mcp', { public_url: MCP, resource: { signed_metadata: true } }),
      route('/plain', { auth: { issuers: ['self'] } }),
    ];
    const more = { issuers, identity: { assertion: { key_file: 'identity.jwk' } } };
    const gateway = await startGateway(t, configuration(routes, more), { folder });
    const token = String(json(await asking(gateway)())['signed_metadata']);
    for (const path of ['/mcp', '/plain']) {
      t.equal((await asking(gateway)(path, { token })).status, 401);
      t.match(gateway.log.at(-1), { auth: { reason: 'wrong_type' } }, token_type);
    }
    const key = await importJWK(own.jwk, 'ES256');
    await t.resolves(jwtVerify(token, key));
    for (const asked of [{ issuer: 'sallyport' }, { audience: 'u' }, { typ: 'sallyport-identity+jwt' }])
      await t.rejects(jwtVerify(token, key, asked), JSON.stringify(asked));
    t.equal(
      readIdentity(() => identityObject(token)),
      undefined,
      'nor is it an identity header',
    );
  }
});

t.test('a client of oauth4webapi finds the metadata by the identifier alone', async (t) => {
  const gateway = await startGateway(t, configuration(ROUTES));
  for (const identifier of [MCP, `https://${HOST}`, `https://${HOST}/`]) {
    const url = new URL(identifier);
    const response = await resourceDiscoveryRequest(url, {
      [customFetch]: async (at: string) => {
        const { host, pathname } = new URL(at);
        const { status, body, headers } = await asking(gateway, host)(pathname);
        return new Response(body, { status, headers: { 'content-type': String(headers['content-type']) } });
      },
    });
    const metadata = await processResourceDiscoveryResponse(url, response);
    t.strictSame(metadata.authorization_servers, [ISSUER], identifier);
  }
});

t.test('the challenge of a refusal leads to the document, on RFC 9728’s own example too', async (t) => {
  // RFC 9728 section 3.1 and 5.1.
  const gateway = await startGateway(
    t,
    configuration([
      route('/', { public_url: 'https://resource.example.com', resource: true }),
      route('/resource1', { public_url: 'https://resource.example.com/resource1', resource: true }),
    ]),
  );
  const ask = asking(gateway, 'resource.example.com');
  for (const [path, where] of [
    ['/', WELL_KNOWN],
    ['/resource1/x', `${WELL_KNOWN}/resource1`],
  ] as const) {
    const { status, headers } = await ask(path);
    const [, url = ''] = /resource_metadata="([^"]+)"/.exec(headers['www-authenticate'] ?? '') ?? [];
    t.equal(status, 401);
    t.equal(url, `https://resource.example.com${where}`);
    t.equal(
      json(await ask(new URL(url).pathname))['resource'],
      `https://resource.example.com${path.replace(/\/x?$/, '')}`,
    );
  }
});

t.test('P2 a decision listener serves documents where no decision is asked for', async (t) => {
  const listeners = ['forwarded', 'original', 'original_url', 'request'].map((dialect) => ({
    ...{ host: '127.0.0.1', port: 0, serve: 'decisions', dialect, trusted_peers: ['127.0.0.1'] },
  }));
  const gateway = await startGateway(t, configuration(ROUTES, { listeners }));
  const at = (index: number): Ask =>
    asking({ url: `http://127.0.0.1:${gateway.instance.listeners[index]?.address.port}` });
  const passedOn = ['X-Forwarded-Host', HOST, 'X-Forwarded-Proto', 'https', 'X-Forwarded-For', '10.0.0.1'];
  for (const index of [0, 1, 2]) {
    t.equal(json(await at(index)(`${WELL_KNOWN}/mcp`, { headers: passedOn }))['resource'], MCP);
    t.match(await at(index)(`${WELL_KNOWN}/x`), { status: 404 }, 'nginx asks nothing here: 404 stays 404');
    t.match(await at(index)(`${WELL_KNOWN}/mcp`, { method: 'POST' }), { status: 405 });
  }
  // A request for a decision about the same path is one like any other.
  const questions = [
    ['X-Forwarded-Method', 'GET', ...passedOn, 'X-Forwarded-Uri', '/mcp'],
    ['X-Original-Method', 'GET', 'X-Original-URI', '/mcp'],
    ['X-Original-Method', 'GET', 'X-Original-URL', `https://${HOST}/mcp`],
    [],
  ];
  for (const [index, headers] of questions.entries())
    t.match(
      await at(index)(index === 3 ? '/mcp' : `${WELL_KNOWN}/mcp`, { headers }),
      { status: 401 },
      `${index}`,
    );
  t.match(
    await at(1)(`${WELL_KNOWN}/mcp`, { headers: ['X-Original-URI', '/mcp'] }),
    { status: 403 },
    'half a question',
  );
  t.match(await at(3)(`${WELL_KNOWN}/mcp`), { status: 401 }, 'of Envoy each request is a question');
});

t.test('P2 a decision listener of gRPC serves them too, since every question is in a message', async (t) => {
  const listener = {
    host: '127.0.0.1',
    port: 0,
    serve: 'decisions',
    dialect: 'ext_authz',
    trusted_peers: ['10.0.0.1'],
  };
  const gateway = await startGateway(t, configuration(ROUTES, { listeners: [listener] }));
  t.equal(json(await asking(gateway)())['resource'], MCP);
  t.match(await asking(gateway)(`${WELL_KNOWN}/x`), {
    status: 404,
    problem: { code: 'no_resource_metadata' },
  });
  t.match(await asking(gateway)(`${WELL_KNOWN}/mcp`, { method: 'PUT' }), { status: 405 });
  t.match(await asking(gateway)('/mcp'), { status: 415 });
});

t.test('nginx hands on what docs/forward-auth.md says', { skip: noNginx }, async (t) => {
  const document = readFileSync(new URL('../../docs/forward-auth.md', import.meta.url), 'utf8');
  const [, location = ''] =
    /```nginx\n(location \/\.well-known\/oauth-protected-resource [^]*?)```/.exec(document) ?? [];
  const listener = {
    host: '127.0.0.1',
    port: 0,
    serve: 'decisions',
    dialect: 'original',
    trusted_peers: ['127.0.0.1'],
  };
  const gateway = await startGateway(t, configuration(ROUTES, { listeners: [listener] }));
  const port = await startNginx(
    t,
    (port) =>
      `upstream sallyport { server 127.0.0.1:${gateway.port}; } server { listen 127.0.0.1:${port}; ${location} location / { return 418; } }`,
  );
  const ask = asking({ url: `http://127.0.0.1:${port}` });
  const spoofed = [
    'X-Original-URI',
    '/other',
    'X-Original-Method',
    'GET',
    'X-Original-URL',
    `https://${HOST}/other`,
  ];
  t.equal(json(await ask())['resource'], MCP);
  t.equal(json(await ask(`${WELL_KNOWN}/mcp`, { headers: spoofed }))['resource'], MCP);
  t.match(await ask(`${WELL_KNOWN}/x`), { status: 404, problem: { code: 'no_resource_metadata' } });
  t.match(await ask(`${WELL_KNOWN}/mcp`, { method: 'OPTIONS' }), { status: 204 });
  t.match(await ask('/mcp'), { status: 418 });
});

t.test('explain and routes show the place, and the audience that a route asks', async (t) => {
  const folder = temporaryFolder(t);
  const file = `${folder}/sallyport.json`;
  writeFileSync(file, JSON.stringify(withTestPorts(configuration(ROUTES))), { mode: 0o600 });
  writeFileSync(`${folder}/token`, mint(key), { mode: 0o600 });
  const explain = (method: string, path: string, ...more: readonly string[]): ReturnType<typeof sallyport> =>
    sallyport(['explain', method, `https://${HOST}${path}`, '-c', file, ...more]);
  t.match(await explain('GET', `${WELL_KNOWN}/mcp`), {
    code: 0,
    out: /metadata of the protected resource https:\/\/api\.example\.com\/mcp, which the gateway serves itself/,
  });
  t.match(await explain('GET', `${WELL_KNOWN}/x`), { code: 3, out: /404 no_resource_metadata/ });
  t.match(await explain('GET', `/.well-known/oauth%2Dprotected-resource`), {
    code: 3,
    out: /REFUSED.*can also be read as one where the gateway serves the metadata/,
  });
  t.match(await explain('GET', '/mcp', '--token-file', `${folder}/token`), {
    code: 3,
    out: /aud is "https:\/\/api\.example\.com"; the route belongs to the resource https:\/\/api\.example\.com\/mcp, which aud must hold/,
  });
  const { out } = await sallyport(['routes', '-c', file]);
  t.match(out, `GET|HEAD|OPTIONS ${HOST}${WELL_KNOWN}/mcp`);
  t.match(out, `token with aud ${MCP}, scope mcp:read`);
  const table = await sallyport(['routes', '-c', file, '--json']);
  t.match(JSON.parse(table.out), [
    { resource: MCP, resource_metadata: `https://${HOST}${WELL_KNOWN}/mcp` },
    {},
    { resource: `https://${HOST}` },
    { resource: undefined },
  ]);
});

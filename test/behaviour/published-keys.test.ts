/**
 * The public keys of assertions on the public listeners (`identity.assertion.publish`). RFC 9110 sections 8.8.3, 9.3.2 and
 * 13.1.2. Rules B7, B12, H6, H7, C10, C22, C25, C26.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { parseConfiguration } from '../../src/config/load.ts';
import { send, sendRaw, statuses, type Response, type SendOptions } from '../support/client.ts';
import { sallyport } from '../support/command.ts';
import { advance, loginIssuer, startGateway, withTestPorts, type TestGateway } from '../support/gateway.ts';
import { responseOf } from '../support/http2.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/process.ts';
import { createKey, mint, type SigningKey } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const HOST = 'keys.example.com';
const PATH = '/.well-known/sallyport/jwks.json';
const TYPE = 'application/jwk-set+json';
const key = createKey('ES256');
const [older, newer] = [createKey('EdDSA', 'older'), createKey('ES256', 'newer')];
const upstream = await startUpstream(t);

interface Scene {
  readonly gateway: TestGateway;
  readonly clock: ManualClock;
  readonly folder: string;
  /** Asks a listener, by default the first one, for this path of the host. */
  readonly ask: (path?: string, options?: SendOptions, at?: number) => Promise<Response>;
  /** Writes these keys, the first of which signs, and reloads. */
  readonly rotate: (...keys: readonly SigningKey[]) => Promise<void>;
  readonly kids: () => Promise<string[]>;
}

const privateJwk = ({ kid, privateKey }: SigningKey): object => ({
  ...privateKey.export({ format: 'jwk' }),
  kid,
});

function configuration(publish: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    issuers: { login: loginIssuer(key) },
    identity: { assertion: { key_file: 'identity.jwk', publish: { host: HOST, ...publish } } },
    routes: [
      { name: 'all', match: {}, upstream: 'u' },
      { name: 'open', match: { path_prefix: '/.well-known' }, upstream: 'u', auth: { mode: 'none' } },
    ],
    upstreams: { u: { targets: [upstream.url] } },
    listeners: [
      { host: '127.0.0.1', port: 0, protocols: ['h2c', 'http/1.1'] },
      { host: '127.0.0.1', port: 0, serve: 'decisions', dialect: 'request', trusted_peers: ['127.0.0.1'] },
      { host: '127.0.0.1', port: 0, serve: 'redirect' },
    ],
  };
}

async function start(t: Test, publish?: Record<string, unknown>): Promise<Scene> {
  const folder = temporaryFolder(t);
  const clock = new ManualClock();
  const write = (...keys: readonly SigningKey[]): void =>
    writeFileSync(`${folder}/identity.jwk`, JSON.stringify({ keys: keys.map(privateJwk) }));
  write(older);
  const gateway = await startGateway(t, configuration(publish), { folder, clock });
  const ask: Scene['ask'] = (path = PATH, options = {}, at = 0) =>
    send(`http://127.0.0.1:${gateway.instance.listeners[at]?.address.port}`, path, {
      ...options,
      headers: [...(options.headers?.includes('Host') ? [] : ['Host', HOST]), ...(options.headers ?? [])],
    });
  return {
    gateway,
    clock,
    folder,
    ask,
    rotate: async (...keys) => {
      write(...keys);
      await gateway.instance.reload(gateway.loaded);
    },
    kids: async () => {
      const { keys } = JSON.parse((await ask()).body) as { keys: { kid: string }[] };
      return keys.map(({ kid }) => kid);
    },
  };
}

t.test('a service verifies an assertion with the keys of the public listener', async (t) => {
  const { gateway } = await start(t, { host: '127.0.0.1', path: '/keys' });
  await send(gateway.url, '/orders', { token: mint(key) });
  const assertion = String(upstream.seen.at(-1)?.headers['x-identity-assertion']);
  const seen = upstream.seen.length;
  const keys = createRemoteJWKSet(new URL(`${gateway.url}/keys`));
  const { payload } = await jwtVerify(assertion, keys, { issuer: 'sallyport', audience: 'u' });
  t.equal(payload.sub, 'alice');
  t.equal(upstream.seen.length, seen, 'no upstream was asked');
});

t.test('B7 the keys need no token, look at none, and hold no private part', async (t) => {
  const { ask, gateway } = await start(t);
  const seen = upstream.seen.length;
  const tokens = [undefined, 'not-a-token', mint(createKey('ES256'))];
  for (const token of tokens) {
    const response = await ask(`${PATH}?access_token=x`, token === undefined ? {} : { token });
    t.equal(response.status, 200);
    t.match(response.headers, { 'content-type': TYPE, 'content-length': String(response.body.length) });
    t.equal(response.headers['www-authenticate'], undefined);
    t.match(JSON.parse(response.body), { keys: [{ kid: 'older', kty: 'OKP', use: 'sig', d: undefined }] });
  }
  t.equal(upstream.seen.length, seen);
  const lines = gateway.log.filter((line) => line['path'] === PATH);
  t.match(lines, [{ route: 'unmatched', status: 200 }, { status: 200 }, { status: 200 }]);
  const series = 'sallyport_http_requests_total{route="unmatched",method="GET",code="200",source="gateway"}';
  t.equal(await gateway.metric(series), 3);
});

t.test('caches may keep the keys for a minute, and ask whether they have changed', async (t) => {
  const { ask, rotate } = await start(t);
  const { headers } = await ask();
  t.equal(headers['cache-control'], 'public, max-age=60');
  const { etag = '' } = headers;
  t.match(etag, /^"[\w-]{43}"$/);
  const known = (value: string): Promise<Response> => ask(PATH, { headers: ['If-None-Match', value] });
  for (const value of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
    const response = await known(value);
    t.match(response, { status: 304, body: '' }, value);
    t.match(response.headers, { etag, 'cache-control': 'public, max-age=60' });
    for (const absent of ['content-length', 'content-type', 'transfer-encoding'])
      t.equal(response.headers[absent], undefined, absent);
  }
  for (const value of ['"other"', etag.slice(1, -1), '']) t.equal((await known(value)).status, 200, value);
  const head = await ask(PATH, { method: 'HEAD' });
  t.match(head, { status: 200, body: '' });
  t.match(head.headers, { etag, 'content-type': TYPE, 'content-length': headers['content-length'] });
  await rotate(newer, older);
  const changed = await known(etag);
  t.equal(changed.status, 200);
  t.not(changed.headers.etag, etag);
});

t.test('H16 a connection goes on behind a 304, and behind a body that was not read', async (t) => {
  const { gateway, ask } = await start(t);
  const { etag } = (await ask()).headers;
  const request = (fields: string, body = ''): string =>
    `GET ${PATH} HTTP/1.1\r\nHost: ${HOST}\r\n${fields}\r\n${body}`;
  const received = await sendRaw(
    gateway.port,
    [request(`If-None-Match: ${etag}\r\n`), request('Content-Length: 2\r\n', '{}'), request('')],
    (text) => statuses(text).length === 3 && text.endsWith('}]}'),
  );
  t.strictSame(statuses(received), [304, 200, 200]);
});

t.test('B12 other methods are 405, and reach no upstream', async (t) => {
  const { ask } = await start(t);
  const seen = upstream.seen.length;
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const response = await ask(PATH, { method, headers: ['Origin', 'https://app.example.com'] });
    t.match(response, { status: 405, problem: { code: 'method_not_allowed' } }, method);
    t.match(response.headers, { allow: 'GET, HEAD', 'cache-control': 'no-store' });
  }
  t.equal(upstream.seen.length, seen);
});

t.test('HTTP/2 gets the same responses', async (t) => {
  const { gateway, ask } = await start(t);
  const session = connect(gateway.url);
  t.teardown(() => session.destroy());
  const http2 = (more: Record<string, string> = {}): ReturnType<typeof responseOf> =>
    responseOf(session.request({ ':authority': HOST, ':path': PATH, ...more }));
  const { body, headers } = await ask();
  const response = await http2();
  t.match(response, { status: 200, body });
  t.match(response.headers, { 'content-type': TYPE, etag: headers.etag });
  t.match(await http2({ 'if-none-match': String(headers.etag) }), { status: 304, body: '', rstCode: 0 });
  t.match(await http2({ ':method': 'HEAD' }), { status: 200, body: '' });
  t.match(await http2({ ':method': 'DELETE' }), { status: 405 });
});

t.test('C22 other spellings of the host are the host, and another host is not', async (t) => {
  const { ask } = await start(t);
  for (const host of ['KEYS.example.COM', `${HOST}.`, `${HOST}:80`])
    t.equal((await ask(PATH, { headers: ['Host', host] })).headers['content-type'], TYPE, host);
  for (const host of ['example.com', `x${HOST}`, `${HOST}.evil.example`]) {
    const seen = upstream.seen.length;
    t.equal((await ask(PATH, { headers: ['Host', host] })).body, 'ok', host);
    t.equal(upstream.seen.length, seen + 1, 'it is a request like any other');
  }
});

t.test('H2 H6 H7 what is refused elsewhere is refused here', async (t) => {
  const { gateway } = await start(t);
  const seen = upstream.seen.length;
  const lines = {
    'no Host': [`GET ${PATH} HTTP/1.1`],
    'two Hosts': [`GET ${PATH} HTTP/1.1`, `Host: ${HOST}`, `Host: ${HOST}`],
    'another Host': [`GET http://${HOST}${PATH} HTTP/1.1`, 'Host: other.example'],
    'two framings': [
      `GET ${PATH} HTTP/1.1`,
      `Host: ${HOST}`,
      'Content-Length: 5',
      'Transfer-Encoding: chunked',
      '',
      '0',
      '',
    ],
    'a fragment': [`GET ${PATH}# HTTP/1.1`, `Host: ${HOST}`],
  };
  for (const [what, head] of Object.entries(lines)) {
    const received = await sendRaw(gateway.port, [...head, '', ''].join('\r\n'));
    t.strictSame(statuses(received), [400], what);
    t.notMatch(received, TYPE, what);
  }
  t.equal(upstream.seen.length, seen);
});

t.test('C10 C25 C26 a path that can be read as that of the keys is refused', async (t) => {
  const { ask } = await start(t);
  const seen = upstream.seen.length;
  for (const path of [
    '/.well-known/sallyport/jwks%2Ejson',
    '/.well-known/sallyport/jwks%252Ejson',
    '/.well-known//sallyport/jwks.json',
    '/.well-known/sallyport/jwks.json;v=1',
    '/.well-known/sallyport%3Bx/jwks.json',
    '/.well-known/sallyport/x/../jwks.json',
    '/.well-known/sallyport/%c0%aejwks.json',
  ])
    t.match(await ask(path), { status: 400, problem: { code: 'bad_path' } }, path);
  t.equal(upstream.seen.length, seen);
  for (const path of [`${PATH}/`, `${PATH}/more`, '/.well-known/sallyport', '/.well-known/sallyport/a%20b'])
    t.equal((await ask(path)).body, 'ok', path);
});

t.test('only listeners that forward serve them', async (t) => {
  const { ask, gateway } = await start(t, { path: '/keys' });
  t.equal((await ask('/keys')).status, 200);
  t.match(await ask('/keys', {}, 1), { status: 401 }, 'a decision listener decides about the request');
  t.match(await ask('/keys', {}, 2), { status: 308 }, 'a redirect listener redirects it');
  t.equal((await fetch(`${gateway.adminUrl}/keys`)).status, 404, 'the admin listener has its own place');
  t.equal((await fetch(`${gateway.adminUrl}${PATH}`)).status, 200);
});

t.test('a key that a reload takes out stays until its last assertion expires', async (t) => {
  const { gateway, clock, ask, rotate, kids } = await start(t);
  await send(gateway.url, '/orders', { token: mint(key) });
  t.strictSame(await kids(), ['older']);
  await advance(gateway, clock, 20_000);
  await rotate(newer);
  t.strictSame(await kids(), ['newer', 'older']);
  const admin = (await (await fetch(`${gateway.adminUrl}${PATH}`)).json()) as { keys: { kid: string }[] };
  t.strictSame(
    admin.keys.map(({ kid }) => kid),
    ['newer', 'older'],
    'on the admin listener too',
  );
  await rotate(newer);
  t.strictSame(await kids(), ['newer', 'older'], 'another reload changes nothing');
  const { etag } = (await ask()).headers;
  await advance(gateway, clock, 61_000);
  t.strictSame(await kids(), ['newer'], 'another gateway may have signed until the reload, for lifetime');
  t.not((await ask()).headers.etag, etag);
});

t.test('a configuration that cannot be used takes no key out', async (t) => {
  const { folder, gateway, kids } = await start(t);
  rmSync(`${folder}/identity.jwk`);
  await t.rejects(gateway.instance.reload(gateway.loaded));
  t.strictSame(await kids(), ['older']);
});

t.test('explain and routes show the place', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(`${folder}/identity.jwk`, JSON.stringify(privateJwk(older)));
  const file = `${folder}/sallyport.json`;
  writeFileSync(file, JSON.stringify(withTestPorts(configuration())), { mode: 0o600 });
  const explain = (method: string, path: string): ReturnType<typeof sallyport> =>
    sallyport(['explain', method, `http://${HOST}${path}`, '-c', file]);
  t.match(await explain('GET', PATH), { code: 0, out: /public keys of assertions[^]*responds to it itself/ });
  t.match(await explain('POST', PATH), { code: 3, out: /405 method_not_allowed/ });
  t.match(await explain('GET', '/.well-known/sallyport/jwks%2Ejson'), {
    code: 3,
    out: /REFUSED.*can also be read as that of the public keys/,
  });
  t.match((await sallyport(['routes', '-c', file])).out, `GET|HEAD ${HOST}${PATH}`);
  const { out } = await sallyport(['routes', '-c', file, '--json']);
  t.match(JSON.parse(out), [{ assertion: { keys: { host: HOST, path: PATH } } }, { assertion: undefined }]);
});

t.test('the configuration in docs/identity.md is one', async (t) => {
  const document = readFileSync(new URL('../../docs/identity.md', import.meta.url), 'utf8');
  const blocks = [...document.matchAll(/```yaml\n([^]*?)```/g)].map(([, text = '']) => text);
  const example = parse(blocks.find((text) => text.includes('publish:')) ?? '') as object;
  const text = JSON.stringify({ ...configuration(), ...example });
  const { identity } = parseConfiguration(text, 'identity.md', '/tmp', {});
  t.match(identity.assertion?.publish, { host: /example\.com$/, path: PATH });
});

t.test('hiding a route is an error that names it', async (t) => {
  const problemsOf = (publish: unknown, more: Record<string, unknown> = {}): string => {
    const base = configuration();
    const document = { ...base, identity: { assertion: { key_file: 'k', publish } }, ...more };
    try {
      parseConfiguration(JSON.stringify(document), 'f', '/tmp', {});
      return '';
    } catch (error) {
      return String(error);
    }
  };
  const on = (match: object): Record<string, unknown> => ({
    routes: [{ name: 'mine', match, upstream: 'u' }],
  });
  t.equal(problemsOf({ host: HOST }), '');
  for (const match of [
    { path: PATH },
    { path: '/.well-known/sallyport/jwks%2Ejson' },
    { path_prefix: PATH },
    { path_prefix: `${PATH}/`, hosts: ['a.example', HOST] },
    { path: PATH, hosts: ['*.example.com'], methods: ['POST'] },
  ])
    t.match(problemsOf({ host: HOST }, on(match)), /publish: hides the route "mine"/, JSON.stringify(match));
  for (const match of [{ path: PATH, hosts: ['a.example'] }, { path_prefix: '/.well-known' }, { path: '/x' }])
    t.equal(problemsOf({ host: HOST }, on(match)), '', JSON.stringify(match));
  t.match(problemsOf({}), /publish\.host/, 'the host is required');
  for (const path of ['/{x}/keys', '/a%2Fb', '/a;b', '/a//b', '/a/../b', 'keys', '/a?b'])
    t.match(problemsOf({ host: HOST, path }), /publish\.path/, path);
  for (const host of ['*.example.com', 'a:8080', '']) t.match(problemsOf({ host }), /publish\.host/, host);
  const logout = { host: HOST.toUpperCase(), path: PATH, client_ids: ['app'] };
  const issuers = { login: { ...loginIssuer(key), backchannel_logout: logout } };
  t.match(problemsOf({ host: HOST }, { issuers }), /same place as issuers\.login\.backchannel_logout/);
  const listeners = [{ port: 1, serve: 'redirect' }];
  t.match(problemsOf({ host: HOST }, { listeners }), /served by listeners that forward, and there is none/);
});

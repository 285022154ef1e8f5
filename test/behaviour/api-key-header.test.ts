/** The headers that issuers name for API keys, and every other place where a key may come. Rules X2, C2, C29, A5. */
import { once } from 'node:events';
import { connect } from 'node:http2';
import t from 'tap';
import { WebSocket } from 'ws';
import { makeKey } from '../../src/api-keys/key-text.ts';
import { keyFile, newKey } from '../support/api-keys.ts';
import { send, sendRaw } from '../support/client.ts';
import { startAsker } from '../support/ext-authz.ts';
import { loginIssuer, startGateway, until } from '../support/gateway.ts';
import { responseOf } from '../support/http2.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const signing = createKey();
const one = newKey('one', { subject: 'team-one' });
const two = newKey('two', { subject: 'team-two' });
const file = keyFile(t, [one.entry, two.entry]);

const route = (name: string, auth: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
  name,
  match: { path_prefix: `/${name}` },
  upstream: 'u',
  auth,
  ...more,
});
const listener = (more: Record<string, unknown> = {}) => ({ host: '127.0.0.1', port: 0, ...more });
const deciding = (dialect: string) =>
  listener({ serve: 'decisions', dialect, trusted_peers: ['127.0.0.1/32'] });
const keys = (header: string) => ({ api_keys: { file: 'keys.json', header } });

const gateway = await startGateway(
  t,
  {
    listeners: [
      listener({ protocols: ['h2c', 'http/1.1'] }),
      deciding('request'),
      deciding('forwarded'),
      { ...deciding('ext_authz'), protocols: ['h2c'] },
      listener({ serve: 'redirect' }),
    ],
    trusted_proxies: [],
    issuers: {
      login: loginIssuer(signing),
      partners: keys('X-API-Key'),
      internal: keys('Internal_Key'),
    },
    routes: [
      route('keys', { issuers: ['partners'] }),
      route('both', { issuers: ['login', 'partners', 'internal'] }),
      route('jwt', {}),
      route('public', { mode: 'none' }),
      route('open', { mode: 'optional', issuers: ['partners'] }),
      route('kept', { issuers: ['partners'] }, { identity: { forward_authorization: true } }),
      route(
        'socket',
        { issuers: ['login', 'partners'], websocket_protocol: true },
        { upgrade: ['websocket'] },
      ),
    ],
    upstreams: { u: { targets: [upstream.url] } },
  },
  { folder: file.folder },
);
const portOf = (index: number): number => gateway.instance.listeners[index]?.address.port ?? 0;
const urlOf = (index: number): string => `http://127.0.0.1:${portOf(index)}`;

/** Every spelling that a server may fold into a name for keys. */
const SPELLINGS = [
  ...['X-API-Key', 'x-api-key', 'X-Api-Key', 'X_API_Key', 'X.API.Key', 'x_api-key', 'X-API_KEY', 'X~Api~Key'],
  ...['Internal_Key', 'internal-key', 'Internal.Key', 'INTERNAL_KEY'],
];
const folded = (name: string): string => name.toLowerCase().replace(/[^a-z0-9-]/g, '-');
const namesSeen = (): string[] =>
  (upstream.seen.at(-1)?.rawHeaders ?? []).filter((_, index) => index % 2 === 0).map(folded);
const isGone = (): boolean => !namesSeen().some((name) => name === 'x-api-key' || name === 'internal-key');

t.test('a key passes in the header that its issuer names, in its one spelling', async (t) => {
  for (const name of ['X-API-Key', 'x-api-key', 'X-Api-KEY']) {
    const { status } = await send(gateway.url, '/keys', { headers: [name, one.key] });
    t.equal(status, 200, name);
    t.equal(upstream.seen.at(-1)?.headers['x-user-id'], 'team-one');
    t.ok(isGone());
  }
  t.equal((await send(gateway.url, '/both', { headers: ['internal_key', two.key] })).status, 200);
  t.equal(upstream.seen.at(-1)?.headers['x-user-id'], 'team-two');
  t.equal(
    (await send(gateway.url, '/keys', { headers: ['Authorization', `Bearer ${one.key}`] })).status,
    200,
  );
});

t.test('X2 C2 no spelling of the header reaches an upstream, on any route', async (t) => {
  for (const name of SPELLINGS) {
    for (const path of ['/public', '/open']) {
      const { status } = await send(gateway.url, path, { headers: [name, one.key] });
      // An odd spelling is not read: on an optional route its client is anonymous.
      t.equal(status, 200, `${path} ${name}`);
      t.ok(isGone(), `${path} ${name}`);
    }
    const token = mint(signing);
    t.equal((await send(gateway.url, '/jwt', { token, headers: [name, one.key] })).status, 200, name);
    t.ok(isGone(), `a route that does not accept the issuer does not read ${name}`);
    t.notOk(upstream.seen.at(-1)?.headers['x-user-id'] === 'team-one');
  }
  t.equal((await send(gateway.url, '/keys', { headers: ['X_API_Key', one.key] })).status, 401);
  t.equal((await send(gateway.url, '/keys', { headers: ['Internal_Key', one.key] })).status, 401);
  // Not even where the route passes Authorization on.
  t.equal((await send(gateway.url, '/kept', { headers: ['X-API-Key', one.key] })).status, 200);
  t.ok(isGone());
  t.notOk(namesSeen().includes('authorization'));
});

t.test('X2 two credentials are 400, and nothing is forwarded', async (t) => {
  const token = mint(signing);
  const bearer = ['Authorization', `Bearer ${token}`];
  const key = ['X-API-Key', one.key];
  const seen = upstream.seen.length;
  for (const [path, headers] of [
    ['/both', [...bearer, ...key]],
    ['/both', ['Authorization', `Bearer ${one.key}`, ...key]],
    ['/both', ['Authorization', 'Basic dTpw', ...key]],
    ['/both', ['Authorization', '', ...key]],
    ['/both', [...bearer, 'X-API-Key', 'abc']],
    ['/both', [...bearer, 'X-API-Key', '']],
    ['/open', ['X-API-Key', 'abc', 'X-API-Key', '']],
    ['/both', [...key, ...key]],
    ['/both', [...key, 'x-api-key', two.key]],
    ['/both', ['X-API-Key', `${one.key}, ${two.key}`]],
    ['/both', ['X-API-Key', `${one.key},`]],
    ['/both', [...key, 'Internal_Key', two.key]],
    ['/open', ['Authorization', `Bearer ${one.key}`, ...key]],
    ['/keys', ['Authorization', `Bearer ${one.key}, Bearer ${two.key}`]],
  ] as const) {
    const { status, problem, headers: answered } = await send(gateway.url, path, { headers });
    t.equal(status, 400, headers.join(' ').replaceAll(/sp_live_\w+/g, 'KEY'));
    t.equal(problem.code, 'invalid_request');
    t.match(answered['www-authenticate'], /error="invalid_request"/);
  }
  t.equal(upstream.seen.length, seen);
});

t.test('what is no key is a bad credential there, on optional routes too', async (t) => {
  const seen = upstream.seen.length;
  for (const value of ['', 'abc', mint(signing), `Bearer ${one.key}`, `"${one.key}"`, 'sp_live_', makeKey()])
    for (const path of ['/keys', '/open']) {
      const { status, headers } = await send(gateway.url, path, { headers: ['X-API-Key', value] });
      t.equal(status, 401, path);
      t.match(headers['www-authenticate'], /^Bearer realm="test", error="invalid_token"$/);
    }
  t.equal(upstream.seen.length, seen);
});

t.test('X2 a key in a query is 400 in every encoding, and is in no log line', async (t) => {
  const seen = upstream.seen.length;
  const hex = (text: string): string =>
    [...text].map((char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`).join('');
  const damaged = `${one.key.slice(0, -6)}000000`;
  const queries = [
    `key=${one.key}`,
    `a=b&api_key=${one.key}&c`,
    `a=b;${one.key}`,
    one.key,
    `authorization=Bearer+${one.key}`,
    `authorization=Bearer%20${one.key}`,
    `k=${hex(one.key)}`,
    `k=${one.key.replace('_', '%5F')}`,
    `k=${one.key.replaceAll('_', '%5f')}`,
    `k=${one.key.replace('_', '%255F')}`,
    `k=${damaged}`,
  ];
  for (const query of queries)
    for (const path of ['/keys', '/open', '/jwt']) {
      const { status, problem } = await send(gateway.url, `${path}?${query}`, { token: mint(signing) });
      t.equal(status, 400, path);
      t.equal(problem.code, 'invalid_request');
    }
  t.equal(upstream.seen.length, seen);
  for (const query of ['q=sp_live_', `q=${one.key.slice(3)}`, 'q=%', 'q=%zz'])
    t.equal((await send(gateway.url, `/jwt?${query}`, { token: mint(signing) })).status, 200, query);
  await until(() => gateway.log.some(({ status }) => status === 400));
  const log = decodeURIComponent(JSON.stringify(gateway.log).replaceAll(/%(?![0-9a-f]{2})/gi, ''));
  t.notMatch(log, one.key.slice(8));
  t.notMatch(log, two.key.slice(8));
});

t.test('A5 a key that a client has put into the path or its name is in no log line', async (t) => {
  const hidden = `%73${one.key.slice(1)}`;
  for (const path of [`/public/${one.key}/a`, `/public/${hidden}`])
    t.equal((await send(gateway.url, path, { headers: ['User-Agent', `x ${one.key}`] })).status, 200);
  const lines = gateway.log.filter(
    ({ path }) => String(path).includes('API key') || String(path).includes('...'),
  );
  t.match(lines, [
    { path: '/public/sp_live_.../a', user_agent: 'x sp_live_...' },
    { path: '(an API key)', user_agent: 'x sp_live_...' },
  ]);
});

t.test('X2 the same by HTTP/2', async (t) => {
  const session = connect(gateway.url);
  t.teardown(() => session.destroy());
  const ask = (path: string, headers: Record<string, string | string[]>) =>
    responseOf(session.request({ ':path': path, ...headers }));
  t.equal((await ask('/keys', { 'x-api-key': one.key })).status, 200);
  t.ok(isGone());
  for (const name of SPELLINGS.map((spelling) => spelling.toLowerCase())) {
    t.equal((await ask('/public', { [name]: one.key })).status, 200, name);
    t.ok(isGone(), name);
  }
  t.equal((await ask('/keys', { 'x-api-key': one.key, authorization: `Bearer ${one.key}` })).status, 400);
  t.equal((await ask('/keys', { 'x-api-key': [one.key, one.key] })).status, 400);
});

t.test('X2 a key in the trailers of a request authenticates nothing, and ends here', async (t) => {
  const body = `POST /public HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-API-Key\r\n\r\n1\r\nx\r\n0\r\nX-API-Key: ${one.key}\r\n\r\n`;
  t.match(await sendRaw(gateway.port, body), /^HTTP\/1\.1 200/);
  t.ok(isGone());
  t.notMatch(JSON.stringify(upstream.seen.at(-1)), 'sp_live_');
  t.match(await sendRaw(gateway.port, body.replace('/public', '/keys')), /^HTTP\/1\.1 401/);
});

t.test(
  'X2 a WebSocket that brings a token in its protocols and a key in the header is refused',
  async (t) => {
    const statusOf = async (protocols: string[], headers: Record<string, string>): Promise<number> => {
      const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/socket`, protocols, { headers });
      socket.on('error', () => undefined);
      const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
      socket.terminate();
      return response.statusCode;
    };
    t.equal(await statusOf(['bearer', mint(signing)], { 'X-API-Key': one.key }), 400);
    t.equal(await statusOf(['bearer', makeKey()], {}), 401, 'a key is taken for one there, too');
  },
);

t.test('X2 a proxy that asks for decisions is told to remove the header, in all spellings', async (t) => {
  const host = ['Host', 'api.example'];
  const allowed = await send(urlOf(1), '/keys', { headers: [...host, 'X-API-Key', one.key] });
  t.match(allowed, { status: 200, headers: { 'x-user-id': 'team-one', 'x-api-key': '', internal_key: '' } });
  const removed = (await send(urlOf(1), '/public', { headers: [...host, 'X_API.Key', one.key] })).headers;
  const names = String(removed['x-envoy-auth-headers-to-remove']).split(', ');
  for (const name of ['x-api-key', 'internal_key', 'x_api.key']) t.ok(names.includes(name), name);
  const forwarded = [
    ...['X-Forwarded-Method', 'GET', 'X-Forwarded-Proto', 'https'],
    ...['X-Forwarded-Host', 'api.example', 'X-Forwarded-Uri'],
  ];
  const asked = (uri: string, ...more: string[]) =>
    send(urlOf(2), '/', { headers: [...forwarded, uri, ...more] });
  t.match(await asked('/keys', 'X-API-Key', one.key), { status: 200, headers: { 'x-api-key': '' } });
  t.equal((await asked(`/keys?k=${one.key}`, 'X-API-Key', one.key)).status, 400);
  t.equal((await asked('/keys', 'X-API-Key', one.key, 'Authorization', `Bearer ${one.key}`)).status, 400);
});

t.test(
  'X2 Envoy is told the same by gRPC, and a key that it has joined from two fields is 400',
  async (t) => {
    const asker = startAsker(t, portOf(3));
    const passed = await asker.ask({ path: '/keys', headers: ['x-api-key', one.key, 'x_api_key', two.key] });
    t.equal(passed.status, 200);
    t.equal(passed.upstream['x-user-id'], 'team-one');
    t.notMatch(JSON.stringify(passed.upstream), 'sp_live_');
    t.notMatch(
      JSON.stringify((await asker.ask({ path: '/public', headers: ['internal-key', one.key] })).upstream),
      'sp_live_',
    );
    t.equal(
      (await asker.ask({ path: '/keys', headers: ['x-api-key', one.key, 'x-api-key', one.key] })).status,
      400,
    );
  },
);

t.test('C29 a listener that redirects to https refuses keys in any place', async (t) => {
  for (const [path, headers] of [
    ['/', ['X-API-Key', one.key]],
    [`/?k=${one.key}`, []],
    ['/', ['Authorization', `Bearer ${one.key}`]],
  ] as const) {
    const response = await send(urlOf(4), path, { headers: ['Host', 'api.example', ...headers] });
    t.match(response, { status: 403, problem: { code: 'https_required' } });
    t.notOk(response.headers.location);
  }
});

/** Cross-origin requests of browsers: preflights, responses, refusals. */
import t from 'tap';
import { send, type Response } from '../support/client.ts';
import { loginIssuer, startGateway } from '../support/gateway.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey('EdDSA');
const APP = 'https://app.example.com';
const upstream = await startUpstream(t, (_request, response) => {
  response.writeHead(200, {
    'access-control-allow-origin': '*',
    'Access-Control-Expose-Headers': ['X-Theirs, x-request-id', 'X-More, x-theirs, not a name'],
    'access-control-max-age': '9',
    'access-control-allow-credentials': 'true',
    vary: 'Accept',
  });
  response.end('ok');
});
const gateway = await startGateway(t, {
  issuers: { login: loginIssuer(key) },
  routes: [
    {
      name: 'api',
      match: { path_prefix: '/api', methods: ['GET', 'PUT'] },
      upstream: 'u',
      cors: {
        origins: [APP, 'http://localhost:3000'],
        methods: ['GET', 'PUT'],
        headers: ['authorization', 'x-a'],
        max_age: '5m',
      },
    },
    {
      name: 'cookies',
      match: { path_prefix: '/cookies' },
      upstream: 'u',
      cors: { origins: [APP], credentials: true, expose_headers: ['X-Total', 'etag', 'retry-after'] },
    },
    {
      name: 'below',
      match: { path_prefix: '/below' },
      upstream: 'u',
      cors: { origins: ['https://*.example.com', 'http://*.test.example.com:8080', 'https://other.example'] },
    },
    {
      name: 'world',
      match: { path_prefix: '/world' },
      upstream: 'u',
      auth: { mode: 'none' },
      cors: { origins: ['*'] },
    },
    { name: 'none', match: { path_prefix: '/none' }, upstream: 'u' },
  ],
  upstreams: { u: { targets: [upstream.url] } },
});

const preflight = (path: string, origin: string, method = 'GET', headers: string[] = []): Promise<Response> =>
  send(gateway.url, path, {
    method: 'OPTIONS',
    headers: ['Origin', origin, 'Access-Control-Request-Method', method, ...headers],
  });
const valuesOf = ({ rawHeaders }: Response, name: string): string[] =>
  rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);

t.test('the gateway responds to a preflight, without a token; the upstream sees nothing', async (t) => {
  const before = upstream.seen.length;
  for (const method of ['GET', 'PUT']) {
    const response = await preflight('/api/x', APP, method);
    t.match(response, { status: 204, body: '' });
    t.match(response.headers, {
      'access-control-allow-origin': APP,
      'access-control-allow-methods': 'GET, PUT',
      'access-control-allow-headers': 'authorization, x-a',
      'access-control-max-age': '300',
      vary: 'Origin',
    });
    t.equal(response.headers['access-control-allow-credentials'], undefined);
    t.ok(response.headers['x-request-id']);
  }
  t.match((await preflight('/cookies', APP)).headers, { 'access-control-allow-credentials': 'true' });
  const world = await preflight('/world', 'https://any.example');
  t.equal(world.headers['access-control-allow-origin'], '*');
  t.equal(world.headers.vary, undefined);
  t.equal(upstream.seen.length, before);
});

t.test('another origin, and what only looks like one of ours, gets nothing to go by', async (t) => {
  const others = [
    'https://evil.example',
    `${APP}.evil.example`,
    'http://app.example.com',
    'null',
    `${APP}:444`,
    APP.toUpperCase(),
  ];
  for (const origin of others) {
    for (const response of [
      await preflight('/api', origin),
      await send(gateway.url, '/api', { token: mint(key), headers: ['Origin', origin] }),
    ]) {
      t.ok([200, 204].includes(response.status));
      t.notMatch(response.rawHeaders.join('\n'), /access-control-/i, origin);
      t.ok(valuesOf(response, 'vary').includes('Origin'));
    }
  }
});

t.test('expose_headers come after ours and before those of the upstream, none of them twice', async (t) => {
  const response = await send(gateway.url, '/cookies', { token: mint(key), headers: ['Origin', APP] });
  t.strictSame(valuesOf(response, 'access-control-expose-headers'), [
    'WWW-Authenticate, DPoP-Nonce, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, X-Total, etag, X-Theirs, X-More',
  ]);
  const refused = await send(gateway.url, '/cookies', { headers: ['Origin', APP] });
  t.match(refused, { status: 401 });
  t.strictSame(valuesOf(refused, 'access-control-expose-headers'), [
    'WWW-Authenticate, DPoP-Nonce, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, X-Total, etag',
  ]);
});

t.test('a wildcard origin covers every host below its name, by whole labels', async (t) => {
  const covered = [
    ...['https://app.example.com', 'https://a.b.example.com', 'https://xn--bcher-kva.example.com'],
    ...['http://a.test.example.com:8080', 'https://other.example'],
  ];
  const before = upstream.seen.length;
  for (const origin of covered) {
    const response = await preflight('/below', origin);
    t.equal(response.headers['access-control-allow-origin'], origin);
    t.equal(response.headers.vary, 'Origin');
  }
  t.equal(upstream.seen.length, before);
  const answer = await send(gateway.url, '/below', {
    token: mint(key),
    headers: ['Origin', 'https://a.b.example.com'],
  });
  t.strictSame(valuesOf(answer, 'access-control-allow-origin'), ['https://a.b.example.com']);
  t.ok(valuesOf(answer, 'vary').includes('Origin'));
});

t.test('what only looks like a host below a wildcard’s name gets nothing to go by', async (t) => {
  const others = [
    ...['https://example.com', 'https://.example.com', 'https://evilexample.com', 'https://evil-example.com'],
    ...['https://app.example.com.evil.test', 'https://app.example.com.', 'https://a..example.com'],
    ...['http://app.example.com', 'https://app.example.com:443', 'https://app.example.com:8443', 'null'],
    ...['https://evil.test/.example.com', 'https://evil.test#.example.com', 'https://evil.test?.example.com'],
    ...['https://evil.test:80.example.com', 'https://user@app.example.com', 'https://a b.example.com'],
    ...['https://evil.test\\.example.com', 'https://evil.test%2f.example.com', 'https://*.example.com'],
    ...['https://APP.example.com', 'HTTPS://app.example.com', 'https://app.example.com https://x.test'],
    ...['https://https://a.example.com', 'https://[::1].example.com', 'https://a.test.example.com:8080'],
    ...['http://a.test.example.com', 'http://test.example.com:8080', 'https://sub.other.example', ''],
  ];
  for (const origin of others) {
    for (const response of [
      await preflight('/below', origin),
      await send(gateway.url, '/below', { token: mint(key), headers: ['Origin', origin] }),
    ]) {
      t.notMatch(response.rawHeaders.join('\n'), /access-control-/i, origin);
      t.ok(valuesOf(response, 'vary').includes('Origin'), origin);
    }
  }
  const twice = await send(gateway.url, '/below', {
    token: mint(key),
    headers: ['Origin', 'https://a.example.com', 'Origin', 'https://a.example.com'],
  });
  t.notMatch(twice.rawHeaders.join('\n'), /access-control-/i, 'two of them');
});

t.test('responses carry ours instead of the upstream’s own', async (t) => {
  const response = await send(gateway.url, '/api', { token: mint(key), headers: ['Origin', APP] });
  t.equal(response.status, 200);
  t.strictSame(valuesOf(response, 'access-control-allow-origin'), [APP]);
  t.strictSame(valuesOf(response, 'access-control-expose-headers'), [
    'WWW-Authenticate, DPoP-Nonce, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, X-Theirs, X-More',
  ]);
  t.strictSame(valuesOf(response, 'access-control-max-age'), []);
  t.equal(response.headers['access-control-allow-credentials'], undefined);
  t.strictSame(valuesOf(response, 'vary'), ['Accept', 'Origin']);
  const same = await send(gateway.url, '/api', { token: mint(key) });
  t.notMatch(same.rawHeaders.join('\n'), /access-control-/i, 'no Origin, no response to it');
  t.ok(valuesOf(same, 'vary').includes('Origin'), 'a cache must know all the same');
  const without = await send(gateway.url, '/none', { token: mint(key), headers: ['Origin', APP] });
  t.strictSame(
    valuesOf(without, 'access-control-allow-origin'),
    ['*'],
    'a route without cors changes nothing',
  );
});

t.test('a script can see why it was refused', async (t) => {
  const before = upstream.seen.length;
  const response = await send(gateway.url, '/api', { headers: ['Origin', APP] });
  t.equal(upstream.seen.length, before);
  t.match(response, { status: 401, problem: { code: 'missing_token' } });
  t.equal(response.headers['access-control-allow-origin'], APP);
  t.match(response.headers['access-control-expose-headers'], /WWW-Authenticate/);
});

t.test('what is no preflight of such a route is a request like any other', async (t) => {
  const statuses = async (responses: Promise<Response>[]): Promise<number[]> =>
    (await Promise.all(responses)).map(({ status }) => status);
  const before = upstream.seen.length;
  t.strictSame(
    await statuses([
      preflight('/none', APP),
      preflight('/api', APP, 'DELETE'),
      preflight('/elsewhere', APP),
      send(gateway.url, '/cookies', { method: 'OPTIONS', headers: ['Origin', APP] }),
      send(gateway.url, '/cookies', { method: 'OPTIONS', headers: ['Access-Control-Request-Method', 'GET'] }),
      preflight('/api/%2e%2e/none', APP),
    ]),
    [401, 404, 404, 401, 401, 400],
  );
  t.equal(upstream.seen.length, before);
});

/** Cross-origin requests of browsers: preflights, answers, refusals. CONTRACT.md sections 3 and 4. */
import t from 'tap';
import { send, type Answer } from '../support/client.ts';
import { loginIssuer, startGateway } from '../support/gateway.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey('EdDSA');
const APP = 'https://app.example.com';
const upstream = await startUpstream(t, (_request, response) => {
  response.writeHead(200, {
    'access-control-allow-origin': '*',
    'Access-Control-Expose-Headers': 'X-Theirs',
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
      cors: { origins: [APP], credentials: true },
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

const preflight = (path: string, origin: string, method = 'GET', headers: string[] = []): Promise<Answer> =>
  send(gateway.url, path, {
    method: 'OPTIONS',
    headers: ['Origin', origin, 'Access-Control-Request-Method', method, ...headers],
  });
const valuesOf = ({ rawHeaders }: Answer, name: string): string[] =>
  rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);

t.test('a preflight is answered by the gateway, without a token; the upstream sees nothing', async (t) => {
  const before = upstream.seen.length;
  for (const method of ['GET', 'PUT']) {
    const answer = await preflight('/api/x', APP, method);
    t.match(answer, { status: 204, body: '' });
    t.match(answer.headers, {
      'access-control-allow-origin': APP,
      'access-control-allow-methods': 'GET, PUT',
      'access-control-allow-headers': 'authorization, x-a',
      'access-control-max-age': '300',
      vary: 'Origin',
    });
    t.equal(answer.headers['access-control-allow-credentials'], undefined);
    t.ok(answer.headers['x-request-id']);
  }
  t.match((await preflight('/cookies', APP)).headers, { 'access-control-allow-credentials': 'true' });
  const world = await preflight('/world', 'https://anybody.example');
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
    for (const answer of [
      await preflight('/api', origin),
      await send(gateway.url, '/api', { token: mint(key), headers: ['Origin', origin] }),
    ]) {
      t.ok([200, 204].includes(answer.status));
      t.notMatch(answer.rawHeaders.join('\n'), /access-control-/i, origin);
      t.ok(valuesOf(answer, 'vary').includes('Origin'));
    }
  }
});

t.test('answers carry ours instead of the upstream’s own', async (t) => {
  const answer = await send(gateway.url, '/api', { token: mint(key), headers: ['Origin', APP] });
  t.equal(answer.status, 200);
  t.strictSame(valuesOf(answer, 'access-control-allow-origin'), [APP]);
  t.match(answer.headers['access-control-expose-headers'], /^WWW-Authenticate, DPoP-Nonce/);
  t.equal(answer.headers['access-control-allow-credentials'], undefined);
  t.strictSame(valuesOf(answer, 'vary'), ['Accept', 'Origin']);
  const same = await send(gateway.url, '/api', { token: mint(key) });
  t.notMatch(same.rawHeaders.join('\n'), /access-control-/i, 'no Origin, no answer to it');
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
  const answer = await send(gateway.url, '/api', { headers: ['Origin', APP] });
  t.equal(upstream.seen.length, before);
  t.match(answer, { status: 401, problem: { code: 'missing_token' } });
  t.equal(answer.headers['access-control-allow-origin'], APP);
  t.match(answer.headers['access-control-expose-headers'], /WWW-Authenticate/);
});

t.test('what is no preflight of such a route is a request like any other', async (t) => {
  const statuses = async (answers: Promise<Answer>[]): Promise<number[]> =>
    (await Promise.all(answers)).map(({ status }) => status);
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

/** Opaque tokens, checked by a validation service. Rules I3 to I9. */
import t, { type Test } from 'tap';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { createKey, mint, nowSeconds } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const key = createKey();

interface Validator {
  readonly url: string;
  readonly asked: string[];
  claims: Record<string, unknown>;
  instead: ((response: ServerResponse) => void) | undefined;
}

/** Knows every token that begins with "good". */
async function startValidator(t: Test): Promise<Validator> {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { token } = JSON.parse(body) as { token: string };
      state.asked.push(token);
      if (state.instead) state.instead(response);
      else if (!token.includes('good')) response.writeHead(404).end();
      else
        response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(JSON.stringify({ data: { claims: state.claims } }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const state: Validator = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/validate`,
    asked: [],
    claims: { sub: 'olga', scope: 'a b' },
    instead: undefined,
  };
  return state;
}

async function start(
  t: Test,
  validator: Validator,
  issuer: Record<string, unknown> = {},
): Promise<{ gateway: TestGateway; clock: ManualClock }> {
  const clock = new ManualClock();
  const gateway = await startGateway(
    t,
    {
      issuers: {
        login: loginIssuer(key),
        factory: {
          validation: {
            url: validator.url,
            claims: '/data/claims',
            cache: '10s',
            negative_cache: '2s',
            timeout: '300ms',
          },
          ...issuer,
        },
      },
      routes: [
        {
          name: 'mixed',
          match: { path_prefix: '/' },
          upstream: 'u',
          auth: { issuers: ['login', 'factory'] },
        },
        { name: 'jwt', match: { path_prefix: '/jwt' }, upstream: 'u' },
        {
          name: 'scoped',
          match: { path_prefix: '/scoped' },
          upstream: 'u',
          auth: { issuers: ['factory'], scopes: ['c'] },
        },
      ],
      upstreams: { u: { targets: [upstream.url] } },
    },
    { clock },
  );
  return { gateway, clock };
}
/** Time passes; the revocation list, which ages with it, is fresh again before the test goes on. */
async function advance(gateway: TestGateway, clock: ManualClock, ms: number): Promise<void> {
  clock.advance(ms);
  await until(() => gateway.instance.view.ageMs < 1_000);
}
const get = (gateway: TestGateway, token: string, path = '/') => send(gateway.url, path, { token });

t.test(
  'a valid token passes with its claims; the answer is used again for as long as configured',
  async (t) => {
    const validator = await startValidator(t);
    const { gateway, clock } = await start(t, validator);
    for (let index = 0; index < 3; index++) t.equal((await get(gateway, 'good-1')).status, 200);
    t.equal(upstream.seen.at(-1)?.headers['x-user-id'], 'olga');
    t.equal(validator.asked.length, 1);
    await advance(gateway, clock, 11_000);
    await get(gateway, 'good-1');
    t.equal(validator.asked.length, 2);
    t.equal(
      (await get(gateway, 'good-1', '/scoped')).status,
      403,
      'C9 cached for one scope, refused for another',
    );
  },
);

t.test('I8 a refusal is remembered briefly, an error never', async (t) => {
  const validator = await startValidator(t);
  const { gateway, clock } = await start(t, validator);
  for (let index = 0; index < 3; index++) t.equal((await get(gateway, 'bad')).status, 401);
  t.equal(validator.asked.length, 1);
  await advance(gateway, clock, 2_100);
  t.equal((await get(gateway, 'bad')).status, 401);
  t.equal(validator.asked.length, 2);
  validator.instead = (response) => void response.writeHead(500).end();
  t.equal((await get(gateway, 'good-2')).status, 503);
  validator.instead = undefined;
  t.equal((await get(gateway, 'good-2')).status, 200);
});

t.test('I9 one call for all who wait', async (t) => {
  const validator = await startValidator(t);
  const { gateway } = await start(t, validator);
  const answers = await Promise.all(Array.from({ length: 20 }, () => get(gateway, 'good-3')));
  t.ok(answers.every(({ status }) => status === 200));
  t.equal(validator.asked.length, 1);
});

t.test('a token is sent to nobody whom the route does not name', async (t) => {
  const validator = await startValidator(t);
  const { gateway } = await start(t, validator);
  t.equal((await get(gateway, 'good-4', '/jwt')).status, 401);
  t.equal((await get(gateway, mint(key))).status, 200);
  t.equal((await get(gateway, mint(createKey('ES256', key.kid)))).status, 401);
  t.strictSame(validator.asked, [], 'neither opaque tokens of other routes nor JWTs');
});

t.test('I3 I4 exp of the claims is respected, cached too; dates that are none are refused', async (t) => {
  const validator = await startValidator(t);
  const { gateway, clock } = await start(t, validator);
  validator.claims = { sub: 'x', exp: nowSeconds() + 5 };
  t.equal((await get(gateway, 'good-5')).status, 200);
  await advance(gateway, clock, 9_000);
  t.equal((await get(gateway, 'good-5')).status, 200, 'within the skew');
  validator.claims = { sub: 'x', exp: 'soon' };
  t.equal((await get(gateway, 'good-6')).status, 401);
  validator.claims = { sub: 'x', exp: nowSeconds() - 100 };
  t.equal((await get(gateway, 'good-7')).status, 401);
});

t.test('I7 B10 what is no clear answer is an outage: 503 with Retry-After, then fast', async (t) => {
  const outages: Record<string, (response: ServerResponse) => void> = {
    '500': (response) => void response.writeHead(500).end(),
    'a redirect': (response) => void response.writeHead(302, { location: '/' }).end(),
    '429': (response) => void response.writeHead(429).end(),
    'no JSON': (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
    'no claims where they should be': (response) =>
      void response.writeHead(200, { 'content-type': 'application/json' }).end('{}'),
    'duplicate members': (response) =>
      void response
        .writeHead(200, { 'content-type': 'application/json' })
        .end('{"data":{"claims":{"sub":"a","sub":"b"}}}'),
    'a compressed answer': (response) =>
      void response
        .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
        .end('x'),
    'no answer': () => undefined,
    'half an answer': (response) => void response.writeHead(200, { 'content-length': '100' }).write('{'),
  };
  for (const [name, instead] of Object.entries(outages)) {
    const validator = await startValidator(t);
    const { gateway, clock } = await start(t, validator);
    validator.instead = instead;
    const before = upstream.seen.length;
    for (let index = 0; index < 3; index++) {
      const answer = await get(gateway, `good-${index}`);
      t.match(
        answer,
        { status: 503, problem: { code: 'introspection_unavailable' }, headers: { 'retry-after': /^\d+$/ } },
        name,
      );
      t.equal(answer.headers['www-authenticate'], undefined);
    }
    t.equal(validator.asked.length, 3);
    t.equal((await get(gateway, 'good-9')).status, 503, 'the circuit is open');
    t.equal(validator.asked.length, 3, 'nobody was asked');
    t.equal(upstream.seen.length, before);
    validator.instead = undefined;
    await advance(gateway, clock, 1_100);
    t.equal((await get(gateway, 'good-9')).status, 200, 'and closes when the service is back');
  }
});

t.test('an opaque token can be revoked by itself, and by its subject', async (t) => {
  const validator = await startValidator(t);
  const { gateway } = await start(t, validator);
  t.equal((await get(gateway, 'good-10')).status, 200);
  t.equal((await gateway.admin('POST', '/v1/revocations', { token: 'good-10' })).status, 201);
  t.equal((await get(gateway, 'good-10')).status, 401);
  t.equal((await get(gateway, 'good-11')).status, 200);
  t.equal(
    (await gateway.admin('POST', '/v1/revocations', { issuer: 'factory', subject: 'olga' })).status,
    201,
  );
  await until(async () => (await get(gateway, 'good-11')).status === 401);
});

t.test('with several opaque issuers, the prefix says whose a token is', async (t) => {
  const [a, b] = [await startValidator(t), await startValidator(t)];
  const gateway = await startGateway(t, {
    issuers: {
      a: { validation: { url: a.url, claims: '/data/claims' }, token_prefix: 'a_' },
      b: { validation: { url: b.url, claims: '/data/claims' }, token_prefix: 'b_' },
    },
    routes: [{ name: 'r', match: { path_prefix: '/' }, upstream: 'u', auth: { issuers: ['a', 'b'] } }],
    upstreams: { u: { targets: [upstream.url] } },
  });
  t.equal((await get(gateway, 'a_good')).status, 200);
  t.equal((await get(gateway, 'b_good')).status, 200);
  t.equal((await get(gateway, 'c_good')).status, 401);
  t.strictSame([a.asked, b.asked], [['a_good'], ['b_good']]);
});

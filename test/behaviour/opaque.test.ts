/** Opaque tokens, checked by a validation service. Rules I3 to I9. */
import t, { type Test } from 'tap';
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, advance, until, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { createKey, mint, nowSeconds } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';

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
  const url = await startServer(t, (request, response) => {
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
  const state: Validator = {
    url: `${url}/validate`,
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
            timeout: '60s',
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
const get = (gateway: TestGateway, token: string, path = '/') => send(gateway.url, path, { token });

t.test(
  'a valid token passes with its claims; the response is used again for as long as configured',
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

t.test(
  'I8 a refusal is remembered briefly, and so is that the service could not judge a token',
  async (t) => {
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
    t.equal((await get(gateway, 'good-2')).status, 503);
    t.equal(validator.asked.length, 3);
    t.equal((await get(gateway, 'good-3')).status, 200, 'for this token alone');
    await advance(gateway, clock, 1_100);
    t.equal((await get(gateway, 'good-2')).status, 200);
  },
);

t.test('I9 one call for all who wait', async (t) => {
  const validator = await startValidator(t);
  const { gateway } = await start(t, validator);
  const responses = await Promise.all(Array.from({ length: 20 }, () => get(gateway, 'good-3')));
  t.ok(responses.every(({ status }) => status === 200));
  t.equal(validator.asked.length, 1);
});

t.test('a token is sent to no issuer that the route does not name', async (t) => {
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

t.test(
  'I7 I11 B10 a response that is not clear is 503 with Retry-After for its token, and no outage',
  async (t) => {
    const unclear: Record<string, (response: ServerResponse) => void> = {
      '500': (response) => void response.writeHead(500).end(),
      'a redirect': (response) => void response.writeHead(302, { location: '/' }).end(),
      'no JSON': (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
      'no claims where they should be': (response) =>
        void response.writeHead(200, { 'content-type': 'application/json' }).end('{}'),
      'duplicate members': (response) =>
        void response
          .writeHead(200, { 'content-type': 'application/json' })
          .end('{"data":{"claims":{"sub":"a","sub":"b"}}}'),
      'a compressed response': (response) =>
        void response
          .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
          .end('x'),
    };
    for (const [name, instead] of Object.entries(unclear)) {
      const validator = await startValidator(t);
      const { gateway, clock } = await start(t, validator);
      validator.instead = instead;
      const before = upstream.seen.length;
      for (let index = 0; index < 5; index++) {
        const answer = await get(gateway, `good-${index}`);
        t.match(
          answer,
          {
            status: 503,
            problem: { code: 'introspection_unavailable' },
            headers: { 'retry-after': /^\d+$/ },
          },
          name,
        );
        t.equal(answer.headers['www-authenticate'], undefined);
      }
      t.equal(validator.asked.length, 5);
      t.equal(upstream.seen.length, before);
      validator.instead = undefined;
      t.equal((await get(gateway, 'good-9')).status, 200, `at once, after: ${name}`);
      await advance(gateway, clock, 1_100);
      t.equal((await get(gateway, 'good-1')).status, 200);
    }
  },
);

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

t.test(
  'services of other kinds: where the token goes, what statuses mean, where the claims are',
  async (t) => {
    const seen: { method: string; headers: IncomingHttpHeaders; body: string }[] = [];
    let answer: [number, unknown] = [200, {}];
    const url = await startServer(t, (request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        seen.push({ method: request.method ?? '', headers: request.headers, body });
        response.writeHead(answer[0], { 'content-type': 'application/json' }).end(JSON.stringify(answer[1]));
      });
    });
    const service = (validation: Record<string, unknown>): Record<string, unknown> => ({
      validation: { url, cache: '0s', negative_cache: '0s', failure_cache: '0s', ...validation },
    });
    const issuers = {
      form: service({ send: { in: 'form', name: 'access' }, headers: { 'X-Api-Key': 'k' } }),
      header: service({ method: 'GET', send: { in: 'header' } }),
      custom: service({ send: { in: 'header', name: 'X-Session', value: 'sid={token}' } }),
      statuses: service({ valid: [204, 200], invalid: ['4xx'] }),
      pointers: service({
        active: '/ok',
        claims: '/user',
        claim_pointers: { sub: '/user/id', scope: '/grants/0/scopes', 'a/b': '/x~1y' },
      }),
    };
    const gateway = await startGateway(t, {
      issuers,
      identity: { headers: { 'X-User-Id': 'sub', 'X-Scopes': 'scope', 'X-Odd': 'a/b', 'X-Name': 'name' } },
      routes: Object.keys(issuers).map((name) => ({
        name,
        match: { path_prefix: `/${name}` },
        upstream: 'u',
        auth: { issuers: [name] },
      })),
      upstreams: { u: { targets: [upstream.url] } },
    });
    const status = async (path: string, token: string): Promise<number> =>
      (await get(gateway, token, path)).status;

    t.equal(await status('/form', 'a+/b=='), 200);
    t.match(seen.at(-1), { method: 'POST', body: 'access=a%2B%2Fb%3D%3D', headers: { 'x-api-key': 'k' } });
    t.equal(await status('/header', 'tok'), 200);
    t.match(seen.at(-1), { method: 'GET', body: '', headers: { authorization: 'Bearer tok' } });
    t.equal(await status('/custom', 'tok'), 200);
    t.match(seen.at(-1), { headers: { 'x-session': 'sid=tok' } });

    for (const [code, expected] of [
      [200, 200],
      [201, 503],
      [418, 401],
      [500, 503],
    ] as const) {
      answer = [code, {}];
      t.equal(await status('/statuses', 'tok'), expected, `${code} from the service`);
    }

    answer = [200, []];
    t.equal(await status('/pointers', 'tok'), 503, 'nothing where it should be');
    const document = {
      ok: true,
      user: { id: 42, name: 'Zoë' },
      grants: [{ scopes: ['a', 'b'] }],
      'x/y': true,
    };
    answer = [200, document];
    t.equal(await status('/pointers', 'tok'), 200);
    t.match(upstream.seen.at(-1)?.headers, {
      'x-user-id': '42',
      'x-scopes': 'a,b',
      'x-odd': 'true',
      'x-name': 'Zo%C3%AB',
    });
    t.equal(
      (await gateway.admin('POST', '/v1/revocations', { issuer: 'pointers', subject: '42' })).status,
      201,
      'a numeric subject can be revoked by its digits',
    );
    await until(async () => (await status('/pointers', 'tok')) === 401);
    answer = [200, { ...document, ok: false }];
    t.equal(await status('/pointers', 'tok2'), 401);
    answer = [200, { ...document, ok: 'true' }];
    t.equal(await status('/pointers', 'tok3'), 503, 'only a boolean says it');
  },
);

/** Tokens checked by RFC 7662 introspection. Rules I1 to I7. */
import t, { type Test } from 'tap';
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { ConfigurationError } from '../../src/config/load.ts';
import { CLIENT, COOKIE_API, OPAQUE_RESOURCE, startIssuer } from '../../demo/issuer.ts';
import { send } from '../support/client.ts';
import { advance, loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { claimsOf, createKey, ISSUER, mint, nowSeconds } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const key = createKey();

interface Asked {
  readonly method: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly form: Record<string, string>;
}

interface Introspector {
  readonly url: string;
  readonly asked: Asked[];
  /** What it says of a token; inactive by default. */
  responses: Record<string, unknown>;
  instead: ((response: ServerResponse) => void) | undefined;
}

async function startIntrospector(t: Test): Promise<Introspector> {
  const url = await startServer(t, (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const form = Object.fromEntries(new URLSearchParams(body));
      introspector.asked.push({ method: request.method, headers: request.headers, form });
      if (introspector.instead) introspector.instead(response);
      else json(response, introspector.responses[form['token'] ?? ''] ?? { active: false });
    });
  });
  const introspector: Introspector = {
    url: `${url}/introspect`,
    asked: [],
    responses: {},
    instead: undefined,
  };
  return introspector;
}

function json(response: ServerResponse, body: unknown): void {
  response
    .writeHead(200, { 'content-type': 'application/json' })
    .end(typeof body === 'string' ? body : JSON.stringify(body));
}

const partnerAt = (
  url: string,
  changes: Record<string, unknown> = {},
  issuer: Record<string, unknown> = {},
) => ({
  introspection: { url, client_id: 'gateway', client_secret: 's3cret: +/%', timeout: '60s', ...changes },
  ...issuer,
});

async function start(
  t: Test,
  issuers: Record<string, unknown>,
  clock = new ManualClock(),
): Promise<TestGateway> {
  return startGateway(
    t,
    {
      issuers,
      routes: [
        ...Object.keys(issuers).map((name) => ({
          name,
          match: { path_prefix: `/${name}` },
          upstream: 'u',
          auth: { issuers: [name] },
        })),
        {
          name: 'scoped',
          match: { path_prefix: '/scoped' },
          upstream: 'u',
          auth: { issuers: Object.keys(issuers).slice(0, 1), scopes: ['write'] },
        },
        { name: 'all', match: { path_prefix: '/' }, upstream: 'u', auth: { issuers: Object.keys(issuers) } },
      ],
      upstreams: { u: { targets: [upstream.url] } },
    },
    { clock },
  );
}
const get = (gateway: TestGateway, token: string, path = '/') => send(gateway.url, path, { token });

t.test('I1 a POST with client authentication, by Basic or in the form', async (t) => {
  const introspector = await startIntrospector(t);
  introspector.responses['opaque-1'] = {
    active: true,
    sub: 'olga',
    client_id: 'app',
    scope: 'read',
    username: 'o',
  };
  const gateway = await start(t, {
    basic: partnerAt(introspector.url, {}, { token_prefix: 'opaque' }),
    post: partnerAt(introspector.url, { auth_method: 'client_secret_post' }, { token_prefix: 'p_' }),
  });
  t.equal((await get(gateway, 'opaque-1', '/basic')).status, 200);
  t.match(upstream.seen.at(-1)?.headers, { 'x-user-id': 'olga', 'x-client-id': 'app', 'x-scopes': 'read' });
  await get(gateway, 'p_opaque', '/post');
  const [basic, post] = introspector.asked;
  // RFC 6749 section 2.3.1: both halves are form-encoded first.
  const credentials = Buffer.from(basic?.headers.authorization?.split(' ')[1] ?? '', 'base64').toString();
  t.equal(credentials, 'gateway:s3cret%3A+%2B%2F%25');
  t.match(basic, {
    method: 'POST',
    headers: { 'content-type': /^application\/x-www-form-urlencoded/, accept: 'application/json' },
    form: { token: 'opaque-1', token_type_hint: 'access_token' },
  });
  t.equal(post?.headers.authorization, undefined);
  t.match(post?.form, { token: 'p_opaque', client_id: 'gateway', client_secret: 's3cret: +/%' });
});

t.test('I1 client_secret_basic is form-encoded: hyphens and the like stay as they are', async (t) => {
  const introspector = await startIntrospector(t);
  const gateway = await start(t, {
    partner: partnerAt(introspector.url, {
      client_id: 'my-gateway_1.example*',
      client_secret: "a-b_c.d*e~f g+h:i/j%k&l=m'n(o)p!q@r£é",
    }),
  });
  await get(gateway, 'opaque');
  const credentials = Buffer.from(
    introspector.asked[0]?.headers.authorization?.split(' ')[1] ?? '',
    'base64',
  ).toString('latin1');
  const [id = '', secret = ''] = credentials.split(':');
  t.equal(id, 'my-gateway_1.example*');
  t.equal(secret, 'a-b_c.d*e%7Ef+g%2Bh%3Ai%2Fj%25k%26l%3Dm%27n%28o%29p%21q%40r%C2%A3%C3%A9');
  t.equal(decodeURIComponent(secret.replaceAll('+', ' ')), "a-b_c.d*e~f g+h:i/j%k&l=m'n(o)p!q@r£é");
});

t.test('I4 a cached response is not used after its exp, whatever the skew', async (t) => {
  const introspector = await startIntrospector(t);
  const clock = new ManualClock();
  const gateway = await start(t, { partner: partnerAt(introspector.url, {}, { clock_skew: '1m' }) }, clock);
  const ending = { active: true, sub: 'olga', exp: nowSeconds() + 20 };
  introspector.responses['one'] = introspector.responses['two'] = ending;
  for (const token of ['one', 'two', 'one', 'two']) t.equal((await get(gateway, token)).status, 200);
  t.equal(introspector.asked.length, 2);
  await advance(gateway, clock, 21_000);
  introspector.responses['two'] = { active: false };
  const before = upstream.seen.length;
  t.equal((await get(gateway, 'two')).status, 401, 'the server has the last word');
  t.equal(upstream.seen.length, before);
  t.equal((await get(gateway, 'one')).status, 200, 'within the skew, if the server says so');
  t.equal((await get(gateway, 'one')).status, 200);
  t.equal(introspector.asked.length, 5, 'and it is asked each time');
});

t.test('I4 A9 a cached response is not used after its exp when the clock is set back', async (t) => {
  const introspector = await startIntrospector(t);
  const clock = new ManualClock();
  const gateway = await start(t, { partner: partnerAt(introspector.url) }, clock);
  introspector.responses['one'] = { active: true, sub: 'olga', exp: nowSeconds() + 20 };
  t.equal((await get(gateway, 'one')).status, 200);
  clock.stepWall(-3_600_000);
  await advance(gateway, clock, 21_000);
  introspector.responses['one'] = { active: false };
  const before = upstream.seen.length;
  t.equal((await get(gateway, 'one')).status, 401);
  t.equal(upstream.seen.length, before);
});

t.test('I4 a cached response is not used after its exp when the clock is set forward', async (t) => {
  const introspector = await startIntrospector(t);
  const clock = new ManualClock();
  const gateway = await start(t, { partner: partnerAt(introspector.url) }, clock);
  introspector.responses['one'] = { active: true, sub: 'olga', exp: nowSeconds() + 20 };
  t.equal((await get(gateway, 'one')).status, 200);
  clock.stepWall(25_000);
  introspector.responses['one'] = { active: false };
  const before = upstream.seen.length;
  t.equal((await get(gateway, 'one')).status, 401);
  t.equal(upstream.seen.length, before);
});

t.test('I2 only the boolean true is active', async (t) => {
  const introspector = await startIntrospector(t);
  const gateway = await start(t, { partner: partnerAt(introspector.url) });
  const before = upstream.seen.length;
  const oddResponses = [
    { active: 'true' },
    { active: 1 },
    { active: null },
    {},
    [],
    [{ active: true }],
    'true',
    '{"active":false,"active":true}',
    '{"Active":true}',
    '{"active":true',
    '\ufeff{"active":true}',
  ];
  for (const [index, answer] of oddResponses.entries()) {
    introspector.instead = (response) => json(response, answer);
    t.equal((await get(gateway, `odd-${index}`)).status, 503, JSON.stringify(answer));
    introspector.instead = undefined;
    t.match(await get(gateway, `none-${index}`), {
      status: 401,
      headers: { 'www-authenticate': /error="invalid_token"/ },
    });
  }
  t.equal(upstream.seen.length, before);
});

t.test('I3 what the response says is checked by us, on every use', async (t) => {
  const introspector = await startIntrospector(t);
  const audiences = ['https://api.example.com'];
  const clock = new ManualClock();
  const gateway = await start(
    t,
    {
      partner: partnerAt(introspector.url, {}, { audiences, issuer: 'https://as.example' }),
      login: loginIssuer(key),
    },
    clock,
  );
  const now = nowSeconds();
  const good = {
    active: true,
    sub: 's',
    aud: audiences,
    iss: 'https://as.example',
    exp: now + 600,
    scope: 'read',
  };
  const refused: Record<string, unknown> = {
    'no aud': { ...good, aud: undefined },
    'null for aud': { ...good, aud: null },
    'another aud': { ...good, aud: 'other' },
    'aud that is no list of strings': { ...good, aud: [['https://api.example.com']] },
    'another iss': { ...good, iss: 'https://evil.example' },
    'the iss of another issuer': { ...good, iss: ISSUER },
    expired: { ...good, exp: now - 60 },
    'exp as text': { ...good, exp: String(now + 600) },
    'not yet valid': { ...good, nbf: now + 600 },
    'issued in the future': { ...good, iat: now + 60 },
    bound: { ...good, cnf: { jkt: 'x' } },
    'bound by type': { ...good, token_type: 'DPoP' },
    'an object for sub': { ...good, sub: { a: 1 } },
  };
  Object.assign(introspector.responses, refused, { good });
  for (const name of Object.keys(refused)) {
    const token = name.replaceAll(' ', '-');
    introspector.responses[token] = refused[name];
    t.equal((await get(gateway, token)).status, 401, name);
  }
  t.equal((await get(gateway, 'good')).status, 200);
  for (const name of ['iss', 'exp', 'nbf', 'iat', 'jti', 'sub', 'client_id', 'token_type']) {
    introspector.responses[`null-${name}`] = { ...good, [name]: null };
    t.equal((await get(gateway, `null-${name}`)).status, 200, `null says nothing of ${name}`);
  }
  t.equal(
    (await get(gateway, 'good', '/scoped')).status,
    403,
    'C9 cached for one scope, refused for another',
  );
  introspector.responses['short'] = { ...good, exp: now + 10 };
  t.equal((await get(gateway, 'short')).status, 200);
  await advance(gateway, clock, 41_000);
  t.equal((await get(gateway, 'short')).status, 401, 'expired meanwhile');
});

t.test('I5 C9 what one server says of a token is nothing to another', async (t) => {
  const [a, b] = [await startIntrospector(t), await startIntrospector(t)];
  a.responses['shared'] = { active: true, sub: 'at-a' };
  const overlapping = start(t, {
    a: partnerAt(a.url, {}, { token_prefix: 'shared' }),
    b: partnerAt(b.url, {}, { token_prefix: 'share' }),
  });
  await t.rejects(overlapping, ConfigurationError, 'prefixes that overlap are a configuration error');
  const apart = await startGateway(t, {
    issuers: { a: partnerAt(a.url), b: partnerAt(b.url) },
    routes: ['a', 'b'].map((name) => ({
      name,
      match: { path_prefix: `/${name}` },
      upstream: 'u',
      auth: { issuers: [name] },
    })),
    upstreams: { u: { targets: [upstream.url] } },
  });
  t.equal((await get(apart, 'shared', '/a')).status, 200);
  t.equal((await get(apart, 'shared', '/b')).status, 401);
  t.equal((await get(apart, 'shared', '/a')).status, 200);
  t.strictSame([a.asked.length, b.asked.length], [1, 1]);
});

t.test(
  'I6 I7 I8 B10 a server that fails in any way makes no token bad: 503 for this one, briefly, without asking again',
  async (t) => {
    const faults: Record<string, (response: ServerResponse) => void> = {
      'I6 401: our own credentials': (response) => void response.writeHead(401).end(),
      'I6 403': (response) => void response.writeHead(403).end(),
      'HTML with 200': (response) =>
        void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>ok</p>'),
      'a gzip bomb': (response) =>
        void response
          .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
          .end(gzipSync(Buffer.alloc(50_000_000, 0x20))),
      'more than a mebibyte': (response) =>
        json(response, `{"active":true,"pad":"${'x'.repeat(1_100_000)}"}`),
      '302 to somewhere else': (response) =>
        void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
      '500': (response) => void response.writeHead(500).end('{"active":true}'),
      '204': (response) => void response.writeHead(204).end(),
      'a broken connection': (response) => response.socket?.destroy(),
      'a slow drip': (response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        const drip = setInterval(() => response.write(' '), 20);
        response.on('close', () => clearInterval(drip));
      },
    };
    for (const [name, fault] of Object.entries(faults)) {
      const introspector = await startIntrospector(t);
      const clock = new ManualClock();
      const timeout = name === 'a slow drip' ? '2s' : '60s';
      const gateway = await start(t, { partner: partnerAt(introspector.url, { timeout }) }, clock);
      introspector.instead = fault;
      introspector.responses['good'] = { active: true, sub: 'x' };
      for (let tries = 0; tries < 3; tries++)
        t.match(
          await get(gateway, 'good'),
          {
            status: 503,
            problem: { code: 'introspection_unavailable' },
            headers: { 'retry-after': /^\d+$/ },
          },
          name,
        );
      introspector.instead = undefined;
      t.equal((await get(gateway, 'good')).status, 503, 'the server is not asked about it again');
      t.equal(introspector.asked.length, 1);
      introspector.responses['another'] = { active: true, sub: 'y' };
      t.equal((await get(gateway, 'another')).status, 200, `I11 it concerns that token alone: ${name}`);
      await advance(gateway, clock, 1_100);
      t.equal((await get(gateway, 'good')).status, 200, `recovers from: ${name}`);
      t.equal(
        await gateway.metric('sallyport_introspection_requests_total{issuer="partner",result="error"}'),
        1,
      );
    }
  },
);

t.test(
  'jwt: true: JWTs of no configured issuer are introspected; their identity is their content',
  async (t) => {
    const introspector = await startIntrospector(t);
    const partnerKey = createKey('RS256');
    const gateway = await start(t, {
      partner: partnerAt(introspector.url, { jwt: true, cache: '0s' }, { issuer: 'https://as.example' }),
      login: loginIssuer(key),
    });
    const jwt = mint(partnerKey, claimsOf({ iss: 'https://as.example', jti: undefined }));
    introspector.responses[jwt] = { active: true, sub: 'pat', iss: 'https://as.example' };
    t.equal((await get(gateway, jwt)).status, 200);
    t.equal((await get(gateway, mint(key))).status, 200, 'the JWT issuer of the route verifies its own');
    t.equal((await get(gateway, mint(partnerKey, claimsOf({ iss: 'https://other.example' })))).status, 401);
    t.equal(introspector.asked.length, 1, 'neither of these was sent anywhere');
    t.equal(
      (await get(gateway, `${jwt}=`)).status,
      401,
      'J0 another spelling is no JWT, and is sent to no server',
    );
    t.equal(introspector.asked.length, 1);
    const revoked = await gateway.admin('POST', '/v1/revocations', { token: jwt });
    t.equal(revoked.status, 201);
    await until(async () => (await get(gateway, jwt)).status === 401);
    const twin = `${jwt.slice(0, jwt.lastIndexOf('.'))}.${Buffer.alloc(256, 7).toString('base64url')}`;
    introspector.responses[twin] = introspector.responses[jwt];
    t.equal((await get(gateway, twin)).status, 401, 'with another signature it is the same token');
  },
);

t.test('a real authorization server: opaque tokens, revoked at their source', async (t) => {
  const issuer = await startIssuer(0);
  t.teardown(() => issuer.close());
  const gateway = await start(t, {
    partner: {
      introspection: {
        url: `${issuer.url}/token/introspection`,
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        cache: '0s',
      },
      audiences: [COOKIE_API],
    },
  });
  const post = async (path: string, form: Record<string, string>): Promise<Record<string, string>> => {
    const response = await fetch(`${issuer.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(`${CLIENT.id}:${CLIENT.secret}`)}` },
      body: new URLSearchParams(form),
    });
    const text = await response.text();
    return text === '' ? {} : (JSON.parse(text) as Record<string, string>);
  };
  const { access_token: token = '' } = await post('/token', {
    grant_type: 'client_credentials',
    scope: 'cookies:read',
    resource: OPAQUE_RESOURCE,
  });
  t.notMatch(token, /\./, 'opaque');
  t.equal((await get(gateway, token)).status, 401, 'for another audience');
  const open = await start(t, {
    partner: {
      introspection: {
        url: `${issuer.url}/token/introspection`,
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        auth_method: 'client_secret_basic',
        cache: '0s',
      },
      audiences: [OPAQUE_RESOURCE],
    },
  });
  t.equal((await get(open, token)).status, 200);
  t.match(upstream.seen.at(-1)?.headers, { 'x-client-id': CLIENT.id, 'x-scopes': 'cookies:read' });
  await post('/token/revocation', { token });
  t.equal((await get(open, token)).status, 401, 'the server has revoked it');
});

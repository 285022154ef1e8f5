/** What an authority for opaque tokens does to one token must not refuse another. Rules I6, I11, C23. */
import t, { type Test } from 'tap';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import {
  introspectedBy,
  json,
  startFallibleServer,
  validatedBy,
  type FallibleServer,
  type Behaviour,
} from '../support/fallible-authorization-server.ts';
import { send, type Response } from '../support/client.ts';
import { advance, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);

async function start(
  t: Test,
  issuer: Record<string, unknown>,
): Promise<{ gateway: TestGateway; clock: ManualClock }> {
  const clock = new ManualClock();
  const gateway = await startGateway(
    t,
    {
      issuers: { partner: issuer },
      trusted_proxies: ['127.0.0.1'],
      routes: [{ name: 'all', match: { path_prefix: '/' }, upstream: 'u', auth: { issuers: ['partner'] } }],
      upstreams: { u: { targets: [upstream.url] } },
    },
    { clock },
  );
  return { gateway, clock };
}

const ATTACKER = '203.0.113.66';
const OTHER = '198.51.100.7';

const get = (gateway: TestGateway, token: string, client = OTHER): Promise<Response> =>
  send(gateway.url, '/', { token, headers: ['x-forwarded-for', client] });

const UNAVAILABLE = {
  status: 503,
  problem: { code: 'introspection_unavailable' },
  headers: { 'retry-after': /^\d+$/ },
};

/** What a token may provoke. */
const provoked: Record<string, Behaviour> = {
  '400': 400,
  '401': 401,
  '403': 403,
  '404': 404,
  '408': 408,
  '422': (response) => json(response, 422, { error: 'invalid_request' }),
  '500': 500,
  '502': 502,
  '503 without Retry-After': 503,
  '504': 504,
  'a redirect': (response) => void response.writeHead(302, { location: '/' }).end(),
  'no JSON': (response) => void response.end('<html>'),
  'a broken connection': (response) => void response.socket?.destroy(),
  'no response': () => undefined,
};

for (const [kind, issuerOf] of Object.entries({ introspectedBy, validatedBy })) {
  for (const [name, behaviour] of Object.entries(provoked)) {
    t.test(`C23 ${kind}: tokens that provoke ${name} refuse no token of another client`, async (t) => {
      const authority = await startFallibleServer(t);
      const timeout = name === 'no response' ? '3s' : '60s';
      const { gateway } = await start(t, issuerOf(authority, { invalid: undefined, timeout }));
      authority.otherwise = behaviour;
      const attack = Array.from({ length: 10 }, (_, index) => get(gateway, `garbage-${index}`, ATTACKER));
      for (let index = 0; index < 10; index++) {
        authority.tokens.set(`good-${index}`, { active: true, sub: 'olga' });
        t.equal((await get(gateway, `good-${index}`)).status, 200, 'meanwhile');
      }
      const before = upstream.seen.length;
      for (const response of await Promise.all(attack)) t.ok([401, 503].includes(response.status), name);
      t.equal(upstream.seen.length, before);
      for (const token of ['good-10', 'good-11']) {
        authority.tokens.set(token, { active: true, sub: 'olga' });
        t.equal((await get(gateway, token)).status, 200, 'and afterwards');
      }
    });
  }
}

t.test('only invalid_token in a response of 400, 401 or 422 makes a token bad', async (t) => {
  const authority = await startFallibleServer(t);
  const { gateway } = await start(t, introspectedBy(authority));
  const before = upstream.seen.length;
  let count = 0;
  const statusFor = async (behaviour: Behaviour): Promise<Response> => {
    const token = `token-${count++}`;
    authority.tokens.set(token, behaviour);
    return get(gateway, token);
  };
  for (const status of [400, 401, 422]) {
    t.match(
      await statusFor((response) => json(response, status, { error: 'invalid_token' })),
      { status: 401, headers: { 'www-authenticate': /error="invalid_token"/ } },
      `${status} invalid_token`,
    );
    for (const error of [
      'invalid_request',
      'invalid_client',
      'unauthorized_client',
      'INVALID_TOKEN',
      ['invalid_token'],
    ])
      t.match(
        await statusFor((response) => json(response, status, { error })),
        UNAVAILABLE,
        `${status} ${String(error)}`,
      );
    t.match(
      await statusFor((response) => void response.writeHead(status).end('{"error":"invalid_token"}')),
      UNAVAILABLE,
      'without a content type',
    );
  }
  for (const status of [403, 404, 500])
    t.match(await statusFor((response) => json(response, status, { error: 'invalid_token' })), UNAVAILABLE);
  t.equal(upstream.seen.length, before);
});

for (const [name, status, headers, seconds] of [
  ['429 with Retry-After', 429, { 'retry-after': '7' }, 7],
  ['503 with Retry-After', 503, { 'retry-after': '3' }, 3],
  ['429 with a Retry-After of an hour', 429, { 'retry-after': '3600' }, 10],
  ['429 without Retry-After', 429, {}, 1],
  ['429 with a Retry-After that is none', 429, { 'retry-after': 'soon' }, 1],
  ['503 with a date', 503, { 'retry-after': new Date(Date.now() + 3_600_000).toUTCString() }, 10],
] as const) {
  t.test(
    `a server that responds with ${name} is left alone for ${seconds} s by this client; cached tokens pass`,
    async (t) => {
      const authority = await startFallibleServer(t);
      authority.otherwise = { active: true, sub: 'olga' };
      const { gateway, clock } = await start(t, introspectedBy(authority));
      t.equal((await get(gateway, 'cached')).status, 200);
      authority.tokens.set('one', (response) => void response.writeHead(status, headers).end());
      const before = upstream.seen.length;
      t.match(await get(gateway, 'one'), { ...UNAVAILABLE, headers: { 'retry-after': String(seconds) } });
      const asked = authority.asked.length;
      t.match(await get(gateway, 'two'), UNAVAILABLE);
      t.equal(authority.asked.length, asked, 'it was not asked');
      t.equal(upstream.seen.length, before);
      t.equal((await get(gateway, 'cached')).status, 200);
      await advance(gateway, clock, seconds * 1000 + 50);
      t.equal((await get(gateway, 'two')).status, 200);
      t.equal(
        await gateway.metric('sallyport_introspection_requests_total{issuer="partner",result="busy"}'),
        1,
      );
    },
  );
}

/** Calls that wait until the test lets them go. */
function held(authority: FallibleServer): () => void {
  const waiting: (() => void)[] = [];
  authority.otherwise = (response) =>
    void waiting.push(() => json(response, 200, { active: true, sub: 'olga' }));
  return () => {
    for (const go of waiting.splice(0)) go();
  };
}

for (const [name, mine, others] of [
  ['an address', [ATTACKER], [OTHER]],
  ['one IPv6 /64', ['2001:db8:0:1::1', '2001:db8:0:1:ffff::2'], ['2001:db8:0:2::1']],
] as const) {
  t.test(`C23 ${name} has at most per_client.in_flight calls at a time`, async (t) => {
    const authority = await startFallibleServer(t);
    const { gateway } = await start(
      t,
      introspectedBy(authority, { per_client: { in_flight: 4 }, timeout: '60s' }),
    );
    const release = held(authority);
    const waiting = Array.from({ length: 4 }, (_, index) =>
      get(gateway, `mine-${index}`, mine[index % mine.length]),
    );
    await until(() => authority.open() === 4);
    const before = upstream.seen.length;
    t.match(await get(gateway, 'one-more', mine[0]), UNAVAILABLE);
    t.equal(authority.asked.length, 4);
    t.equal(upstream.seen.length, before);
    waiting.push(get(gateway, 'theirs', others[0]));
    await until(() => authority.open() === 5);
    release();
    for (const response of await Promise.all(waiting)) t.equal(response.status, 200);
    authority.otherwise = { active: true };
    t.equal(
      (await get(gateway, 'one-more', mine[0])).status,
      200,
      'what was refused for that is not remembered',
    );
    t.equal(
      await gateway.metric('sallyport_introspection_requests_total{issuer="partner",result="limited"}'),
      1,
    );
  });
}

t.test(
  'C23 an address that asks more than per_client.per_second gets 503 until the next second',
  async (t) => {
    const authority = await startFallibleServer(t);
    authority.otherwise = { active: true };
    const { gateway, clock } = await start(t, validatedBy(authority, { per_client: { per_second: 3 } }));
    let count = 0;
    const burst = (): Promise<Response[]> =>
      Promise.all(Array.from({ length: 10 }, () => get(gateway, `token-${count++}`, ATTACKER)));
    const refused: Response[] = [];
    // Under load a burst may take longer than a second.
    await until(async () => refused.push(...(await burst()).filter(({ status }) => status !== 200)) > 0);
    for (const response of refused) t.match(response, UNAVAILABLE);
    t.ok(count - refused.length >= 3);
    await advance(gateway, clock, 1_100);
    t.equal((await get(gateway, 'the-next', ATTACKER)).status, 200);
  },
);

t.test('I11 B10 a server that cannot be reached is left alone; one probe finds it again', async (t) => {
  const gone = createServer();
  gone.listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const { port } = gone.address() as AddressInfo;
  gone.close();
  await once(gone, 'close');
  const url = `http://127.0.0.1:${port}`;
  const { gateway, clock } = await start(t, {
    introspection: { url, client_id: 'gateway', client_secret: 'secret' },
  });
  const before = upstream.seen.length;
  for (let index = 0; index < 5; index++) t.match(await get(gateway, 'good'), UNAVAILABLE);
  t.equal(await gateway.metric('sallyport_introspection_requests_total{issuer="partner",result="error"}'), 3);
  t.equal(
    await gateway.metric('sallyport_introspection_requests_total{issuer="partner",result="circuit_open"}'),
    2,
  );
  t.equal(upstream.seen.length, before);
  const back = createServer((_, response) => json(response, 200, { active: true }));
  back.listen(port, '127.0.0.1');
  t.teardown(() => back.close());
  await once(back, 'listening');
  await advance(gateway, clock, 1_100);
  t.equal((await get(gateway, 'good')).status, 200);
  t.equal((await get(gateway, 'another', ATTACKER)).status, 200);
});

t.test('a server that hangs is left alone by the client whose tokens hang, then by everyone', async (t) => {
  const authority = await startFallibleServer(t);
  authority.otherwise = () => undefined;
  const { gateway, clock } = await start(t, introspectedBy(authority, { timeout: '2s' }));
  const hanging = Array.from({ length: 3 }, (_, index) => get(gateway, `good-${index}`, OTHER));
  for (const response of await Promise.all(hanging)) t.match(response, UNAVAILABLE);
  t.match(await get(gateway, 'good-4', OTHER), UNAVAILABLE);
  t.equal(authority.asked.length, 3);
  t.match(await get(gateway, 'good-5', ATTACKER), UNAVAILABLE);
  t.equal(authority.asked.length, 4);
  t.match(await get(gateway, 'good-6', '192.0.2.9'), UNAVAILABLE);
  t.equal(authority.asked.length, 4, 'tokens of two clients hang: it is down');
  authority.otherwise = { active: true };
  await advance(gateway, clock, 1_100);
  t.equal((await get(gateway, 'good-7', OTHER)).status, 200);
});

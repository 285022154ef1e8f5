/** Tokens of a key that was just rotated in: they wait or get 503, and never 401. Rules K0, K2. */
import t, { type Test } from 'tap';
import { connect } from 'node:net';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { send, type Response } from '../support/client.ts';
import { advance, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { AUDIENCE, claimsOf, createKey, ISSUER, mint, type SigningKey } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);

interface KeyServer {
  readonly url: string;
  keys: Record<string, unknown>[];
  fetches: number;
  /** Responds instead, where it is set. */
  instead: ((response: ServerResponse) => void) | undefined;
}

async function startKeyServer(t: Test, ...keys: SigningKey[]): Promise<KeyServer> {
  const server: KeyServer = {
    url: await startServer(t, (_request, response) => {
      server.fetches++;
      if (server.instead) server.instead(response);
      else response.end(JSON.stringify({ keys: server.keys }));
    }),
    keys: keys.map(({ jwk }) => jwk),
    fetches: 0,
    instead: undefined,
  };
  return server;
}

const gatewayFor = (t: Test, { url }: KeyServer, clock: ManualClock, changes = {}): Promise<TestGateway> =>
  startGateway(
    t,
    {
      trusted_proxies: ['127.0.0.1'],
      issuers: { login: { issuer: ISSUER, audiences: [AUDIENCE], jwks_url: `${url}/jwks`, ...changes } },
      routes: [{ name: 'r', match: { path_prefix: '/' }, upstream: 'u' }],
      upstreams: { u: { targets: [upstream.url] } },
    },
    { clock },
  );

const from = (gateway: TestGateway, token: string, ip: string): Promise<Response> =>
  send(gateway.url, '/', { token, headers: ['x-forwarded-for', ip] });
const waiting = (gateway: TestGateway, count: number): Promise<void> =>
  until(() => gateway.instance.inFlight.count === count);

t.test(
  'K0 a token of a key that came a moment after a fetch waits for the next one, and passes',
  async (t) => {
    const clock = new ManualClock();
    const [old, fresh] = [createKey(), createKey()];
    const server = await startKeyServer(t, old);
    const gateway = await gatewayFor(t, server, clock);
    server.keys = [old.jwk, fresh.jwk];
    const response = from(gateway, mint(fresh), '192.0.2.1');
    await waiting(gateway, 1);
    t.equal(server.fetches, 1, 'the cooldown holds');
    t.equal((await from(gateway, mint(old), '192.0.2.1')).status, 200, 'a known key waits for nothing');
    await advance(gateway, clock, 5_001);
    t.equal((await response).status, 200);
    t.equal(server.fetches, 2);
  },
);

t.test(
  'K0 a token of a key that the authority does not have is 401, once a later fetch says so',
  async (t) => {
    const clock = new ManualClock();
    const server = await startKeyServer(t, createKey());
    const gateway = await gatewayFor(t, server, clock);
    const before = upstream.seen.length;
    const response = from(gateway, mint(createKey()), '192.0.2.1');
    await waiting(gateway, 1);
    await advance(gateway, clock, 5_001);
    t.match(await response, { status: 401, problem: { code: 'invalid_token' } });
    t.equal(upstream.seen.length, before);
  },
);

t.test('K0 a fetch in flight when the request arrives does not count against its token', async (t) => {
  const clock = new ManualClock();
  const [old, fresh] = [createKey(), createKey()];
  const server = await startKeyServer(t, old);
  const gateway = await gatewayFor(t, server, clock);
  let held: ServerResponse | undefined;
  server.instead = (response) => (held = response);
  await advance(gateway, clock, 5_001);
  const first = from(gateway, mint(fresh), '192.0.2.1');
  await until(() => held !== undefined);
  // What this fetch has read is from before the rotation.
  const stale = JSON.stringify({ keys: [old.jwk] });
  server.instead = undefined;
  server.keys = [old.jwk, fresh.jwk];
  const second = from(gateway, mint(fresh), '192.0.2.2');
  await waiting(gateway, 2);
  held?.end(stale);
  t.equal((await first).status, 401, 'its fetch began when the key was not yet there');
  await advance(gateway, clock, 5_001);
  t.equal((await second).status, 200, 'it had to wait for a fetch of its own');
});

t.test(
  'K0 tokens without kid wait for a new key too; one with a known kid and a bad signature does not',
  async (t) => {
    const clock = new ManualClock();
    const [old, fresh] = [createKey(), createKey()];
    const bare = ({ jwk }: SigningKey): Record<string, unknown> => ({ ...jwk, kid: undefined });
    const server = await startKeyServer(t, old);
    server.keys = [bare(old)];
    const gateway = await gatewayFor(t, server, clock);
    server.keys = [bare(fresh)];
    const responses = [fresh, createKey()].map((key) =>
      from(gateway, mint(key, claimsOf(), { kid: undefined }), '192.0.2.1'),
    );
    await waiting(gateway, 2);
    await advance(gateway, clock, 5_001);
    t.strictSame(
      (await Promise.all(responses)).map(({ status }) => status),
      [200, 401],
    );
    server.keys = [fresh.jwk];
    await advance(gateway, clock, 301_000);
    await until(() => server.fetches === 3);
    await until(async () => (await from(gateway, mint(fresh), '192.0.2.1')).status === 200);
    const forged = mint(createKey(), claimsOf(), { kid: fresh.kid });
    t.equal((await from(gateway, forged, '192.0.2.1')).status, 401, 'at once');
  },
);

t.test('K0 what no key can make good is refused before anything waits', async (t) => {
  const clock = new ManualClock();
  const server = await startKeyServer(t, createKey());
  const gateway = await gatewayFor(t, server, clock);
  const stranger = createKey();
  const bad: Record<string, string> = {
    'another issuer': mint(stranger, claimsOf({ iss: 'https://stranger.example' })),
    'an algorithm that is not accepted': mint(stranger, claimsOf(), { alg: 'ES512' }),
    'another type': mint(stranger, claimsOf(), { typ: 'logout+jwt' }),
    'a kid that is too long': mint(stranger, claimsOf(), { kid: 'x'.repeat(129) }),
    'another spelling': `${mint(stranger)}=`,
  };
  const before = upstream.seen.length;
  for (const [name, token] of Object.entries(bad))
    t.equal((await from(gateway, token, '192.0.2.1')).status, 401, name);
  t.equal(server.fetches, 1);
  t.equal(upstream.seen.length, before);
});

t.test(
  'K0 at most 64 wait for an issuer, 4 of a client, 6 s; beyond that 503 with Retry-After',
  async (t) => {
    const clock = new ManualClock();
    const server = await startKeyServer(t, createKey());
    const gateway = await gatewayFor(t, server, clock);
    const before = upstream.seen.length;
    const ask = (ip: string): Promise<Response> => from(gateway, mint(createKey()), ip);
    const refused = { status: 503, problem: { code: 'keys_unavailable' }, headers: { 'retry-after': '5' } };
    // A client of IPv6 has a /64.
    const ips = [
      '192.0.2.1',
      '2001:db8::',
      ...Array.from({ length: 14 }, (_, index) => `198.51.100.${index}`),
    ];
    const held = ips.flatMap((ip) => [1, 2, 3, 4].map((n) => ask(ip.replace(/::$/, `::${n}`))));
    await waiting(gateway, 64);
    t.match(await ask('192.0.2.1'), refused, 'a fifth of one client');
    t.match(await ask('2001:db8:0:0:ffff::1'), refused, 'a fifth of one /64');
    t.match(await ask('203.0.113.9'), refused, 'a client that has none waiting, when 64 wait');
    // The fetch for all of them hangs: after 6 s nothing waits any more.
    server.instead = () => undefined;
    await advance(gateway, clock, 5_001);
    await until(() => server.fetches === 2);
    clock.advance(1_001);
    for (const response of await Promise.all(held)) t.match(response, refused);
    t.equal(upstream.seen.length, before);
  },
);

t.test(
  'K0 while the authority is down a new kid is 503 at once: it does not wait for the next failure',
  async (t) => {
    const clock = new ManualClock();
    const server = await startKeyServer(t, createKey());
    const gateway = await gatewayFor(t, server, clock);
    server.instead = (response) => void response.writeHead(500).end();
    const first = from(gateway, mint(createKey()), '192.0.2.1');
    await waiting(gateway, 1);
    await advance(gateway, clock, 5_001);
    t.equal((await first).status, 503);
    t.equal((await from(gateway, mint(createKey()), '192.0.2.1')).status, 503);
    t.equal(server.fetches, 2);
  },
);

t.test('K0 a request that waits is not asked for its body', async (t) => {
  const clock = new ManualClock();
  const [old, fresh] = [createKey(), createKey()];
  const server = await startKeyServer(t, old);
  const gateway = await gatewayFor(t, server, clock);
  server.keys = [fresh.jwk];
  const socket = connect(gateway.port, '127.0.0.1');
  let received = '';
  socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')));
  socket.write(
    `POST /body HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 4\r\n` +
      `Authorization: Bearer ${mint(fresh)}\r\n\r\n`,
  );
  await waiting(gateway, 1);
  t.equal(received, '');
  await advance(gateway, clock, 5_001);
  await until(() => received.includes('100 Continue'));
  socket.write('body');
  await once(socket, 'close');
  t.match(received, /HTTP\/1\.1 200 /);
  t.equal(upstream.seen.at(-1)?.body, 'body');
});

/** Keys behind a URL: loaded at start, found by discovery, rotated, withdrawn, unreachable. Rules K1 to K5. */
import t, { type Test } from 'tap';
import type { ServerResponse } from 'node:http';
import { send } from '../support/client.ts';
import { startGateway, advance, until, type TestGateway } from '../support/gateway.ts';
import { AUDIENCE, claimsOf, createKey, ISSUER, mint, type SigningKey } from '../support/tokens.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startServer, startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);

interface KeyServer {
  readonly url: string;
  keys: SigningKey[];
  /** Answers instead of the keys, where it is set. */
  instead: ((response: ServerResponse) => void) | undefined;
  fetches: number;
  metadataIssuer: string | undefined;
}

async function startKeyServer(t: Test, ...keys: SigningKey[]): Promise<KeyServer> {
  const url = await startServer(t, (request, response) => {
    if (request.url?.includes('.well-known') === true) {
      const body = { issuer: state.metadataIssuer ?? state.url, jwks_uri: `${state.url}/jwks` };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      return;
    }
    state.fetches++;
    if (state.instead) state.instead(response);
    else
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ keys: state.keys.map(({ jwk }) => jwk) }));
  });
  const state: KeyServer = {
    url,
    keys,
    instead: undefined,
    fetches: 0,
    metadataIssuer: undefined,
  };
  return state;
}

const gatewayFor = (t: Test, issuer: Record<string, unknown>, clock?: ManualClock): Promise<TestGateway> =>
  startGateway(
    t,
    {
      issuers: { login: { issuer: ISSUER, audiences: [AUDIENCE], ...issuer } },
      routes: [{ name: 'r', match: { path_prefix: '/' }, upstream: 'u' }],
      upstreams: { u: { targets: [upstream.url] } },
    },
    clock ? { clock } : {},
  );
const statusOf = async (gateway: TestGateway, token: string): Promise<number> =>
  (await send(gateway.url, '/', { token })).status;

t.test('discovery finds the keys of an issuer, and takes no metadata of another', async (t) => {
  const key = createKey();
  const server = await startKeyServer(t, key);
  const issuer = { issuer: server.url, discovery: true };
  const gateway = await gatewayFor(t, issuer);
  t.equal(await statusOf(gateway, mint(key, claimsOf({ iss: server.url }))), 200);
  server.metadataIssuer = 'https://evil.example';
  const fooled = await gatewayFor(t, issuer);
  t.equal(await statusOf(fooled, mint(key, claimsOf({ iss: server.url }))), 503);
});

t.test(
  'K1 K2 a new key is found when a token first names it; unknown kids are asked for at most once in 5 s',
  async (t) => {
    const clock = new ManualClock();
    const [first, second] = [createKey(), createKey()];
    const server = await startKeyServer(t, first);
    const gateway = await gatewayFor(t, { jwks_url: `${server.url}/jwks` }, clock);
    t.equal(await statusOf(gateway, mint(first)), 200);
    t.equal(server.fetches, 1);
    server.keys = [first, second];
    await advance(gateway, clock, 6_000);
    t.equal(await statusOf(gateway, mint(second)), 200);
    t.equal(server.fetches, 2);
    let answered = 0;
    const flood = Array.from({ length: 20 }, async () => {
      const status = await statusOf(gateway, mint(createKey()));
      answered++;
      return status;
    });
    await until(() => answered === 16);
    t.equal(server.fetches, 2, 'a flood of unknown kids');
    await advance(gateway, clock, 5_001);
    const statuses = await Promise.all(flood);
    t.equal(server.fetches, 3, 'one fetch for all of them');
    t.strictSame(
      [401, 503].map((status) => statuses.filter((each) => each === status).length),
      [4, 16],
      'four of one client wait for it, the others are told to come again',
    );
  },
);

t.test(
  'K3 keys serve while their endpoint is down, up to max_stale; a new kid is 503 then, not 401',
  async (t) => {
    const clock = new ManualClock();
    const key = createKey();
    const server = await startKeyServer(t, key);
    const gateway = await gatewayFor(
      t,
      { jwks_url: `${server.url}/jwks`, keys: { refresh: '5m', max_stale: '1h' } },
      clock,
    );
    server.instead = (response) => void response.writeHead(500).end();
    await advance(gateway, clock, 301_000);
    await until(() => server.fetches === 2);
    await until(
      async () =>
        (await gateway.metric('sallyport_jwks_refreshes_total{issuer="login",result="failure"}')) === 1,
    );
    t.equal(await statusOf(gateway, mint(key, claimsOf())), 200, 'a known key');
    t.equal(await statusOf(gateway, mint(createKey())), 503, 'B10 an unknown one');
    await advance(gateway, clock, 3_600_000);
    t.equal(await statusOf(gateway, mint(key)), 503, 'beyond max_stale');
  },
);

t.test('K5 a key that left the set: its tokens are refused, cached ones too', async (t) => {
  const clock = new ManualClock();
  const [leaving, staying] = [createKey(), createKey()];
  const server = await startKeyServer(t, leaving, staying);
  const gateway = await gatewayFor(t, { jwks_url: `${server.url}/jwks` }, clock);
  const token = mint(leaving);
  t.equal(await statusOf(gateway, token), 200);
  t.equal(await statusOf(gateway, token), 200);
  server.keys = [staying];
  const before = server.fetches;
  await advance(gateway, clock, 301_000);
  await until(() => server.fetches > before);
  // Its kid is unknown now, and may cause a fetch again.
  await advance(gateway, clock, 5_000);
  await until(async () => (await statusOf(gateway, token)) === 401);
  t.equal(await statusOf(gateway, mint(staying)), 200);
});

t.test(
  'K3 K4 an endpoint that is broken at the start: ready all the same, and 503 until it works',
  async (t) => {
    const key = createKey();
    const responses: Record<string, (response: ServerResponse) => void> = {
      'a redirect': (response) => void response.writeHead(302, { location: '/elsewhere' }).end(),
      'no JSON': (response) => void response.end('<html>'),
      'no key set': (response) => void response.end('{"a":1}'),
      'a compressed response': (response) =>
        void response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'),
      'more than 1 MiB': (response) => void response.end(`{"keys":[],"x":"${'x'.repeat(1_100_000)}"}`),
    };
    for (const [name, instead] of Object.entries(responses)) {
      const clock = new ManualClock();
      const server = await startKeyServer(t, key);
      server.instead = instead;
      const gateway = await gatewayFor(t, { jwks_url: `${server.url}/jwks` }, clock);
      t.equal((await fetch(`${gateway.adminUrl}/readyz`)).status, 200, name);
      t.equal(await statusOf(gateway, mint(key)), 503, name);
      server.instead = undefined;
      await advance(gateway, clock, 10_000);
      await until(async () => (await statusOf(gateway, mint(key))) === 200);
    }
  },
);

t.test('A9 a clock that steps back an hour breaks no cache', async (t) => {
  const clock = new ManualClock();
  const key = createKey();
  const server = await startKeyServer(t, key);
  const gateway = await gatewayFor(t, { jwks_url: `${server.url}/jwks` }, clock);
  const token = mint(key, claimsOf({ nbf: undefined }));
  t.equal(await statusOf(gateway, token), 200);
  clock.stepWall(-3_600_000);
  t.equal(await statusOf(gateway, token), 200, 'still in the cache');
  clock.stepWall(3_600_000 + 700_000);
  t.equal(await statusOf(gateway, token), 401, 'and still expiring');
});

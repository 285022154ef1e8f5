/** Keys that rotate and authorization servers that fall over, under load. Rules K1 to K3. */
import t from 'tap';
import { startAuthorizationServer } from '../support/authorization-server.ts';
import { send } from '../support/client.ts';
import { advance, startGateway, until } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { AUDIENCE, claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const ROUTES = {
  routes: [{ name: 'r', match: { path_prefix: '/' }, upstream: 'u' }],
  upstreams: { u: { targets: [upstream.url] } },
};

t.test('K1 K2 no request fails through 10 rotations under load', async (t) => {
  const server = await startAuthorizationServer(t);
  const clock = new ManualClock();
  const gateway = await startGateway(
    t,
    { issuers: { login: { issuer: server.url, discovery: true, audiences: [AUDIENCE] } }, ...ROUTES },
    { clock },
  );
  const statuses = new Map<number, number>();
  let running = true;
  /** Logs in, uses its token a few times, logs in again: like a client that does not know of keys. */
  const client = async (): Promise<void> => {
    while (running) {
      const token = await server.login();
      for (let uses = 0; uses < 5; uses++) {
        const { status } = await send(gateway.url, '/', { token });
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    }
  };
  const clients = Array.from({ length: 4 }, client);
  let served = 0;
  for (let rotation = 1; rotation <= 10; rotation++) {
    // Faster than any issuer rotates, but not faster than unknown kids may cause a fetch.
    await advance(gateway, clock, 6_000);
    server.rotate();
    served = statuses.get(200) ?? 0;
    await until(() => (statuses.get(200) ?? 0) > served + 30);
  }
  running = false;
  await Promise.all(clients);
  t.strictSame([...statuses.keys()], [200], JSON.stringify([...statuses]));
  t.ok(server.keyFetches() >= 10 && server.keyFetches() <= 14, `${server.keyFetches()} fetches`);
});

t.test('K2 K3 an hour without the authorization server: known keys serve', async (t) => {
  const key = createKey('EdDSA');
  let down = false;
  let fetches = 0;
  const url = await startServer(t, (_request, response) => {
    fetches++;
    if (down) response.socket?.destroy();
    else
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ keys: [key.jwk] }));
  });
  const clock = new ManualClock();
  const gateway = await startGateway(
    t,
    {
      issuers: { login: { issuer: ISSUER, jwks_url: `${url}/jwks`, audiences: [AUDIENCE] } },
      // It is the keys whose age is looked at here.
      revocation: { max_view_age: '24h' },
      ...ROUTES,
    },
    { clock },
  );
  const expectStatus = async (token: string, status: number): Promise<void> => {
    const response = await send(gateway.url, '/', { token });
    if (response.status !== status) t.fail(`${response.status} instead of ${status}`);
  };
  const longLived = (): string => mint(key, claimsOf({ exp: Math.floor(clock.nowMs() / 1000) + 7_200 }));
  const known = longLived();
  await expectStatus(known, 200);
  down = true;
  fetches = 0;
  // The counter itself: to read all metrics so often would take most of the time.
  const failures = gateway.instance.metrics.jwksRefreshes.child('login', 'failure');
  /** A second passes, and what it has set off comes to its end. Returns how many fetches that was. */
  const second = async (): Promise<number> => {
    const before = fetches;
    clock.advance(1_000);
    const { promise, resolve } = Promise.withResolvers<void>();
    setImmediate(resolve);
    await promise;
    if (fetches > before) await until(() => failures.value === fetches);
    return fetches - before;
  };

  let most = 0;
  for (let passed = 0; passed < 3_600; passed++) {
    most = Math.max(most, await second());
    if (passed % 30 > 0) continue;
    await expectStatus(known, 200);
    await expectStatus(longLived(), 200);
  }
  t.equal(most, 1, 'at most one fetch in a second');
  t.ok(fetches > 60 && fetches < 200, `${fetches} fetches in the hour`);

  fetches = 0;
  const stranger = createKey('EdDSA');
  for (let passed = 0; passed < 200; passed++) {
    clock.advance(1_000);
    await expectStatus(mint(stranger, claimsOf(), { kid: `unknown-${passed}` }), 503);
  }
  t.ok(fetches > 0 && fetches <= 41, `${fetches} fetches in 200 s of unknown kids: at most one in 5 s`);
  t.match(
    await send(gateway.url, '/', { token: mint(stranger) }),
    { status: 503, problem: { code: 'keys_unavailable' }, headers: { 'retry-after': /^\d+$/ } },
    'it may be a new key',
  );

  down = false;
  clock.advance(34_000);
  await until(
    async () => (await gateway.metric('sallyport_jwks_refreshes_total{issuer="login",result="success"}')) > 1,
  );
  // An unknown kid may cause a fetch again.
  clock.advance(5_000);
  await expectStatus(mint(stranger), 401);
  await expectStatus(longLived(), 200);
});

/** A signal that is acknowledged is in the store, whatever fails in between. Rules V17, K0, K3. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { alone, type Place } from '../../src/assembly/place.ts';
import type { Clock } from '../../src/clock.ts';
import type { LoadedConfiguration } from '../../src/config/load.ts';
import type { RevocationStore } from '../../src/revocation/revocation-store.ts';
import { send } from '../support/client.ts';
import { advance, loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startRedis } from '../support/redis.ts';
import { claimsOf, createKey, mint, nowSeconds } from '../support/tokens.ts';
import {
  CAEP,
  mintSet,
  opaque,
  push,
  RISC,
  setClaims,
  transmitterKey,
  transmitterOf,
  userSubject,
} from '../support/transmitter.ts';
import { startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const key = createKey('ES256');

const configuration = (
  transmitter: Record<string, unknown> = {},
  more: Record<string, unknown> = {},
): Record<string, unknown> => ({
  issuers: { login: loginIssuer(key) },
  signals: { 'login-events': transmitterOf(transmitter) },
  routes: [{ name: 'all', match: { path_prefix: '/' }, upstream: 'u' }],
  upstreams: { u: { targets: [upstream.url] } },
  ...more,
});

const pushed = async (gateway: TestGateway, claims: Record<string, unknown>): Promise<number> =>
  (await push(gateway.url, mintSet(claims))).status;
const passes = async (gateway: TestGateway, claims: Record<string, unknown>): Promise<boolean> =>
  (await send(gateway.url, '/', { token: mint(key, claimsOf({ iat: nowSeconds() - 60, ...claims })) }))
    .status === 200;

/** A place whose store takes so many changes, and then fails. */
function failing(state: { takes: number }): (loaded: LoadedConfiguration, clock: Clock) => Place {
  return (loaded, clock) => {
    const place = alone(loaded, clock);
    const store = new Proxy(place.store, {
      get(target, name: keyof RevocationStore) {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]) => {
          if (name === 'revoke' && state.takes-- <= 0) return Promise.reject(new Error('the store is gone'));
          return (member as (...args: unknown[]) => unknown).apply(target, args);
        };
      },
    });
    return { ...place, store };
  };
}

t.test('V17 while the store fails a signal gets 503, and when it comes again it takes effect', async (t) => {
  const state = { takes: 0 };
  const gateway = await startGateway(t, configuration(), { place: failing(state) });
  const disabled = setClaims(`${RISC}account-disabled`, userSubject('alice'));
  for (const _ of [1, 2]) {
    const response = await push(gateway.url, mintSet(disabled));
    t.equal(response.status, 503);
    t.ok(response.headers.has('retry-after'));
    t.match(await response.json(), { code: 'store_unavailable' });
    t.equal(await passes(gateway, {}), true);
  }
  const counted = (series: string): Promise<number> =>
    gateway.metric(`sallyport_signals_total{transmitter="login-events",${series}}`);
  t.equal(await counted('event="none",result="unavailable"'), 2);
  t.equal(await counted('event="account-disabled",result="ended"'), 0);
  t.ok(
    gateway.log.some(({ msg }) => msg === 'a signal could not be taken; its transmitter is to send it again'),
  );
  t.notOk(gateway.log.some(({ msg }) => msg === 'audit'));
  t.equal(await gateway.metric('sallyport_signal_last_timestamp_seconds{transmitter="login-events"}'), 0);

  state.takes = 1;
  t.equal(await pushed(gateway, disabled), 202);
  t.equal(await passes(gateway, {}), false);
  t.equal(await counted('event="account-disabled",result="ended"'), 1, 'it counts as new, not as repeated');
  state.takes = 0;
  t.equal(await pushed(gateway, disabled), 202, 'what is there needs no store to be acknowledged again');
  t.equal(await pushed(gateway, setClaims(`${CAEP}session-established`, userSubject('alice'))), 202);
});

t.test('V17 of a signal with several entries all are there before it is acknowledged', async (t) => {
  const state = { takes: 1 };
  const gateway = await startGateway(t, configuration(), { place: failing(state) });
  const identifiers = ['a', 'b', 'c'].map((sub) => userSubject(sub));
  const claims = setClaims(`${RISC}account-purged`, { format: 'aliases', identifiers });
  t.equal(await pushed(gateway, claims), 503, 'after the first');
  state.takes = 2;
  t.equal(await pushed(gateway, claims), 503, 'after the second');
  state.takes = 3;
  t.equal(await pushed(gateway, claims), 202);
  for (const sub of ['a', 'b', 'c']) t.equal(await passes(gateway, { sub }), false, sub);
});

t.test('V17 no acknowledged signal is lost when Redis is killed and starts again between them', async (t) => {
  const redis = await startRedis(t);
  const start = (): Promise<TestGateway> =>
    startGateway(t, configuration({}, { revocation: { store: redis.url } }));
  const gateway = await start();
  const SIGNALS = 60;
  const statuses = new Set<number>();
  const deliver = async (id: string): Promise<void> => {
    const claims = setClaims(`${CAEP}session-revoked`, { format: 'complex', session: opaque(id) });
    await until(async () => {
      const status = await pushed(gateway, claims);
      statuses.add(status);
      return status === 202;
    });
  };
  const ids = Array.from({ length: SIGNALS }, (_, index) => `s${index}`);
  const first = ids.slice(0, SIGNALS / 2).map(deliver);
  await Promise.race(first);
  await redis.kill();
  t.equal(
    await pushed(gateway, setClaims(`${CAEP}session-revoked`, { format: 'complex', session: opaque('x') })),
    503,
  );
  const second = ids.slice(SIGNALS / 2).map(deliver);
  await redis.start();
  await Promise.all([...first, ...second]);
  t.strictSame([...statuses].sort(), [202, 503]);
  await gateway.stop();
  // Another gateway knows what the store has, and nothing else.
  const other = await start();
  const open = await Promise.all(ids.map((sid) => passes(other, { sid })));
  t.equal(open.filter(Boolean).length, 0);
  t.equal(await passes(other, { sid: 'another' }), true);
});

t.test('V17 a repeated signal is known to the whole fleet, and after a restart', async (t) => {
  const redis = await startRedis(t);
  const start = (): Promise<TestGateway> =>
    startGateway(t, configuration({}, { revocation: { store: redis.url } }));
  const [one, two] = [await start(), await start()];
  const claims = setClaims(`${CAEP}session-revoked`, { format: 'complex', session: opaque('s1') });
  t.equal(await pushed(one, claims), 202);
  await until(async () => !(await passes(two, { sid: 's1' })));
  const series =
    'sallyport_signals_total{transmitter="login-events",event="session-revoked",result="repeated"}';
  t.equal(await pushed(two, claims), 202);
  t.equal(await two.metric(series), 1);
  const again = await start();
  t.equal(await pushed(again, claims), 202);
  t.equal(await again.metric(series), 1);
});

/** Serves metadata and keys of a transmitter, while it is up. */
async function startKeyServer(
  t: Test,
  path = '/.well-known/ssf-configuration',
): Promise<{ readonly url: string; isUp: boolean; keys: object[]; fetches: number }> {
  const server = createServer((request, response) => {
    const json = (body: object): void => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    if (!state.isUp) response.writeHead(500).end();
    else if (request.url === path)
      json({ issuer: state.url, jwks_uri: `${state.url}/keys`, spec_version: '1_0' });
    else if (request.url === '/keys') {
      state.fetches++;
      json({ keys: state.keys });
    } else response.writeHead(404).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const state = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    isUp: true,
    keys: [transmitterKey.jwk] as object[],
    fetches: 0,
  };
  return state;
}

const discovered = (url: string): Record<string, unknown> =>
  configuration({ issuer: url, jwks: undefined, discovery: true });

t.test('K3 without keys a signal gets 503 and not 400; once they are there it takes effect', async (t) => {
  const clock = new ManualClock();
  const server = await startKeyServer(t);
  server.isUp = false;
  const gateway = await startGateway(t, discovered(server.url), { clock });
  const claims = setClaims(`${RISC}account-purged`, userSubject('alice'), {}, { iss: server.url });
  t.equal(await pushed(gateway, claims), 503);
  t.equal((await fetch(`${gateway.adminUrl}/readyz`)).status, 200, 'requests are served without them');
  t.equal(await passes(gateway, {}), true);
  server.isUp = true;
  await advance(gateway, clock, 6_000);
  await until(async () => (await pushed(gateway, claims)) === 202);
  t.equal(await passes(gateway, {}), false);
  t.ok((await gateway.metric('sallyport_jwks_age_seconds{issuer="signal:login-events"}')) < 60);
});

t.test('a transmitter of RISC has its metadata elsewhere', async (t) => {
  const server = await startKeyServer(t, '/.well-known/risc-configuration');
  const gateway = await startGateway(t, discovered(server.url));
  const claims = setClaims(`${RISC}account-purged`, userSubject('alice'), {}, { iss: server.url });
  t.equal(await pushed(gateway, claims), 202);
  t.equal(await pushed(gateway, { ...claims, iss: `${server.url}/` }), 400);
});

t.test('K0 C23 made-up keys cause few fetches, and do not hold up the signals of known ones', async (t) => {
  const clock = new ManualClock();
  const server = await startKeyServer(t);
  const gateway = await startGateway(t, discovered(server.url), { clock });
  t.equal(server.fetches, 1);
  const claims = (sub: string): Record<string, unknown> =>
    setClaims(`${RISC}account-purged`, userSubject(sub), {}, { iss: server.url });
  const stranger = createKey('ES256');
  const flood = Promise.all(
    Array.from(
      { length: 100 },
      async (_, index) =>
        (await push(gateway.url, mintSet(claims('bob'), { kid: `made-up-${index}` }, stranger))).status,
    ),
  );
  t.equal(await pushed(gateway, claims('alice')), 202, 'at once');
  await until(() => gateway.log.some(({ msg }) => String(msg).startsWith('a signal could not be taken')));
  // The next fetch is due after 5 s, and they wait for 6 s at most.
  await advance(gateway, clock, 5_200);
  const statuses = await flood;
  t.ok(statuses.every((status) => status === 400 || status === 503));
  // Those that wait for longer than the fetch takes are not told that their key is unknown.
  t.ok(statuses.filter((status) => status === 400).length <= 4, 'of one address few wait');
  t.ok(server.fetches <= 3);
  // A key that was rotated in waits for the next fetch, and is then known.
  const next = createKey('ES256');
  server.keys = [transmitterKey.jwk, next.jwk];
  await until(async () => {
    const rotated = push(gateway.url, mintSet(claims('carol'), {}, next));
    clock.advance(5_200);
    return (await rotated).status === 202;
  });
  t.equal(await passes(gateway, { sub: 'carol' }), false);
});

t.test('a reload takes the keys over, and moves the endpoint', async (t) => {
  const server = await startKeyServer(t);
  const gateway = await startGateway(t, discovered(server.url));
  const claims = setClaims(`${RISC}account-purged`, userSubject('alice'), {}, { iss: server.url });
  const { configuration: before } = gateway.loaded;
  const [transmitter] = Object.values(before.signals);
  if (!transmitter) throw new Error('there is a transmitter');
  const signals = { 'login-events': { ...transmitter, push: { host: '127.0.0.1', path: '/moved' } } };
  server.isUp = false;
  await gateway.instance.reload({ ...gateway.loaded, configuration: { ...before, signals } });
  t.equal(server.fetches, 1);
  t.equal(await pushed(gateway, claims), 401, 'a route has the path now');
  const response = await fetch(`${gateway.url}/moved`, {
    method: 'POST',
    headers: { 'content-type': 'application/secevent+jwt' },
    body: mintSet(claims),
  });
  t.equal(response.status, 202);
  t.equal(await passes(gateway, {}), false);
});

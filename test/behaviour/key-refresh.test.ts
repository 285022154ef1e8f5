/** An operator forces a fetch of keys: on every gateway, at once. Rules K0, K5. */
import t, { type Test } from 'tap';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { systemClock, type Clock } from '../../src/clock.ts';
import { send } from '../support/client.ts';
import { sallyport } from '../support/command.ts';
import { ADMIN_TOKEN, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import { AUDIENCE, createKey, ISSUER, mint, type SigningKey } from '../support/tokens.ts';
import { startServer, startUpstream, type HttpUpstream } from '../support/upstream.ts';
import { writeFileSync } from 'node:fs';

// A refresh waits for the replies of the fleet.
t.jobs = 4;

/** Between two fetches, if an unknown kid causes the second. */
const COOLDOWN_MS = 5_000;

interface KeyServer {
  /** What the gateways forward to. */
  readonly upstream: HttpUpstream;
  readonly url: string;
  keys: SigningKey[];
  fetches: number;
  instead: ((response: ServerResponse) => void) | undefined;
}

async function startKeyServer(t: Test, ...keys: SigningKey[]): Promise<KeyServer> {
  const server: KeyServer = {
    upstream: await startUpstream(t),
    url: await startServer(t, (_request, response) => {
      server.fetches++;
      if (server.instead) server.instead(response);
      else response.end(JSON.stringify({ keys: server.keys.map(({ jwk }) => jwk) }));
    }),
    keys,
    fetches: 0,
    instead: undefined,
  };
  return server;
}

const gatewayFor = (
  t: Test,
  { url, upstream }: KeyServer,
  store = 'memory:',
  { name = 'login', clock = systemClock }: { readonly name?: string; readonly clock?: Clock } = {},
): Promise<TestGateway> =>
  startGateway(
    t,
    {
      issuers: {
        [name]: { issuer: ISSUER, audiences: [AUDIENCE], jwks_url: `${url}/jwks` },
        fixed: { issuer: 'https://fixed.example', jwks: { keys: [createKey().jwk] } },
      },
      revocation: { store },
      routes: [{ name: 'r', match: { path_prefix: '/' }, upstream: 'u', auth: { issuers: [name] } }],
      upstreams: { u: { targets: [upstream.url] } },
    },
    { clock },
  );
const statusOf = async (gateway: TestGateway, token: string): Promise<number> =>
  (await send(gateway.url, '/', { token })).status;
const refresh = (gateway: TestGateway, name = 'login'): Promise<Response> =>
  gateway.admin('POST', `/v1/issuers/${name}/keys/refresh`);
const auditOf = ({ log }: TestGateway): unknown =>
  log.findLast(({ audit }) => audit !== undefined)?.['audit'];

t.test(
  'K5 tokens of a key that was removed are refused at once, cached ones too',
  { buffered: true },
  async (t) => {
    const [leaving, staying, coming] = [createKey(), createKey(), createKey()];
    const server = await startKeyServer(t, leaving, staying);
    const clock = new ManualClock();
    const gateway = await gatewayFor(t, server, 'memory:', { clock });
    const token = mint(leaving);
    t.equal(await statusOf(gateway, token), 200);
    t.equal(await statusOf(gateway, token), 200);
    server.keys = [staying, coming];
    const response = await refresh(gateway);
    t.equal(response.status, 200);
    t.strictSame(await response.json(), {
      issuer: 'login',
      added: [coming.kid],
      removed: [leaving.kid],
      gateways: { done: 1 },
    });
    const before = server.upstream.seen.length;
    const refused = statusOf(gateway, token);
    await until(() => gateway.instance.inFlight.count === 1);
    t.equal(await statusOf(gateway, mint(coming)), 200, 'no cooldown for the operator');
    t.equal(server.fetches, 2);
    // Its kid is unknown now: the cached verification does not pass, and the next permitted fetch decides.
    t.equal(server.upstream.seen.length, before + 1);
    t.match(auditOf(gateway), {
      action: 'refresh_keys',
      by: 'admin',
      issuer: 'login',
      fetched: true,
      added: [coming.kid],
      removed: [leaving.kid],
      gateways: { done: 1, failed: 0 },
    });
    clock.advance(COOLDOWN_MS);
    t.equal(await refused, 401);
    t.equal(server.upstream.seen.length, before + 1);
  },
);

t.test(
  'K0 a fetch in flight does not count, and two operators share the next one',
  { buffered: true },
  async (t) => {
    const [leaving, staying] = [createKey(), createKey()];
    const server = await startKeyServer(t, leaving, staying);
    const gateway = await gatewayFor(t, server);
    const held: ServerResponse[] = [];
    const stale = JSON.stringify({ keys: [leaving.jwk, staying.jwk] });
    server.instead = (response) => held.push(response);
    const first = refresh(gateway);
    await until(() => held.length === 1);
    server.keys = [staying];
    server.instead = undefined;
    const others = [refresh(gateway), refresh(gateway)];
    await until(async () => (await gateway.metric('sallyport_revocation_store_connected')) === 1);
    held[0]?.end(stale);
    t.match(await (await first).json(), { removed: [] });
    for (const response of await Promise.all(others))
      t.match(await response.json(), { removed: [leaving.kid] });
    t.equal(server.fetches, 3);
  },
);

t.test('502 where the keys cannot be fetched: those before stay in use', { buffered: true }, async (t) => {
  const key = createKey();
  const server = await startKeyServer(t, key);
  const gateway = await gatewayFor(t, server);
  server.instead = (response) => void response.writeHead(500).end();
  const response = await refresh(gateway);
  t.equal(response.status, 502);
  t.match(await response.json(), { code: 'keys_not_refreshed' });
  t.match(auditOf(gateway), { fetched: false, gateways: { done: 0, failed: 1 } });
  t.equal(await statusOf(gateway, mint(key)), 200);
});

t.test(
  'only an operator may, by POST, and only for keys that come from a URL',
  { buffered: true },
  async (t) => {
    const server = await startKeyServer(t, createKey());
    const gateway = await gatewayFor(t, server);
    t.equal((await refresh(gateway, 'unknown')).status, 404);
    t.equal((await refresh(gateway, '__proto__')).status, 404);
    t.equal((await refresh(gateway, 'fixed')).status, 409);
    t.equal((await gateway.admin('GET', '/v1/issuers/login/keys/refresh')).status, 405);
    const path = '/v1/issuers/login/keys/refresh';
    t.equal((await gateway.admin('POST', path, undefined, { authorization: 'Bearer x' })).status, 401);
    t.equal(server.fetches, 1);
  },
);

const stores: Record<string, (t: Test) => Promise<string>> = {
  redis: async (t) => (await startRedis(t)).url,
  sqlite: async (t) => `sqlite:${join(temporaryFolder(t), 'list.sqlite')}`,
};
for (const [kind, open] of Object.entries(stores)) {
  t.test(
    `K5 ${kind}: a refresh reaches every gateway of the fleet, whatever it calls the issuer`,
    { buffered: true },
    async (t) => {
      const store = await open(t);
      const clock = new ManualClock();
      const [leaving, staying] = [createKey(), createKey()];
      const server = await startKeyServer(t, leaving, staying);
      const fleet = [
        await gatewayFor(t, server, store, { clock }),
        await gatewayFor(t, server, store, { clock }),
        await gatewayFor(t, server, store, { clock, name: 'other-name' }),
      ];
      const [first] = fleet as [TestGateway];
      const token = mint(leaving);
      for (const gateway of fleet) t.equal(await statusOf(gateway, token), 200);
      server.keys = [staying];
      const response = await refresh(first);
      t.equal(response.status, 200);
      t.match(await response.json(), { removed: [leaving.kid], gateways: { done: 3 } });
      t.equal(server.fetches, 6);
      const before = server.upstream.seen.length;
      clock.advance(COOLDOWN_MS);
      const statuses = await Promise.all(fleet.map((gateway) => statusOf(gateway, token)));
      t.strictSame(statuses, [401, 401, 401]);
      t.equal(server.upstream.seen.length, before);
    },
  );

  t.test(
    `${kind}: a gateway of the fleet that cannot fetch is counted, and makes it 502`,
    { buffered: true },
    async (t) => {
      const store = await open(t);
      const key = createKey();
      const server = await startKeyServer(t, key);
      const cutOff = await startKeyServer(t, key);
      const first = await gatewayFor(t, server, store);
      await gatewayFor(t, cutOff, store);
      cutOff.instead = (response) => void response.writeHead(500).end();
      const response = await refresh(first);
      t.equal(response.status, 502);
      t.match(auditOf(first), { fetched: true, gateways: { done: 1, failed: 1 } });
    },
  );
}

t.test(
  'a store that does not take the message: this gateway fetches, and the operator gets 502',
  { buffered: true },
  async (t) => {
    const redis = await startRedis(t);
    const [leaving, staying] = [createKey(), createKey()];
    const server = await startKeyServer(t, leaving, staying);
    const gateway = await gatewayFor(t, server, redis.url);
    const token = mint(leaving);
    t.equal(await statusOf(gateway, token), 200);
    server.keys = [staying];
    await redis.kill();
    const response = await refresh(gateway);
    t.equal(response.status, 502);
    t.match(auditOf(gateway), { fetched: true, removed: [leaving.kid] });
  },
);

t.test(
  'K5 a gateway that has lost its place in the log fetches its keys again',
  { buffered: true },
  async (t) => {
    const redis = await startRedis(t);
    const server = await startKeyServer(t, createKey());
    const gateway = await gatewayFor(t, server, redis.url);
    await gateway.admin('POST', '/v1/revocations', { issuer: ISSUER, subject: 'bob' });
    await until(() => gateway.instance.view.size === 1);
    t.equal(server.fetches, 1);
    await redis.command('FLUSHALL');
    await until(() => server.fetches === 2);
    t.pass('fetched again');
  },
);

t.test('sallyport keys refresh NAME', { buffered: true }, async (t) => {
  const [leaving, staying] = [createKey(), createKey()];
  const server = await startKeyServer(t, leaving, staying);
  const gateway = await gatewayFor(t, server);
  const file = join(temporaryFolder(t), 'token');
  writeFileSync(file, ADMIN_TOKEN, { mode: 0o600 });
  const options = ['--admin', gateway.adminUrl, '--admin-token-file', file];
  server.keys = [staying];
  const { code, out } = await sallyport(['keys', 'refresh', 'login', '--json', ...options]);
  t.equal(code, 0);
  t.match(JSON.parse(out), { issuer: 'login', added: [], removed: [leaving.kid], gateways: { done: 1 } });
  t.match(await sallyport(['keys', 'refresh', 'login', ...options]), { code: 0, out: /none/ });
  t.equal((await sallyport(['keys', 'refresh', 'unknown', ...options])).code, 1);
});

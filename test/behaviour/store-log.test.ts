/** A store of revocations that is lost, in the log and at /readyz: what no longer works, since when, and for how long. */
import t from 'tap';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, until } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startRedis } from '../support/redis.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';
import { storeAddress } from '../../src/config/redis-location.ts';

const key = createKey();
const PASSWORD = 'the-password-of-redis';

t.test(
  'V8 Redis is lost, the view grows old, and Redis comes back: one line each, and /readyz says it',
  async (t) => {
    const redis = await startRedis(t);
    await redis.command('CONFIG', 'SET', 'requirepass', PASSWORD);
    const clock = new ManualClock();
    const upstream = await startUpstream(t);
    const gateway = await startGateway(
      t,
      {
        issuers: { login: loginIssuer(key) },
        revocation: {
          store: redis.url.replace('redis://', `redis://:${PASSWORD}@`),
          max_view_age: '30s',
        },
        routes: [
          { name: 'deny', match: { path_prefix: '/' }, upstream: 'u' },
          { name: 'allow', match: { path_prefix: '/allow' }, upstream: 'u', when_stale: 'allow' },
          { name: 'public', match: { path_prefix: '/public' }, upstream: 'u', auth: { mode: 'none' } },
          { name: 'trial', match: { path_prefix: '/trial' }, upstream: 'u', auth: { report_only: true } },
        ],
        upstreams: { u: { targets: [upstream.url] } },
      },
      { clock },
    );
    const store = `127.0.0.1:${redis.port}`;
    const further = / now for another cause$/;
    const all = (): Record<string, unknown>[] => gateway.log.filter((line) => line['store'] === store);
    const lines = (): Record<string, unknown>[] => all().filter(({ msg }) => !further.test(String(msg)));
    const causes = (): unknown[] =>
      all().flatMap(({ error, msg }) => (further.test(String(msg)) ? [error] : []));
    const readyz = async (): Promise<string> => {
      const response = await fetch(`${gateway.adminUrl}/readyz?verbose`);
      t.equal(response.status, 200, 'all gateways would go at once');
      return response.text();
    };
    t.match(await readyz(), /\[\+\] revocation list\nok\n$/);
    await redis.kill();
    await until(() => lines().length === 2);
    t.match(lines()[1], { level: 'error', list_loaded: true });
    t.match(
      await readyz(),
      /\[\+\] revocation list: the store is unavailable.*\nok\n$/,
      'every route serves',
    );
    clock.advance(31_000);
    await until(() => lines().length === 3);
    t.match(lines()[2], { level: 'error', routes: ['deny'] });
    t.ok(Number(lines()[2]?.['view_age_seconds']) > 30);
    t.equal((await send(gateway.url, '/', { token: mint(key) })).status, 503);
    t.equal(upstream.seen.length, 0);
    t.match(await readyz(), /\[-\] revocation list: .*; 503 on deny\ndegraded\n$/);
    t.equal(await (await fetch(`${gateway.adminUrl}/readyz`)).text(), 'ok\n');
    clock.advance(9_000);
    await redis.start();
    await until(() => {
      clock.advance(100);
      return lines().length === 4;
    });
    t.match(lines()[3], { level: 'info', entries: 0 });
    t.ok(
      causes().includes(`connect ECONNREFUSED ${store}`),
      'why it cannot be reached, and not only that it has gone',
    );
    t.equal(new Set(causes()).size, causes().length, 'each once');
    t.ok(Number(lines()[3]?.['lost_seconds']) >= 40);
    const stale = Number(lines()[3]?.['stale_seconds']);
    t.ok(stale >= 9 && stale < 40, `${stale}`);
    t.match(await readyz(), /\[\+\] revocation list\nok\n$/);
    clock.advance(2_000);
    t.equal(lines().length, 4, 'nothing is said twice');
    t.notMatch(JSON.stringify(gateway.log), new RegExp(PASSWORD));
  },
);

t.test('keys that are unavailable: /readyz names the routes that refuse tokens because of it', async (t) => {
  const url = await startServer(t, (_, response) => {
    response.statusCode = 500;
    response.end();
  });
  const gateway = await startGateway(t, {
    issuers: {
      login: loginIssuer(key),
      down: { issuer: 'https://down.example', jwks_url: url, allow_http: true, audiences: ['a'] },
    },
    routes: [
      { name: 'orders', match: { path_prefix: '/' }, upstream: 'u', auth: { issuers: ['login'] } },
      { name: 'both', match: { path_prefix: '/both' }, upstream: 'u' },
    ],
    upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
  });
  const response = await fetch(`${gateway.adminUrl}/readyz?verbose`);
  t.equal(response.status, 200);
  t.match(await response.text(), /\[-\] keys of down: .*; 503 on both\ndegraded\n$/);
});

t.test('the address of a store has host and port, and never a password', async (t) => {
  const login = { username: 'u', password: PASSWORD };
  for (const [store, address] of [
    [`redis://u:${PASSWORD}@redis.internal/0`, 'redis.internal:6379'],
    [`rediss://:${PASSWORD}@[::1]:7000`, '[::1]:7000'],
    ['sqlite:revocations.sqlite', 'sqlite:revocations.sqlite'],
    [{ ...login, url: 'rediss://redis.internal/1' }, 'redis.internal:6379'],
    [{ ...login, cluster: ['a:1', 'b:2'] }, 'cluster a:1, b:2'],
    [{ ...login, sentinels: ['a:1', 'b:2'], name: 'main', db: 0 }, 'main of sentinels a:1, b:2'],
  ] as const)
    t.equal(storeAddress({ store } as Parameters<typeof storeAddress>[0]), address);
});

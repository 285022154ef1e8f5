/**
 * Five gateway processes and a real Redis: a limit of 100 a second for one subject, 1,000 offered. Rules L2, L4.
 *
 * docs/reference.md, "Limits of a fleet", states the bound that is asserted here.
 */
import t, { type Test } from 'tap';
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../support/gateway.ts';
import { flood, limitedConfiguration, type Flood } from '../support/limited-fleet.ts';
import { startGatewayProcess, type GatewayProcess } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import { startUpstream } from '../support/upstream.ts';

const SECONDS = Number(process.env['LIMIT_SECONDS'] ?? 60);
const GATEWAYS = 5;
const RATE = 100;
const BURST = 100;
const LEASE = 5;
/** What each outage may add: two bursts, and the rate of two seconds. */
const OUTAGE = 2 * BURST + 2 * RATE;

async function startFleet(
  t: Test,
  store: (upstream: string) => Record<string, unknown>,
): Promise<GatewayProcess[]> {
  const upstream = await startUpstream(t, (_, response) => void response.end('ok'));
  const gateways = await Promise.all(
    Array.from({ length: GATEWAYS }, () => startGatewayProcess(t, store(upstream.url))),
  );
  // The fifth sees the others with its first heartbeat, the first sees it with its next.
  await pause(6_000);
  return gateways;
}

function check(t: Test, { statuses, seconds, passed }: Flood, outages: number): void {
  const { 200: admitted = 0, 429: refused = 0, ...others } = statuses;
  const most = RATE * seconds + BURST + GATEWAYS * LEASE + outages * OUTAGE;
  const words = `${admitted} admitted, ${refused} refused in ${seconds.toFixed(2)} s; at most ${most.toFixed(0)}`;
  t.comment(words);
  t.comment(`in each second: ${passed.join(' ')}`);
  t.ok(admitted <= most, words);
  t.ok(admitted >= 0.9 * (RATE * seconds + BURST) - (outages * OUTAGE) / 2, words);
  t.strictSame(others, {}, 'no other status');
}

const configurationOf =
  (store: unknown) =>
  (upstream: string): Record<string, unknown> => ({
    ...limitedConfiguration(upstream, '', { rate: `${RATE}/1s`, burst: BURST }),
    revocation: { store, max_view_age: '1h' },
    log: { sample: 0, refusals: 0 },
  });

t.test(`L2 five gateways admit 100 a second of 1,000 offered, for ${SECONDS} s`, async (t) => {
  const redis = await startRedis(t);
  const gateways = await startFleet(t, configurationOf(redis.url));
  check(
    t,
    await flood(
      t,
      gateways.map(({ url }) => url),
      1_000,
      SECONDS,
    ),
    0,
  );
});

t.test('L4 the same while Redis is killed and started again, twice', async (t) => {
  const redis = await startRedis(t);
  const gateways = await startFleet(t, configurationOf(redis.url));
  const flooding = flood(
    t,
    gateways.map(({ url }) => url),
    1_000,
    SECONDS,
  );
  for (const awayMs of [300, (SECONDS * 1_000) / 6]) {
    await pause((SECONDS * 1_000) / 6);
    await redis.kill();
    await pause(awayMs);
    await redis.start();
  }
  check(t, await flooding, 2);
  const said = (text: string) => gateways.every((gateway) => gateway.output().includes(text));
  t.ok(said('this process gives 1/5 of each limit'), 'each says what it gives');
  await until(() => said('rate limits are counted by the fleet together again'));
});

t.test('L4 the same while Sentinel promotes a replica that has lost all', async (t) => {
  const primary = await startRedis(t, { persistent: false });
  const replica = await startRedis(t, {
    persistent: false,
    options: [`replicaof 127.0.0.1 ${primary.port}`],
  });
  const sentinel = await startRedis(t, {
    persistent: false,
    options: [
      `sentinel monitor main 127.0.0.1 ${primary.port} 1`,
      'sentinel down-after-milliseconds main 1000',
      'sentinel failover-timeout main 5000',
    ],
  });
  await until(async () => /slave0/.test(await primary.command('INFO', 'replication')));
  // Sentinel learns of the replica from the primary, every ten seconds.
  await until(async () =>
    (await sentinel.command('SENTINEL', 'replicas', 'main')).includes(`${replica.port}`),
  );
  const store = { sentinels: [`127.0.0.1:${sentinel.port}`], name: 'main' };
  const gateways = await startFleet(t, configurationOf(store));
  const flooding = flood(
    t,
    gateways.map(({ url }) => url),
    1_000,
    SECONDS,
  );
  await pause((SECONDS * 1_000) / 3);
  await primary.kill();
  await until(async () => (await replica.command('ROLE')).includes('master'));
  await replica.command('FLUSHALL');
  check(t, await flooding, 1);
  await until(() =>
    gateways.every((gateway) => gateway.output().includes('counted by the fleet together again')),
  );
});

/** Limits that several gateways count together over a real Redis, and the workers of one gateway. Rules L2, L4. */
import t from 'tap';
import { startGateway, until } from '../support/gateway.ts';
import { flood, limitedConfiguration } from '../support/limited-fleet.ts';
import { startGatewayProcess } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import { startUpstream } from '../support/upstream.ts';

/** A lease of 5. */
const LIMIT = { rate: '100/1s', burst: 20 };
const ALONE = 'sallyport_rate_limits_counted_alone';

t.test('L2 L4 two gateways hold one limit, also while Redis is away, and say so', async (t) => {
  const [redis, upstream] = [await startRedis(t, { persistent: false }), await startUpstream(t)];
  const configuration = limitedConfiguration(upstream.url, redis.url, LIMIT);
  const gateways = [await startGateway(t, configuration), await startGateway(t, configuration)];
  const urls = gateways.map(({ url }) => url);
  await until(() => gateways.every(({ instance }) => instance.generation.lasting.fleet.processes === 2));

  const first = await flood(t, urls, 600, 0.6);
  const { length: passed } = upstream.seen;
  t.equal(passed, first.statuses[200]);
  t.ok(passed <= 100 * first.seconds + 20 + 2 * 5, `${passed} in ${first.seconds} s`);
  t.ok(passed > 20, `more than the burst: ${passed} in ${first.seconds} s`);
  t.equal(await gateways[0]?.metric(ALONE), 0);

  await redis.kill();
  const alone = await flood(t, urls, 600, 0.6);
  // Each begins from what it knew, so that there is no burst more; what waited as Redis ended may pass.
  const { 200: local = 0, ...others } = alone.statuses;
  t.ok(local <= 100 * alone.seconds + 2 * 10 + 2 * 5, `${local} in ${alone.seconds} s`);
  t.ok(local > 0, `${local} in ${alone.seconds} s`);
  t.strictSame(Object.keys(others), ['429'], 'none is refused for another cause');
  for (const gateway of gateways) {
    t.equal(await gateway.metric(ALONE), 1);
    const line = gateway.log.find(({ msg }) =>
      String(msg).startsWith('the store of rate limits is unavailable'),
    );
    t.match(line, { level: 'error', store: `127.0.0.1:${redis.port}`, gateways: 2, error: /\S/ });
  }

  await redis.start();
  await until(() =>
    gateways.every(({ instance }) => instance.generation.lasting.place.leases?.fleet?.isAvailable),
  );
  const { length: before } = upstream.seen;
  const back = await flood(t, urls, 600, 0.4);
  const together = upstream.seen.length - before;
  t.ok(together <= 100 * back.seconds + 20 + 2 * 5, `${together} in ${back.seconds} s`);
});

t.test('L2 the workers of one gateway count together what has scope gateway', async (t) => {
  const upstream = await startUpstream(t);
  const limit = { rate: '40/1h', burst: 40, scope: 'gateway' };
  const configuration = limitedConfiguration(upstream.url, 'memory:', limit, { workers: 2 });
  const gateway = await startGatewayProcess(t, configuration);
  let passed = 0;
  const served = (worker: number): boolean =>
    gateway
      .output()
      .split('\n')
      .some((line) => line.includes('"msg":"request"') && line.includes(`"worker":${worker}`));
  // The kernel gives connections to either.
  await until(async () => {
    const { statuses } = await flood(t, [gateway.url], 400, 0.3);
    passed += statuses[200] ?? 0;
    return served(1) && served(2);
  });
  passed += (await flood(t, [gateway.url], 400, 0.1)).statuses[200] ?? 0;
  // A lease of 2 for each.
  t.ok(passed >= 40 && passed <= 44, `${passed}`);
});

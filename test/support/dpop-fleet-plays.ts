/** Many proofs at a fleet over one Redis, which ends in the middle; and at the workers of one gateway. Rules D14, V9. */
import type { Test } from 'tap';
import { countOf, fleetConfiguration, sendersTo, type Senders } from './dpop-fleet.ts';
import { startGateway, until, type TestGateway } from './gateway.ts';
import { startGatewayProcess } from './process.ts';
import { startRedis, type TestRedis } from './redis.ts';
import { startUpstream } from './upstream.ts';

interface Fleet extends Senders {
  readonly redis: TestRedis;
  readonly gateways: readonly TestGateway[];
  /** Of both gateways: proofs with this result. */
  readonly metric: (result: string) => Promise<number>;
}

async function startFleet(t: Test): Promise<Fleet> {
  const [redis, upstream] = [await startRedis(t), await startUpstream(t)];
  const configuration = fleetConfiguration(upstream.url, redis.url);
  const gateways = [await startGateway(t, configuration), await startGateway(t, configuration)];
  const metric = async (result: string): Promise<number> => {
    const series = `sallyport_dpop_proofs_total{result="${result}"}`;
    const [first = 0, second = 0] = await Promise.all(gateways.map((each) => each.metric(series)));
    return first + second;
  };
  return {
    redis,
    gateways,
    metric,
    ...sendersTo(
      t,
      gateways.map(({ url }) => url),
    ),
  };
}

/** So many requests see that Redis is gone. */
const UNSURE = 20;

/** Sends each proof to both gateways at once. Redis is killed in the middle, and comes back when that was noticed. */
async function sendWhileRedisEnds(
  { redis, sendAll, gateways, prove }: Fleet,
  proofs: readonly string[],
  path: string,
  isUnsure: () => Promise<boolean>,
): Promise<readonly (readonly number[])[]> {
  const half = proofs.length >> 1;
  const before = await sendAll(proofs.slice(0, half), path);
  let sent = 0;
  let killed: Promise<void> | undefined;
  const later = sendAll(proofs.slice(half), path, () => {
    if (++sent === UNSURE) killed = redis.kill();
  });
  await until(isUnsure);
  await killed;
  await redis.start();
  const after = await later;
  await until(async () => {
    const fresh = await sendAll(
      gateways.map(() => prove('/deny')),
      '/deny',
    );
    return fresh.every((statuses) => statuses.includes(200) && !statuses.includes(503));
  });
  return [...before, ...after];
}

const passes = (statuses: readonly number[]): number => statuses.filter((status) => status === 200).length;

/** @param count of proofs for each play */
export function fleetPlays(t: Test, count: number): void {
  t.test(`D14 of ${count} proofs, each sent to two gateways at once, each passes once`, async (t) => {
    const { prove, sendAll, metric } = await startFleet(t);
    const proofs = Array.from({ length: count }, () => prove('/deny'));
    t.strictSame(countOf(await sendAll(proofs, '/deny')), { '200 401': count });
    t.strictSame([await metric('accepted'), await metric('replayed')], [count, count]);
  });

  t.test('D14 deny: with Redis killed in the middle no proof passes twice, and some are 503', async (t) => {
    const fleet = await startFleet(t);
    const { prove, sendAll, metric } = fleet;
    const proofs = Array.from({ length: count }, () => prove('/deny'));
    const first = await sendWhileRedisEnds(
      fleet,
      proofs,
      '/deny',
      async () => (await metric('unknown')) >= UNSURE,
    );
    const again = await sendAll(proofs, '/deny');
    const times = first.map((statuses, index) => passes([...statuses, ...(again[index] ?? [])]));
    t.equal(Math.max(...times), 1, 'also with what Redis has read from its disk');
    t.strictSame(
      [...new Set([...first, ...again].flat())].sort(),
      [200, 401, 503],
      JSON.stringify(countOf(first)),
    );
    t.notOk(again.flat().includes(503), 'when Redis is back, it is known of each');
    t.ok(again.flat().includes(200), 'a proof that was refused with 503 may pass later');
  });

  t.test(
    'D14 allow: with Redis killed in the middle proofs may pass twice, each of them counted',
    async (t) => {
      const fleet = await startFleet(t);
      const { prove, metric } = fleet;
      const proofs = Array.from({ length: count }, () => prove('/allow'));
      const outcomes = await sendWhileRedisEnds(
        fleet,
        proofs,
        '/allow',
        async () => (await metric('passed_unknown')) >= UNSURE,
      );
      t.strictSame([...new Set(outcomes.flat())].sort(), [200, 401], JSON.stringify(countOf(outcomes)));
      t.ok(await metric('accepted'));
      const twice = outcomes.filter((statuses) => passes(statuses) === 2).length;
      t.ok(twice > 0, `${twice} passed at both`);
      t.ok((await metric('passed_unknown')) >= twice, 'each of them is counted');
    },
  );
}

/** @param count of proofs */
export function workerPlays(t: Test, count: number): void {
  t.test('D14 each proof passes once across the workers of one gateway', async (t) => {
    const upstream = await startUpstream(t);
    const configuration = { ...fleetConfiguration(upstream.url, 'memory:'), workers: 2 };
    const gateway = await startGatewayProcess(t, configuration);
    // Each proof on two connections, which the kernel gives to either worker.
    const { prove, sendAll } = sendersTo(t, [gateway.url, gateway.url]);
    const proofs = Array.from({ length: count }, () => prove('/deny'));
    t.strictSame(countOf(await sendAll(proofs, '/deny')), { '200 401': count });
    const served = (worker: number): boolean =>
      new RegExp(`"msg":"request".*"worker":${worker}\\b|"worker":${worker}\\b.*"msg":"request"`).test(
        gateway.output(),
      );
    await until(() => served(1) && served(2));
    t.equal(upstream.seen.length, count);
  });
}

/**
 * Measures how long a revocation takes to reach a fleet: from the admin API's 201 to the first refusal on the slowest
 * gateway. Five gateways share one Redis and serve other requests meanwhile; the token is in every cache.
 *
 *   node bench/propagation.ts [--revocations 2000]
 */
import { parseArgs } from 'node:util';
import { createToken } from './credentials.ts';
import { ADMIN_TOKEN, quantile, send, startFleet } from './fleet.ts';

const GATEWAYS = 5;
const AT_A_TIME = 2;
/** Clients that send other requests to each gateway meanwhile. */
const BACKGROUND_PER_GATEWAY = 2;

const { values } = parseArgs({ options: { revocations: { type: 'string', default: '2000' } } });
const revocations = Number(values.revocations);

const fleet = await startFleet(GATEWAYS);
try {
  const { gateways, credentials } = fleet;
  fleet.load(BACKGROUND_PER_GATEWAY);
  const slowestMs: number[] = [];
  let acceptedLate = 0;
  const revokeOne = async (index: number): Promise<void> => {
    const token = createToken(credentials);
    await Promise.all(gateways.map(({ port }) => send(port, '/', token)));
    const by = gateways[index % gateways.length];
    const response = await send(by?.adminPort ?? 0, '/v1/revocations', ADMIN_TOKEN, { token });
    if (response.status !== 201)
      throw new Error(`the admin API responded with ${response.status} ${response.text}`);
    const sinceMs = performance.now();
    const took = await Promise.all(
      gateways.map(async ({ port }) => {
        while ((await send(port, '/', token)).status !== 401);
        return performance.now() - sinceMs;
      }),
    );
    slowestMs.push(Math.max(...took));
    const again = await Promise.all(gateways.map(({ port }) => send(port, '/', token)));
    acceptedLate += again.filter(({ status }) => status !== 401).length;
  };
  let next = 0;
  await Promise.all(
    Array.from({ length: AT_A_TIME }, async () => {
      while (next < revocations) await revokeOne(next++);
    }),
  );
  slowestMs.sort((a, b) => a - b);
  console.log(
    `${revocations} revocations, ${GATEWAYS} gateways; from 201 to the first refusal on the slowest, in ms`,
  );
  for (const q of [0.5, 0.9, 0.99, 0.999, 1])
    console.log(`p${100 * q}`.padEnd(6), quantile(slowestMs, q).toFixed(1));
  console.log(`accepted after a refusal: ${acceptedLate}`);
} finally {
  await fleet.stop();
}

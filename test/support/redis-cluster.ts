/** A Redis cluster of three nodes, each with a third of the slots. */
import type { Test } from 'tap';
import { until } from './gateway.ts';
import { freePort, startRedis, type TestRedis } from './redis.ts';

const RANGES = ['0 5460', '5461 10922', '10923 16383'];

export async function startRedisCluster(t: Test): Promise<readonly TestRedis[]> {
  const buses = await Promise.all(RANGES.map(freePort));
  const nodes = await Promise.all(
    buses.map((bus) =>
      startRedis(t, { persistent: false, options: ['cluster-enabled yes', `cluster-port ${bus}`] }),
    ),
  );
  for (const [index, node] of nodes.entries())
    await node.command('CLUSTER', 'ADDSLOTSRANGE', ...(RANGES[index] ?? '').split(' '));
  for (const [index, { port }] of nodes.entries())
    if (index > 0) await nodes[0]?.command('CLUSTER', 'MEET', '127.0.0.1', `${port}`, `${buses[index]}`);
  await until(async () => {
    const states = await Promise.all(nodes.map((node) => node.command('CLUSTER', 'INFO')));
    return states.every((state) => /cluster_state:ok[^]*cluster_known_nodes:3/.test(state));
  });
  return nodes;
}

/** Buckets in a Redis cluster. Rule L2. */
import t from 'tap';
import type { RedisLocation } from '../../src/revocation/redis-connection.ts';
import { ask, newKey, openLeases } from '../support/lease-stores.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';

t.test('L2 in a cluster a batch is counted on all nodes, each key whole', async (t) => {
  const nodes = await startRedisCluster(t);
  const location: RedisLocation = {
    keyPrefix: 'sallyport',
    cluster: nodes.map(({ port }) => `127.0.0.1:${port}`),
    username: undefined,
    password: undefined,
  };
  const [one, other] = [openLeases(t, location), openLeases(t, location)];
  const keys = Array.from({ length: 256 }, newKey);
  const first = await one.ask(keys.map((key) => ask(key, 15)));
  const second = await other.ask(keys.toReversed().map((key) => ask(key, 15)));
  t.ok(first.every(({ granted }) => granted === 15));
  t.ok(second.every(({ granted }) => granted === 5));
  for (const node of nodes) {
    const count = Number(/^:(\d+)/.exec(await node.command('DBSIZE'))?.[1]);
    t.ok(count > 20, `${count} of 256`);
  }
});

/** Buckets in a Redis cluster. Rule L2. */
import t, { type Test } from 'tap';
import { randomBytes } from 'node:crypto';
import { systemClock } from '../../src/clock.ts';
import type { LeaseAsk } from '../../src/limits/lease-store.ts';
import { RedisLeaseStore } from '../../src/limits/redis-lease-store.ts';
import type { RedisLocation } from '../../src/revocation/redis-connection.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';

function open(t: Test, location: RedisLocation): RedisLeaseStore {
  const store = new RedisLeaseStore(location, systemClock);
  t.teardown(() => store.close());
  return store;
}

const newKey = (): string => randomBytes(16).toString('base64url');
const ask = (key: string, wanted: number, rate = { emissionMs: 10_000, burst: 20 }): LeaseAsk => ({
  kind: 'callers',
  key,
  rate,
  passed: 0,
  wanted,
  aheadMs: 0,
  maxAheadMs: 1e6,
});

t.test('L2 in a cluster a batch is counted on all nodes, each key whole', async (t) => {
  const nodes = await startRedisCluster(t);
  const location: RedisLocation = {
    keyPrefix: 'sallyport',
    cluster: nodes.map(({ port }) => `127.0.0.1:${port}`),
    username: undefined,
    password: undefined,
  };
  const [one, other] = [open(t, location), open(t, location)];
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

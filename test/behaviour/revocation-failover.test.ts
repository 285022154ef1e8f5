/** Redis with several nodes: Sentinel that promotes a replica, and a cluster. Rules V6, D14. */
import t, { type Test } from 'tap';
import { systemClock } from '../../src/clock.ts';
import { RedisReplayStore } from '../../src/replay/redis-replay-store.ts';
import { DPOP } from '../../src/replay/used-proofs.ts';
import type { RedisLocation } from '../../src/revocation/redis-connection.ts';
import { expectNoneLost, join, lostAt, REVOCATIONS, revokeMany } from '../support/fleet.ts';
import { until } from '../support/gateway.ts';
import { freePort, startRedis, type TestRedis } from '../support/redis.ts';

const LIFE_MS = 65_000;
const PROOFS = 1_000;

function openProofs(t: Test, location: RedisLocation): RedisReplayStore {
  const store = new RedisReplayStore(location, systemClock);
  t.teardown(() => store.close());
  return store;
}

/** Offers proofs to two gateways at once. */
async function expectAcceptedOnce(
  t: Test,
  name: string,
  [one, other]: readonly [RedisReplayStore, RedisReplayStore],
): Promise<void> {
  const ids = Array.from({ length: PROOFS }, (_, each) => `${name} ${each}`);
  const offered = await Promise.all(
    ids.map((id) => Promise.all([one, other].map((store) => store.firstUse(DPOP, id, LIFE_MS)))),
  );
  t.ok(
    offered.every(([first, second]) => first !== second),
    `${name}: each proof is accepted once`,
  );
}

t.test('V6 D14 Sentinel promotes a replica that has nothing, or lags', async (t) => {
  const a = await startRedis(t, { persistent: false });
  const b = await startRedis(t, { persistent: false, options: [`replicaof 127.0.0.1 ${a.port}`] });
  const sentinel = await startRedis(t, {
    persistent: false,
    options: [
      `sentinel monitor main 127.0.0.1 ${a.port} 1`,
      // A busy machine must not look like a dead primary.
      'sentinel down-after-milliseconds main 2000',
      'sentinel failover-timeout main 3000',
    ],
  });
  const location: RedisLocation = {
    keyPrefix: 'sallyport',
    sentinels: [`127.0.0.1:${sentinel.port}`],
    name: 'main',
    db: 0,
    username: undefined,
    password: undefined,
    sentinelUsername: undefined,
    sentinelPassword: undefined,
  };
  await until(async () => (await b.command('INFO', 'replication')).includes('master_link_status:up'));
  await until(async () => (await sentinel.command('SENTINEL', 'REPLICAS', 'main')).includes(String(b.port)));
  const members = await Promise.all([join(t, location), join(t, location)]);
  const [first] = members;
  if (!first) throw new Error('no member');
  const proofs = [openProofs(t, location), openProofs(t, location)] as const;
  const acknowledged: string[] = [];
  /** The replica misses what is acknowledged now, and is promoted all the same. */
  const failOver = async (name: string, primary: TestRedis, replica: TestRedis): Promise<void> => {
    const port = String(primary.port);
    await until(async () =>
      (await sentinel.command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'main')).includes(port),
    );
    // The connection of a gateway finds the new primary by itself.
    await until(async () => (await revokeMany(first, `${name}, ready`, 1)).length === 1);
    replica.freeze();
    const news = await revokeMany(first, name);
    t.ok(news.length > 0, `${news.length} of ${REVOCATIONS} acknowledged`);
    acknowledged.push(...news);
    await until(() => members.every((member) => lostAt(member, news) === 0));
    await primary.kill();
    replica.thaw();
    await until(async () => (await replica.command('INFO', 'replication')).includes('role:master'));
    await expectNoneLost(t, name, members, location, acknowledged);
    // While the failover was found out each was refused; now one of two is accepted again.
    for (const each of proofs) {
      let count = 0;
      await until(() => each.firstUse(DPOP, `${name}, ready ${count++}`, LIFE_MS).catch(() => false));
    }
    await expectAcceptedOnce(t, name, proofs);
  };
  await expectAcceptedOnce(t, 'before', proofs);
  await failOver('an empty replica', a, b);
  await a.start();
  await a.command('REPLICAOF', '127.0.0.1', String(b.port));
  await until(async () => (await a.command('INFO', 'replication')).includes('master_link_status:up'));
  await failOver('a replica that lags', b, a);
});

t.test(
  'D14 a cluster keeps the list in one slot, and spreads used proofs over all of its nodes',
  async (t) => {
    const nodes = await Promise.all(
      [1, 2, 3].map(async () => {
        const bus = await freePort();
        return startRedis(t, {
          persistent: false,
          options: ['cluster-enabled yes', `cluster-port ${bus}`, 'cluster-node-timeout 2000'],
        });
      }),
    );
    const ranges = ['0 5460', '5461 10922', '10923 16383'];
    for (const [index, node] of nodes.entries()) {
      await node.command('CLUSTER', 'ADDSLOTSRANGE', ...(ranges[index] ?? '').split(' '));
      const info = await node.command('CLUSTER', 'INFO');
      t.match(info, /cluster_state/);
    }
    for (const node of nodes.slice(1)) {
      const bus =
        /cluster-port.*?(\d+)\r\n$/s.exec(await node.command('CONFIG', 'GET', 'cluster-port'))?.[1] ?? '';
      await nodes[0]?.command('CLUSTER', 'MEET', '127.0.0.1', String(node.port), bus);
    }
    await until(async () => {
      const states = await Promise.all(nodes.map((node) => node.command('CLUSTER', 'INFO')));
      return states.every(
        (state) => state.includes('cluster_state:ok') && state.includes('cluster_known_nodes:3'),
      );
    });
    const location: RedisLocation = {
      keyPrefix: 'sallyport',
      cluster: nodes.map(({ port }) => `127.0.0.1:${port}`),
      username: undefined,
      password: undefined,
    };
    const members = await Promise.all([join(t, location), join(t, location)]);
    const [first, second] = members;
    if (!first || !second) throw new Error('no member');
    const news = await revokeMany(first, 'cluster', 100);
    t.equal(news.length, 100);
    await until(() => lostAt(second, news) === 0);
    t.equal((await first.store.list({ limit: 1_000 })).entries.length, 100);
    await until(() => second.view.ageMs < 1_000);

    const proofs = [openProofs(t, location), openProofs(t, location)] as const;
    await expectAcceptedOnce(t, 'cluster', proofs);
    for (const node of nodes) {
      const keys = (await node.command('KEYS', 'sallyport:used:*'))
        .split('\r\n')
        .filter((each) => /:used:/.test(each));
      t.ok(keys.length > 200, `${keys.length} of ${PROOFS}`);
    }
    await nodes[2]?.kill();
    const ids = Array.from({ length: 30 }, (_, each) => `a node is gone ${each}`);
    const offered = await Promise.allSettled(ids.map((id) => proofs[0].firstUse(DPOP, id, LIFE_MS)));
    t.ok(
      offered.some(({ status }) => status === 'rejected'),
      'proofs of a node that is gone are refused in time',
    );
  },
);

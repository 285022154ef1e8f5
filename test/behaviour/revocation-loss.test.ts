/**
 * Redis loses the list, or is lost itself: no acknowledged revocation is, as long as a gateway that has seen it
 * keeps running. Gateways here are what a gateway has for this: a store and a view. Rules V6, V9.
 */
import { once } from 'node:events';
import t from 'tap';
import { targetId } from '../../src/revocation/revocation-target.ts';
import { expectNoneLost, join, lostAt, REVOCATIONS, revokeMany } from '../support/fleet.ts';
import { until } from '../support/gateway.ts';
import { startRedis } from '../support/redis.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { ISSUER } from '../support/tokens.ts';

const ROUNDS = 2;
// They wait for Redis more than they work.
t.jobs = 3;

t.test('V6 one Redis that loses its memory in many ways', { buffered: true }, async (t) => {
  const redis = await startRedis(t, { persistent: false });
  const location = { url: redis.url, keyPrefix: 'sallyport' };
  const proxy = await startTcpProxy(t, redis.port);
  const members = await Promise.all([join(t, location), join(t, location)]);
  const behindProxy = await join(t, { ...location, url: `redis://127.0.0.1:${proxy.port}/0` });
  const [first] = members;
  if (!first) throw new Error('no member');
  const everyone = [...members, behindProxy];
  const acknowledged: string[] = [];

  const faults: Record<string, () => Promise<void>> = {
    FLUSHALL: async () => {
      await redis.command('FLUSHALL');
    },
    'kill -9, and a restart with nothing': async () => {
      await redis.kill();
      await redis.start();
    },
    'eviction by allkeys-lru': async () => {
      await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
      await redis.command('CONFIG', 'SET', 'maxmemory', '1');
      await redis.command('SET', 'junk', 'x');
      await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    },
    'a partition': async () => {
      proxy.cut();
      await until(() => !behindProxy.view.connected);
      acknowledged.push(...(await revokeMany(first, `during-${acknowledged.length}`, 50)));
      proxy.heal();
      await until(() => behindProxy.view.connected && lostAt(behindProxy, acknowledged) === 0);
    },
  };
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, fault] of Object.entries(faults)) {
      const news = await revokeMany(first, `${name}-${round}`);
      t.equal(news.length, REVOCATIONS);
      acknowledged.push(...news);
      await until(() => everyone.every((member) => lostAt(member, news) === 0));
      await fault();
      await expectNoneLost(t, `${name}, round ${round + 1}`, everyone, location, acknowledged);
    }
  }
  t.equal(first.view.size, acknowledged.length);
});

t.test('V6 an undo survives, too', { buffered: true }, async (t) => {
  const redis = await startRedis(t, { persistent: false });
  const location = { url: redis.url, keyPrefix: 'sallyport' };
  const member = await join(t, location);
  const [kept = '', undone = ''] = await revokeMany(member, 'undo', 2);
  const id = targetId({ issuer: ISSUER, kind: 'token_id', value: undone });
  const tombstone = await member.store.undo(id);
  if (tombstone) member.view.apply([tombstone]);
  await redis.command('FLUSHALL');
  await until(async () => {
    const fresh = await join(t, location);
    const restored = lostAt(fresh, [kept]) === 0;
    t.equal(lostAt(fresh, [undone]), 1, 'not revoked');
    await fresh.stop();
    return restored;
  });
  const entry = await member.store.find(targetId({ issuer: ISSUER, kind: 'token_id', value: kept }));
  t.match(entry, { createdBy: 'restored', reason: 'restored', target: undefined });
});

t.test('V9 a half-open connection is noticed', { buffered: true }, async (t) => {
  const redis = await startRedis(t);
  const proxy = await startTcpProxy(t, redis.port);
  const member = await join(t, { url: `redis://127.0.0.1:${proxy.port}/0`, keyPrefix: 'sallyport' });
  await until(() => member.view.ageMs < 1_000);
  proxy.blackHole();
  // Three seconds of this process's own pace: where the machine is busy, its ticks come late as well.
  let ticks = 0;
  const ticking = setInterval(() => ticks++, 10);
  await once(member.view, 'lost');
  clearInterval(ticking);
  t.ok(ticks < 300, `noticed after ${ticks} ticks of 10 ms`);
  t.notOk(member.view.connected);
  await t.rejects(member.store.nowMs(), 'no command hangs');
  proxy.heal();
  await until(() => member.view.connected);
  t.equal((await revokeMany(member, 'healed', 1)).length, 1);
});

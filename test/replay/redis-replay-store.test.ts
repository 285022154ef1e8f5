/** Used proofs in a Redis that fails in every way that it has. Rules D14, V9. */
import t, { type Test } from 'tap';
import { RedisReplayStore } from '../../src/replay/redis-replay-store.ts';
import { ReplayStoreFull } from '../../src/replay/replay-store.ts';
import { DPOP, RESPONSE_MS } from '../../src/replay/used-proofs.ts';
import { until } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { freePort, startRedis, type TestRedis } from '../support/redis.ts';

const LIFE_MS = 65_000;
const AT_ONCE = 1_000;

function open(t: Test, { url }: Pick<TestRedis, 'url'>): { store: RedisReplayStore; clock: ManualClock } {
  const clock = new ManualClock();
  const store = new RedisReplayStore({ url, keyPrefix: 'sallyport' }, clock);
  t.teardown(() => store.close());
  // The clock's timers keep no process alive.
  const alive = setInterval(() => undefined, 1_000);
  t.teardown(() => clearInterval(alive));
  return { store, clock };
}

type Offered = 'first' | 'used' | 'unknown';

/** Offers each proof to both gateways at once. */
async function offerAll(
  a: RedisReplayStore,
  b: RedisReplayStore,
  ids: readonly string[],
): Promise<readonly Offered[][]> {
  const offered: Offered[][] = [];
  for (let from = 0; from < ids.length; from += AT_ONCE) {
    const some = ids.slice(from, from + AT_ONCE);
    offered.push(...(await Promise.all(some.map((id) => Promise.all([offer(a, id), offer(b, id)])))));
  }
  return offered;
}

async function offer(store: RedisReplayStore, id: string): Promise<Offered> {
  return store.firstUse(DPOP, id, LIFE_MS).then(
    (isFirst) => (isFirst ? 'first' : 'used'),
    () => 'unknown',
  );
}

t.test('D14 10,000 proofs that two gateways see at once: each is accepted once', async (t) => {
  const redis = await startRedis(t, { persistent: false });
  const [a, b] = [open(t, redis).store, open(t, redis).store];
  const ids = Array.from({ length: 10_000 }, (_, each) => `proof ${each}`);
  const offered = await offerAll(a, b, ids);
  t.strictSame(new Set(offered.map((both) => both.toSorted().join(' and '))), new Set(['first and used']));
});

t.test('D14 with Redis killed in the middle no proof is accepted twice, and none hangs', async (t) => {
  const redis = await startRedis(t);
  const [a, b] = [open(t, redis).store, open(t, redis).store];
  // On a busy machine Redis may end before it is connected to.
  await offerAll(a, b, ['connected']);
  const ids = Array.from({ length: 2_000 }, (_, each) => `proof ${each}`);
  const offers: Promise<Offered[]>[] = [];
  let killed: Promise<void> | undefined;
  for (let from = 0; from < ids.length; from += 100) {
    offers.push(...ids.slice(from, from + 100).map((id) => Promise.all([offer(a, id), offer(b, id)])));
    if (from === 1_000) killed = redis.kill();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const first = await Promise.all(offers);
  await killed;
  const times = (what: Offered): number => first.flat().filter((each) => each === what).length;
  t.ok(times('first') > 0, `${times('first')} accepted before it ended`);
  t.ok(times('unknown') > 0, `${times('unknown')} refused after it had ended`);

  await redis.start();
  await until(async () => (await offer(a, 'ready a')) === 'first' && (await offer(b, 'ready b')) === 'first');
  const again = await offerAll(a, b, ids);
  const accepted = ids.map(
    (_, index) =>
      [...(first[index] ?? []), ...(again[index] ?? [])].filter((each) => each === 'first').length,
  );
  t.equal(Math.max(...accepted), 1, 'also with what Redis has read from its disk');
  t.notOk(again.flat().includes('unknown'));
});

t.test('D14 V9 a Redis that is silent is waited for a second, and works again when it speaks', async (t) => {
  const redis = await startRedis(t, { persistent: false });
  const { store, clock } = open(t, redis);
  t.equal(await store.firstUse(DPOP, 'before', LIFE_MS), true);
  redis.freeze();
  for (const when of ['on the connection that was there', 'on a new one, which never becomes ready']) {
    const calls = Array.from({ length: 100 }, (_, each) => offer(store, `${when} ${each}`));
    clock.advance(RESPONSE_MS - 200);
    const early = await Promise.race([calls[0], new Promise((resolve) => setImmediate(resolve, 'waits'))]);
    t.equal(early, 'waits', when);
    clock.advance(201);
    t.strictSame(new Set(await Promise.all(calls)), new Set(['unknown']), when);
  }
  redis.thaw();
  let count = 0;
  await until(async () => (await offer(store, `after ${count++}`)) === 'first');
  t.equal(await store.firstUse(DPOP, 'before', LIFE_MS), false);
});

t.test('D14 V9 a process that stood still itself does not take that for the silence of Redis', async (t) => {
  const redis = await startRedis(t, { persistent: false });
  const { store, clock } = open(t, redis);
  await store.firstUse(DPOP, 'before', LIFE_MS);
  const calls = Array.from({ length: 100 }, (_, each) => offer(store, `proof ${each}`));
  await new Promise((resolve) => setImmediate(resolve));
  const untilMs = performance.now() + 50;
  while (performance.now() < untilMs);
  // The responses are there, and the timers fire before they are read.
  clock.advance(RESPONSE_MS);
  t.strictSame(new Set(await Promise.all(calls)), new Set(['first']));
});

t.test('D14 a replica accepts no proof', async (t) => {
  const primary = await startRedis(t, { persistent: false, options: ['repl-diskless-sync-delay 0'] });
  const replica = await startRedis(t, {
    persistent: false,
    options: [`replicaof 127.0.0.1 ${primary.port}`],
  });
  await until(async () => (await replica.command('INFO', 'replication')).includes('master_link_status:up'));
  const { store } = open(t, replica);
  for (let each = 0; each < 3; each++) await t.rejects(store.firstUse(DPOP, 'a', LIFE_MS), /READONLY/);
  await replica.command('REPLICAOF', 'NO', 'ONE');
  t.equal(await store.firstUse(DPOP, 'a', LIFE_MS), true, 'once it is the primary it does');
});

t.test('D14 a Redis without memory is full, and forgets nothing', async (t) => {
  const redis = await startRedis(t, { persistent: false });
  const { store } = open(t, redis);
  t.equal(await store.firstUse(DPOP, 'a', LIFE_MS), true);
  await redis.command('CONFIG', 'SET', 'maxmemory', '1');
  await t.rejects(store.firstUse(DPOP, 'b', LIFE_MS), ReplayStoreFull);
  await redis.command('CONFIG', 'SET', 'maxmemory', '0');
  t.equal(await store.firstUse(DPOP, 'a', LIFE_MS), false);
  t.equal(await store.firstUse(DPOP, 'b', LIFE_MS), true, 'it was not remembered, and not accepted');
});

t.test('D14 whatever else stands under the key of a proof: the proof is not accepted', async (t) => {
  const redis = await startRedis(t, { persistent: false });
  const { store } = open(t, redis);
  await redis.command('RPUSH', 'sallyport:used:dpop:list', 'x');
  await redis.command('HSET', 'sallyport:used:dpop:hash', 'x', 'y');
  await redis.command('SET', 'sallyport:used:dpop:text', 'for ever');
  for (const id of ['list', 'hash', 'text']) t.equal(await store.firstUse(DPOP, id, LIFE_MS), false, id);
});

t.test('D14 a proof has its time in Redis from its first use on, in whole milliseconds', async (t) => {
  const redis = await startRedis(t, { persistent: false });
  const { store } = open(t, redis);
  await store.firstUse(DPOP, 'a', 65_000.5);
  await store.firstUse(DPOP, 'a', 9_000_000);
  const left = Number(/^:(\d+)/.exec(await redis.command('PTTL', 'sallyport:used:dpop:a'))?.[1]);
  t.ok(left > 0 && left <= 65_001, `${left} ms: a replay does not lengthen it`);
});

t.test('D14 without Redis, and without the right to use it, a proof is refused', async (t) => {
  const nowhere = open(t, { url: `redis://127.0.0.1:${await freePort()}/0` }).store;
  await t.rejects(nowhere.firstUse(DPOP, 'a', LIFE_MS), /ECONNREFUSED/);
  await t.rejects(nowhere.firstUse(DPOP, 'a', LIFE_MS), /ECONNREFUSED/);

  const redis = await startRedis(t, { persistent: false });
  // As the documents had it before there were proofs.
  await redis.command('ACL', 'SETUSER', 'gateway', 'on', '>secret', '~{sallyport}:revocation:*', '+@all');
  const url = redis.url.replace('redis://', 'redis://gateway:secret@');
  await t.rejects(open(t, { url }).store.firstUse(DPOP, 'a', LIFE_MS), /NOPERM/);
});

t.test('D14 a closed store connects no more', async (t) => {
  const redis = await startRedis(t, { persistent: false });
  const { store } = open(t, redis);
  const last = offer(store, 'a');
  await store.close();
  t.not(await last, 'used');
});

/** Buckets in Redis: what is peculiar to it. test/contracts/lease-store.test.ts has what all stores promise. Rules L1, L2, V9. */
import t from 'tap';
import { readFileSync } from 'node:fs';
import { ask, newKey, openLeases } from '../support/lease-stores.ts';
import { startRedis } from '../support/redis.ts';

t.test('L1 a bucket lives in Redis until it is full, and no longer', async (t) => {
  const redis = await startRedis(t, { persistent: false });
  const store = openLeases(t, { url: redis.url, keyPrefix: 'fleet-a' });
  const key = newKey();
  await store.ask([ask(key, 5)]);
  const name = `fleet-a:limit:{${key.slice(0, 1)}}:${key}`;
  const left = Number(/^:(-?\d+)/.exec(await redis.command('PTTL', name))?.[1]);
  t.ok(left > 45_000 && left <= 50_000, `${left} ms for five requests of 10 s`);
  await store.ask([{ ...ask(key, 0), passed: -5 }]);
  t.match(await redis.command('EXISTS', name), /^:0/, 'given back whole, it is gone');
  const other = openLeases(t, { url: redis.url, keyPrefix: 'fleet-b' });
  await store.ask([ask(key, 20)]);
  t.match(await other.ask([ask(key, 20)]), [{ granted: 20 }], 'fleets with other prefixes count apart');
});

t.test(
  'L2 a clock that Redis sets back by an hour refuses for no longer than a bucket can be ahead',
  async (t) => {
    const redis = await startRedis(t, { persistent: false });
    const store = openLeases(t, { url: redis.url, keyPrefix: 'sallyport' });
    const key = newKey();
    await redis.command('SET', `sallyport:limit:{${key.slice(0, 1)}}:${key}`, String(Date.now() + 3_600_000));
    const [reply] = await store.ask([{ ...ask(key, 1), maxAheadMs: 300_000 }]);
    t.ok((reply?.aheadMs ?? Infinity) <= 300_000);
  },
);

t.test('L2 a user with the rights that the documents ask for can count', async (t) => {
  const redis = await startRedis(t, { persistent: false });
  const text = readFileSync(new URL('../../docs/revocation.md', import.meta.url), 'utf8');
  const commands = [...text.matchAll(/^redis-cli (ACL SETUSER [^]*?)\n```/gm)].map(([, command = '']) =>
    command.replaceAll("'", '').split(/[\s\\]+/),
  );
  t.equal(commands.length, 2, 'one for the list and proofs, one for limits');
  for (const command of commands) t.match(await redis.command(...command), /^\+OK/);
  const url = redis.url.replace('redis://', 'redis://gateway:PASSWORD@');
  const store = openLeases(t, { url, keyPrefix: 'sallyport' });
  const key = newKey();
  t.match(await store.ask([ask(key, 5)]), [{ granted: 5 }]);
  t.match(await store.ask([{ ...ask(key, 0), passed: -5 }]), [{ granted: 0 }], 'a full bucket is deleted');
  await t.rejects(openLeases(t, { url, keyPrefix: 'other' }).ask([ask(key, 1)]), /NOPERM/);
});

t.test('V9 a Redis that does not respond is given up in time', async (t) => {
  const redis = await startRedis(t, { persistent: false });
  const store = openLeases(t, { url: redis.url, keyPrefix: 'sallyport' });
  await store.ask([ask(newKey(), 1)]);
  redis.freeze();
  await t.rejects(store.ask([ask(newKey(), 1)]), 'did not respond');
  redis.thaw();
  t.match(await store.ask([ask(newKey(), 1)]), [{ granted: 1 }]);
});

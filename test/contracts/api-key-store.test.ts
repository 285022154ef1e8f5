/** What every store of API keys promises, run over all of them, Redis for real. Rules V5, V6, X1. */
import t, { type Test } from 'tap';
import { hash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApiKeyStore, NamedText } from '../../src/api-keys/api-key-store.ts';
import { MemoryApiKeyStore } from '../../src/api-keys/memory-api-key-store.ts';
import { RedisApiKeyStore } from '../../src/api-keys/redis-api-key-store.ts';
import { SqliteApiKeyStore } from '../../src/api-keys/sqlite-api-key-store.ts';
import { systemClock } from '../../src/clock.ts';
import { PositionLost } from '../../src/revocation/revocation-store.ts';
import { startRedis } from '../support/redis.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';

interface Opened {
  readonly store: ApiKeyStore;
  /** The same keys, as another gateway has them. */
  readonly second?: ApiKeyStore;
}

async function all(store: ApiKeyStore): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  for await (const batch of store.snapshot()) for (const { name, text } of batch) texts.set(name, text);
  return texts;
}

/** Everything after a position, however many calls that takes. */
async function read(store: ApiKeyStore, after: string): Promise<{ texts: NamedText[]; position: string }> {
  const texts: NamedText[] = [];
  for (let position = after; ;) {
    const changes = await store.changes(position);
    texts.push(...changes.texts);
    position = changes.position;
    if (changes.complete !== undefined) return { texts, position };
  }
}

const put = async (store: ApiKeyStore, name: string, text: string, before?: string): Promise<boolean> =>
  (await store.replace([{ name, before, text }]))[0] ?? false;

function contract(name: string, open: (t: Test) => Promise<Opened>): void {
  t.test(name, async (t) => {
    const { store, second = store } = await open(t);
    t.teardown(() => Promise.all([store.close(), second.close()]));

    t.test('a text takes the place of what was expected there, and of nothing else', async (t) => {
      t.equal(await put(store, 'a/1', 'one'), true);
      t.equal(await put(second, 'a/1', 'other'), false, 'there is something');
      t.equal(await put(second, 'a/1', 'other', 'two'), false, 'it is another');
      t.equal(await put(second, 'a/1', 'other', 'one'), true);
      t.equal((await all(store)).get('a/1'), 'other');
      t.strictSame(
        await store.replace([
          { name: 'a/1', before: 'one', text: undefined },
          { name: 'a/2', before: undefined, text: 'x' },
        ]),
        [false, true],
        'each for itself',
      );
      await store.replace([{ name: 'a/2', before: 'x', text: undefined }]);
      t.equal((await all(second)).has('a/2'), false);
    });

    t.test('V5 what changed after a position is told once, the last text of each', async (t) => {
      const { position } = await store.changes(undefined);
      t.strictSame(await read(second, position), { texts: [], position });
      await put(store, 'b/1', 'one');
      await put(store, 'b/2', 'one');
      await put(store, 'b/1', 'two', 'one');
      const news = await read(second, position);
      t.strictSame(news.texts, [
        { name: 'b/2', text: 'one' },
        { name: 'b/1', text: 'two' },
      ]);
      t.strictSame((await read(second, news.position)).texts, []);
      await store.replace([{ name: 'b/2', before: 'one', text: undefined }]);
      await put(store, 'b/3', 'new');
      t.strictSame((await read(second, news.position)).texts, [{ name: 'b/3', text: 'new' }]);
    });

    t.test('a position that the order does not reach is lost', async (t) => {
      await t.rejects(store.changes('999999999'), PositionLost);
    });

    t.test('10,000 keys are all there, and what changes then is told alone', async (t) => {
      const { position } = await store.changes(undefined);
      const many = Array.from({ length: 10_000 }, (_, index) => ({
        name: `many/${index}`,
        before: undefined,
        text: `text ${index} ${'x'.repeat(300)}`,
      }));
      t.equal((await store.replace(many)).every(Boolean), true);
      const news = await read(second, position);
      t.equal(new Set(news.texts.map((each) => each.name)).size, 10_000);
      const everything = await all(second);
      t.equal([...everything.keys()].filter((each) => each.startsWith('many/')).length, 10_000);
      await put(store, 'many/7', 'changed', many[7]?.text);
      t.strictSame((await read(second, news.position)).texts, [{ name: 'many/7', text: 'changed' }]);
    });

    t.test('when a key was last used is known to all, and never goes back', async (t) => {
      await put(store, 'c/1', 'one');
      await store.noteUses([{ name: 'c/1', usedAt: 200 }]);
      await second.noteUses([{ name: 'c/1', usedAt: 100 }]);
      t.strictSame(await second.lastUses(['c/1', 'c/unknown']), [200, undefined]);
      t.strictSame(await second.lastUses([]), []);
      await store.replace([{ name: 'c/1', before: 'one', text: undefined }]);
      t.strictSame(await second.lastUses(['c/1']), [undefined], 'it goes with its key');
    });

    t.test('a change that two make at once is done once', async (t) => {
      await put(store, 'd/1', 'before');
      const tries = Array.from({ length: 20 }, (_, index) =>
        put(index % 2 === 0 ? store : second, 'd/1', `after ${index}`, 'before'),
      );
      t.equal((await Promise.all(tries)).filter(Boolean).length, 1);
    });

    t.test('time is that of the store', async (t) => {
      t.ok(Math.abs((await store.nowMs()) - Date.now()) < 60_000);
    });
  });
}

contract('memory', async () => ({ store: new MemoryApiKeyStore(systemClock) }));

contract('sqlite', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-sqlite-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const open = (): SqliteApiKeyStore => new SqliteApiKeyStore(join(folder, 'list.sqlite'), systemClock);
  return { store: open(), second: open() };
});

contract('redis', async (t) => {
  const redis = await startRedis(t, { persistent: false });
  const open = (): RedisApiKeyStore =>
    new RedisApiKeyStore({ url: redis.url, keyPrefix: 'sallyport' }, systemClock);
  return { store: open(), second: open() };
});

contract('redis cluster', async (t) => {
  const nodes = await startRedisCluster(t);
  const cluster = nodes.map(({ port }) => `127.0.0.1:${port}`);
  const open = (): RedisApiKeyStore =>
    new RedisApiKeyStore(
      { cluster, keyPrefix: 'sallyport', username: undefined, password: undefined },
      systemClock,
    );
  return { store: open(), second: open() };
});

t.test('V6 redis: count and checksum tell what was lost, changed past the scripts, or evicted', async (t) => {
  const redis = await startRedis(t, { persistent: false });
  const store = new RedisApiKeyStore({ url: redis.url, keyPrefix: 'sallyport' }, systemClock);
  t.teardown(() => store.close());
  const checksumOf = (texts: ReadonlyMap<string, string>): number =>
    [...texts].reduce(
      (sum, [name, text]) => (sum + hash('sha1', `${name}|${text}`, 'buffer').readUIntBE(0, 6)) % 2 ** 48,
      0,
    );
  const agrees = async (): Promise<boolean> => {
    const { complete } = await store.changes(undefined);
    const texts = await all(store);
    return (
      typeof complete === 'object' && complete.count === texts.size && complete.checksum === checksumOf(texts)
    );
  };
  for (let index = 0; index < 20; index++) await put(store, `a/${index}`, `text ${index}`);
  await put(store, 'a/3', 'another', 'text 3');
  await store.replace([{ name: 'a/4', before: 'text 4', text: undefined }]);
  t.equal(await agrees(), true);
  const before = await store.changes(undefined);
  await redis.command('HDEL', '{sallyport}:api-keys:texts', 'a/5');
  t.equal(await agrees(), true, 'they are worked out again');
  t.notSame((await store.changes(undefined)).complete, before.complete);
  await redis.command('DEL', '{sallyport}:api-keys:counts');
  t.equal(await agrees(), true);
  t.equal((await store.changes(undefined)).position, before.position, 'the order goes on where it was');
  await redis.command('FLUSHALL');
  await t.rejects(store.changes(before.position), PositionLost);
  t.strictSame((await store.changes(undefined)).complete, { count: 0, checksum: 0 });
});

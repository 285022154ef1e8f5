/** Where a gateway counts requests together with others. Rule L2. */
import t from 'tap';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLeaseStore } from '../../src/assembly/lease-store.ts';
import { systemClock } from '../../src/clock.ts';
import { RedisLeaseStore } from '../../src/limits/redis-lease-store.ts';
import { SqliteLeaseStore } from '../../src/limits/sqlite-lease-store.ts';
import { reloaded } from '../support/moving-targets.ts';

const configurationOf = (changes: Record<string, unknown>): Record<string, unknown> => ({
  routes: [{ name: 'r', match: {}, upstream: 'u', auth: { mode: 'none' } }],
  upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
  ...changes,
});

t.test('L2 limits of a fleet are counted where the revocation list is', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-leases-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const open = (store: unknown) =>
    openLeaseStore({ ...reloaded(configurationOf({ revocation: { store } })), folder }, systemClock);
  t.equal(open('memory:'), undefined, 'no other gateway shares it');
  t.ok(open('redis://127.0.0.1:1/0') instanceof RedisLeaseStore);
  t.ok(open({ cluster: ['127.0.0.1:1'] }) instanceof RedisLeaseStore);
  t.ok(open({ sentinels: ['127.0.0.1:1'], name: 'main' }) instanceof RedisLeaseStore);
  const sqlite = open('sqlite:list.sqlite');
  t.ok(sqlite instanceof SqliteLeaseStore);
  t.notOk(existsSync(join(folder, 'list.sqlite')), 'nothing is opened before the first request that counts');
  await sqlite?.ask([]);
  t.ok(existsSync(join(folder, 'list.sqlite')));
  await sqlite?.close();
});

/** Where a gateway remembers used proofs. Rule D14. */
import t from 'tap';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryReplayStore } from '../../src/replay/memory-replay-store.ts';
import { RedisReplayStore } from '../../src/replay/redis-replay-store.ts';
import { ReplayStoreFull } from '../../src/replay/replay-store.ts';
import { SqliteReplayStore } from '../../src/replay/sqlite-replay-store.ts';
import { DPOP } from '../../src/replay/used-proofs.ts';
import { openReplayStore } from '../../src/assembly/replay-store.ts';
import { systemClock } from '../../src/clock.ts';
import { startGateway } from '../support/gateway.ts';
import { reloaded } from '../support/moving-targets.ts';

const configurationOf = (changes: Record<string, unknown>): Record<string, unknown> => ({
  routes: [{ name: 'r', match: {}, upstream: 'u', auth: { mode: 'none' } }],
  upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
  ...changes,
});
const LIFE_MS = 65_000;

t.test('D14 used proofs are remembered where the revocation list is', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-replay-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const open = (store: unknown) =>
    openReplayStore({ ...reloaded(configurationOf({ revocation: { store } })), folder }, systemClock);
  t.ok(open('memory:') instanceof MemoryReplayStore);
  t.ok(open('redis://127.0.0.1:1/0') instanceof RedisReplayStore);
  t.ok(open({ cluster: ['127.0.0.1:1'] }) instanceof RedisReplayStore);
  t.ok(open({ sentinels: ['127.0.0.1:1'], name: 'main' }) instanceof RedisReplayStore);
  const sqlite = open('sqlite:list.sqlite');
  t.ok(sqlite instanceof SqliteReplayStore);
  t.notOk(existsSync(join(folder, 'list.sqlite')), 'nothing is opened before the first proof');
  t.equal(await sqlite.firstUse(DPOP, 'a', LIFE_MS), true);
  t.ok(existsSync(join(folder, 'list.sqlite')));
  await sqlite.close();
});

t.test(
  'D14 a gateway holds as many as configured, a reload changes that, and keeps what it has',
  async (t) => {
    const remembering = (entries: number) => configurationOf({ dpop: { remembered: { entries } } });
    const { instance } = await startGateway(t, remembering(1));
    const { replay } = instance.generation.lasting.place;
    t.equal(await replay.firstUse(DPOP, 'a', LIFE_MS), true);
    await t.rejects(replay.firstUse(DPOP, 'b', LIFE_MS), ReplayStoreFull);
    await instance.reload(reloaded(remembering(2)));
    t.equal(instance.generation.lasting.place.replay, replay);
    t.equal(await replay.firstUse(DPOP, 'a', LIFE_MS), false);
    t.equal(await replay.firstUse(DPOP, 'b', LIFE_MS), true);
    await t.rejects(replay.firstUse(DPOP, 'c', LIFE_MS), ReplayStoreFull);
  },
);

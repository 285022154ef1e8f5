/** The revocation list between a primary and a worker, without processes. Rules V5 to V8. */
import t, { type Test } from 'tap';
import { once } from 'node:events';
import { MemoryStore } from '../../src/revocation/memory-store.ts';
import { RevocationView } from '../../src/revocation/revocation-view.ts';
import type { PrimaryCalls, WorkerCalls } from '../../src/workers/calls.ts';
import { Channel } from '../../src/workers/channel.ts';
import { CopiedStore } from '../../src/workers/copied-store.ts';
import { SharedList } from '../../src/workers/shared-list.ts';
import { until } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { revocationOf, tokenWith } from '../support/one-token.ts';
import { pipes } from '../support/pipes.ts';

class LossyStore extends MemoryStore {
  isLost = false;
  isSilent = false;

  override async *follow(...args: Parameters<MemoryStore['follow']>): ReturnType<MemoryStore['follow']> {
    for await (const batch of super.follow(...args)) {
      if (this.isLost) throw new Error('the store is lost');
      if (!this.isSilent) yield batch;
    }
  }

  override async position(): Promise<string> {
    if (this.isLost) throw new Error('the store is lost');
    return super.position();
  }
}

function startPair(t: Test) {
  const clock = new ManualClock();
  const store = new LossyStore(clock);
  const worker: { channel?: Channel<WorkerCalls> } = {};
  const list = new SharedList(store, {
    refuse: async (marks) => worker.channel?.call('refuse', marks),
    changed: (changes) => void worker.channel?.call('changes', changes),
  });
  const primary = new RevocationView(list.store, clock, list.marks);
  list.use(primary);
  primary.start();
  const join = (): RevocationView => {
    const [ours, theirs] = pipes();
    worker.channel = new Channel<WorkerCalls>(ours, clock, list.handlers);
    const copy: CopiedStore = new CopiedStore(
      'memory',
      new Channel<PrimaryCalls>(theirs, clock, {
        refuse: (marks: Parameters<RevocationView['apply']>[0]) => view.apply(marks),
        changes: (changes: Parameters<CopiedStore['changed']>[0]) => copy.changed(changes),
      }),
      clock,
      (marks) => view.apply(marks),
    );
    const view = new RevocationView(copy, clock);
    view.start();
    t.teardown(() => view.stop());
    return view;
  };
  t.teardown(() => primary.stop());
  return { clock, store, list, primary, join };
}

t.test('V7: what is acknowledged is refused by the worker, though the log has not brought it', async (t) => {
  const { store, list, join } = startPair(t);
  const view = join();
  await once(view, 'loaded');
  store.isSilent = true;
  await list.store.revoke(revocationOf('a'));
  t.equal(view.isRevoked(tokenWith('a'), 0), true);
  t.equal(view.isRevoked(tokenWith('b'), 0), false);

  const next = join();
  await once(next, 'loaded');
  t.equal(next.isRevoked(tokenWith('a'), 0), true, 'nor does a worker that starts then lack it');
});

t.test('V5: what others revoke, and undo, and what expires, reaches the worker', async (t) => {
  const { clock, store, join } = startPair(t);
  const view = join();
  await once(view, 'loaded');
  for (let each = 0; each < 2_500; each++) await store.revoke(revocationOf(`t${each}`));
  await until(() => view.size === 2_500);
  t.equal(view.isRevoked(tokenWith('t7'), 0), true);
  await store.undo(revocationOf('t7').id);
  await until(() => !view.isRevoked(tokenWith('t7'), 0));
  const next = join();
  await once(next, 'loaded');
  t.equal(next.size, 2_499, 'a worker that starts late has all of it');
  clock.advance(3_700_000);
  await until(() => next.size === 0);
});

t.test('V8: a worker is no fresher than the primary, even where it has just copied the list', async (t) => {
  const { clock, store, primary, join } = startPair(t);
  const view = join();
  await once(view, 'loaded');
  store.isLost = true;
  await until(() => !primary.connected);
  clock.advance(20_000);
  t.ok(view.ageMs >= 20_000);
  const next = join();
  await until(() => next.ageMs !== Infinity);
  t.ok(next.ageMs >= 20_000, 'a copy of a stale list is stale');
  store.isLost = false;
  await until(() => view.ageMs < 5_000 && next.ageMs < 5_000 && primary.ageMs < 5_000);
  t.pass('and fresh again once the store is back');
});

t.test('a worker finds out why it refuses a token', async (t) => {
  const clock = new ManualClock();
  const store = new MemoryStore(clock);
  const list = new SharedList(store, { refuse: async () => undefined, changed: () => undefined });
  const [ours, theirs] = pipes();
  new Channel<WorkerCalls>(ours, clock, list.handlers);
  const copy = new CopiedStore(
    'memory',
    new Channel<PrimaryCalls>(theirs, clock, {}),
    clock,
    () => undefined,
  );
  const { entry } = await store.revoke(revocationOf('a'));
  t.strictSame(await copy.find(entry.id), entry);
  t.equal(await copy.find(revocationOf('b').id), undefined);
});

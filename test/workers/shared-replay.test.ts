/** Used proofs between a primary and its workers, without processes. Rule D14. */
import t, { type Test } from 'tap';
import { MemoryReplayStore } from '../../src/replay/memory-replay-store.ts';
import { ReplayStoreFull, type ReplayStore } from '../../src/replay/replay-store.ts';
import { DPOP, RESPONSE_MS } from '../../src/replay/used-proofs.ts';
import { AskedReplayStore } from '../../src/workers/asked-replay-store.ts';
import type { PrimaryCalls } from '../../src/workers/calls.ts';
import { Channel, type Pipe } from '../../src/workers/channel.ts';
import { SharedReplay } from '../../src/workers/shared-replay.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { pipes } from '../support/pipes.ts';

const LIFE_MS = 65_000;
const clock = new ManualClock();

/** A worker of a primary with this store. */
function join(store: ReplayStore): { worker: AskedReplayStore; lose: () => void; sent: unknown[] } {
  const [ours, theirs] = pipes();
  new Channel<unknown>(ours, clock, new SharedReplay(store).handlers);
  const sent: unknown[] = [];
  const counted: Pipe = {
    open: (received) => theirs.open(received),
    send: (message) => {
      sent.push(message);
      theirs.send(message);
    },
  };
  const channel = new Channel<PrimaryCalls>(counted, clock, {});
  return { worker: new AskedReplayStore(channel), lose: () => channel.close(), sent };
}

function fails(error: Error): ReplayStore {
  return {
    firstUse: () => Promise.reject(error),
    isUsed: () => Promise.reject(error),
    resize: () => undefined,
    close: async () => undefined,
  };
}

/** Until what was sent has arrived. */
async function turns(t: Test, count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
  t.ok(true);
}

t.test('D14 two workers never accept one proof, nor does one that takes the place of another', async (t) => {
  const store = new MemoryReplayStore(clock);
  const [first, second] = [join(store).worker, join(store).worker];
  const ids = Array.from({ length: 1_000 }, (_, each) => `proof ${each}`);
  const offered = await Promise.all(
    ids.map((id) => Promise.all([first, second].map((worker) => worker.firstUse(DPOP, id, LIFE_MS)))),
  );
  t.ok(offered.every(([one, other]) => one !== other));
  const next = join(store).worker;
  const again = await Promise.all(ids.map((id) => next.firstUse(DPOP, id, LIFE_MS)));
  t.notOk(again.includes(true));
});

t.test('D14 the proofs of one turn are one message', async (t) => {
  const { worker, sent } = join(new MemoryReplayStore(clock));
  await Promise.all(
    Array.from({ length: 500 }, (_, each) => worker.firstUse(DPOP, `proof ${each}`, LIFE_MS)),
  );
  t.equal(sent.length, 1);
  await worker.firstUse(DPOP, 'another', LIFE_MS);
  t.equal(sent.length, 2);
});

t.test('D14 what the store of the primary rejects, the worker rejects, each proof for itself', async (t) => {
  const { worker } = join(new MemoryReplayStore(clock, 1));
  const offered = [
    worker.firstUse(DPOP, 'a', LIFE_MS),
    worker.firstUse(DPOP, 'b', LIFE_MS),
    worker.firstUse(DPOP, 'a', LIFE_MS),
  ];
  const outcomes = await Promise.allSettled(offered);
  t.match(outcomes, [{ value: true }, { reason: ReplayStoreFull }, { value: false }]);
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  const lost = join(fails(refused)).worker.firstUse(DPOP, 'a', LIFE_MS);
  await t.rejects(lost, { message: 'connect ECONNREFUSED', code: 'ECONNREFUSED' });
  await t.rejects(worker.firstUse(DPOP, 'c', NaN), RangeError);
});

t.test('D14 a primary that says nothing, or is gone, is not waited for', async (t) => {
  const silent: ReplayStore = {
    firstUse: () => new Promise(() => undefined),
    isUsed: () => new Promise(() => undefined),
    resize: () => undefined,
    close: async () => undefined,
  };
  const stuck = join(silent).worker;
  const waiting = stuck.firstUse(DPOP, 'a', LIFE_MS);
  waiting.catch(() => undefined);
  await turns(t, 5);
  clock.advance(RESPONSE_MS + 500);
  await t.rejects(waiting, { name: 'ChannelFailed' });

  const { worker, lose } = join(silent);
  const lost = worker.firstUse(DPOP, 'a', LIFE_MS);
  lost.catch(() => undefined);
  await turns(t, 5);
  lose();
  await t.rejects(lost, { name: 'ChannelFailed' });
  await t.rejects(worker.firstUse(DPOP, 'b', LIFE_MS), { name: 'ChannelFailed' });
});

/** The memory of used proofs is watched: its loss is told once, and its return too. Rule D14. */
import t, { type Test } from 'tap';
import { ReplayStoreFull, type ReplayStore } from '../../src/replay/replay-store.ts';
import { WatchedReplayStore } from '../../src/replay/watched-replay-store.ts';
import { DPOP } from '../../src/replay/used-proofs.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** A store that says what it is told to. */
function watched(t: Test) {
  const clock = new ManualClock();
  const asked: string[] = [];
  const state: { error: Error | undefined } = { error: undefined };
  const inner: ReplayStore = {
    firstUse: async (namespace) => {
      asked.push(namespace);
      if (state.error) throw state.error;
      return true;
    },
    isUsed: async () => {
      if (state.error) throw state.error;
      return false;
    },
    resize: () => undefined,
    close: async () => undefined,
  };
  const store = new WatchedReplayStore(inner, clock);
  t.teardown(() => store.close());
  const told: string[] = [];
  store.onLost = ({ isFull }) => told.push(isFull ? 'full' : 'lost');
  store.onBack = () => told.push('back');
  const use = async (): Promise<void> => void (await store.firstUse(DPOP, 'a', 1_000).catch(() => undefined));
  /** Also lets the question that the watch itself asks end. */
  const wait = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { store, state, asked, told, use, wait };
}

t.test(
  'D14 a loss is told once; it is over when the store has failed nothing for five seconds',
  async (t) => {
    const { store, state, asked, told, use, wait } = watched(t);
    const further: string[] = [];
    store.onFailing = (error) => further.push((error as Error).message);
    t.equal(store.hasResponded, false);
    await use();
    t.equal(store.hasResponded, true);
    state.error = new Error('gone');
    await use();
    await use();
    t.strictSame(told, ['lost']);
    t.strictSame(further, ['gone']);
    await wait(4_000);
    state.error = undefined;
    await use();
    t.strictSame(told, ['lost'], 'one that fails now and then is not back');
    t.ok(store.outage);
    state.error = new Error('gone again');
    await use();
    state.error = undefined;
    await wait(5_000);
    t.equal(asked.at(-1), 'probe', 'no proof has to come');
    t.strictSame(told, ['lost', 'back']);
    t.equal(store.outage, undefined);
    const { length } = asked;
    await wait(60_000);
    t.equal(asked.length, length, 'a store that works is not asked');
  },
);

t.test('D14 a full one is told apart; a mistake of the caller is no loss', async (t) => {
  const { store, state, told, use } = watched(t);
  state.error = new RangeError('no number');
  await use();
  t.strictSame(told, []);
  state.error = new ReplayStoreFull();
  await use();
  t.strictSame(told, ['full']);
  t.match(store.outage, { isFull: true });
});

t.test('what is closed tells nothing, and is not asked', async (t) => {
  const { store, state, asked, told, use, wait } = watched(t);
  state.error = new Error('gone');
  await use();
  await store.close();
  await use();
  await wait(60_000);
  t.strictSame([told, asked], [['lost'], [DPOP, DPOP]]);
});

/** Keys as a worker has them, which the primary fetches. Rules K0 to K3. */
import t, { type Test } from 'tap';
import type { KeySetNews } from '../../src/token/remote-key-set.ts';
import type { PrimaryCalls } from '../../src/workers/calls.ts';
import { Channel } from '../../src/workers/channel.ts';
import { CopiedKeySet } from '../../src/workers/copied-key-set.ts';
import { until } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { pipes } from '../support/pipes.ts';
import { createKey, type SigningKey } from '../support/tokens.ts';

const CALLER = { clientIp: '203.0.113.9' };
const [first, second] = [createKey('ES256', 'first'), createKey('ES256', 'second')];

const news = (fetch: number, ...keys: readonly SigningKey[]): KeySetNews => ({
  fetch,
  set: { keys: keys.map(({ jwk }) => jwk), ageMs: 0 },
});

/** @param begun fetches that the primary says have begun; undefined: it cannot ask */
async function start(t: Test, begun: { fetches: number | undefined }) {
  const clock = new ManualClock();
  const [ours, theirs] = pipes();
  let asked = 0;
  new Channel(ours, clock, {
    keySet: () => news(1, first),
    askKeys: () => {
      asked++;
      return begun.fetches;
    },
  });
  const primary = new Channel<PrimaryCalls>(theirs, clock, {});
  const options = { algorithms: ['ES256'] as const, maxStaleMs: 60_000, clock };
  const set = new CopiedKeySet('login', options, primary, () => undefined);
  t.teardown(() => set.stop());
  await set.start();
  const has = (keyId: string): boolean => set.candidates(keyId, 'ES256').length > 0;
  return { clock, set, has, asked: () => asked };
}

t.test('keys that left are retired, keys that stay are the same, older news change nothing', async (t) => {
  const { set, has } = await start(t, { fetches: 1 });
  const [known] = set.candidates('first', 'ES256');
  set.take(news(3, first, second));
  t.equal(set.candidates('first', 'ES256')[0], known, 'what was verified with it counts on');
  t.equal(known?.retired, false);
  const { generation } = set;
  set.take(news(2, first));
  t.ok(has('second'), 'that fetch began before the other');
  set.take(news(4, second));
  t.equal(known?.retired, true);
  t.not(set.generation, generation);
  t.notOk(has('first'));
});

t.test('K3 without a new fetch the keys are gone after max_stale', async (t) => {
  const { clock, set, has } = await start(t, { fetches: 1 });
  clock.advance(40_000);
  set.take({ fetch: 2, set: undefined });
  t.ok(has('first') && set.available, 'a failed fetch takes no key away');
  clock.advance(21_000);
  t.notOk(has('first') || set.available);
  set.take(news(3, first));
  t.ok(has('first') && set.available);
});

t.test('K2 many requests for an unknown key ask the primary once, and wait for a later fetch', async (t) => {
  const { set, has, asked } = await start(t, { fetches: 1 });
  const decided: boolean[] = [];
  const waiting = Array.from({ length: 4 }, async (_, client) => {
    const caller = { clientIp: `203.0.113.${client}` };
    decided.push(await set.refetch(caller, () => has('second')));
  });
  await until(() => asked() > 0);
  set.take(news(1, first));
  t.strictSame(decided, [], 'a fetch that began before they came decides nothing');
  set.take(news(2, first, second));
  await Promise.all(waiting);
  t.strictSame(decided, [true, true, true, true]);
  t.ok(asked() <= 2, `${asked()} calls`);
});

t.test('K0 a fetch that fails, or a primary that cannot ask, decides nothing', async (t) => {
  const begun: { fetches: number | undefined } = { fetches: 1 };
  const { set, has, asked } = await start(t, begun);
  const waiting = set.refetch(CALLER, () => has('second'));
  await until(() => asked() === 1);
  // The reply is on its way, and the request waits once it is there.
  await set.start();
  set.take({ fetch: 2, set: undefined });
  t.equal(await waiting, false);
  begun.fetches = undefined;
  t.equal(await set.refetch(CALLER, () => has('second')), false);
  begun.fetches = 1;
  t.equal(await set.refetch(CALLER, () => has('second')), true, 'a fetch that began since has not found it');
});

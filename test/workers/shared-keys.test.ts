/** Key sets of the primary over reloads. Rule K5. */
import t from 'tap';
import type { RemoteKeySetOptions } from '../../src/token/remote-key-set.ts';
import { SharedKeys, type TellKeys } from '../../src/workers/shared-keys.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { createKey } from '../support/tokens.ts';

const key = createKey('EdDSA');

/** A key set whose fetches end when the test says so. */
function slowSet(clock: ManualClock) {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const options: RemoteKeySetOptions = {
    fetchDocument: () => promise,
    algorithms: ['EdDSA'],
    refreshMs: 60_000,
    maxStaleMs: 3_600_000,
    refetchIntervalMs: 5_000,
    storage: undefined,
    clock,
    observer: { refreshed: () => undefined, restored: () => undefined, failed: () => undefined },
  };
  return { options, respond: () => resolve({ keys: [key.jwk] }) };
}

/** A set whose first fetch still waits when the set is stopped. */
function setUp() {
  const clock = new ManualClock();
  const told: Parameters<TellKeys>[0][] = [];
  const shared = new SharedKeys(clock, async (news) => void told.push(news));
  const old = slowSet(clock);
  const before = shared.keySetOf('a', old.options);
  const fetched = before.start();
  before.stop();
  return { clock, told, shared, old, fetched };
}

t.test('a fetch that outlives its set harms nothing', async (t) => {
  const { clock, told, shared, old, fetched } = setUp();
  // Another reload while the server hangs: the set is forgotten.
  shared.keySetOf('b', slowSet(clock).options);
  old.respond();
  await fetched;
  t.strictSame(told, []);
});

t.test(
  'a set that comes back counts its fetches from the start, whatever the former one still fetches',
  async (t) => {
    const { clock, told, shared, old, fetched } = setUp();
    const next = slowSet(clock);
    const after = shared.keySetOf('a', next.options);
    next.respond();
    await after.start();
    t.equal(told.length, 1);
    old.respond();
    await fetched;
    t.equal(told.length, 1, 'the workers hear nothing of it');
    after.stop();
  },
);

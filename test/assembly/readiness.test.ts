/** Whether the gateway is ready is asked several times a second, so that it must not look at thousands of routes. */
import t from 'tap';
import { isReady, readinessOf, type ReadinessFacts } from '../../src/assembly/readiness.ts';
import type { Policy } from '../../src/policy.ts';

const FACTS: Omit<ReadinessFacts, 'policy'> = {
  viewAgeMs: 0,
  storeConnected: true,
  replay: undefined,
  issuers: { remoteKeySets: new Map(), statusLists: { byIssuer: new Map() } },
  keysPending: false,
  awaitsKeys: false,
  draining: false,
};

function factsWith(routes: () => Policy['routes']): ReadinessFacts {
  const policy = Object.defineProperty({ maxViewAgeMs: 1_000 }, 'routes', { get: routes }) as Policy;
  return { ...FACTS, policy };
}

t.test('isReady looks at no route', async (t) => {
  let looks = 0;
  const facts = factsWith(() => {
    looks++;
    return [];
  });
  t.ok(isReady(facts));
  t.equal(looks, 0);
});

t.test('isReady and the report agree', async (t) => {
  const facts = factsWith(() => []);
  const cases: Partial<ReadinessFacts>[] = [
    {},
    { viewAgeMs: Infinity },
    { viewAgeMs: 5_000, storeConnected: false },
    { keysPending: true },
    { awaitsKeys: true },
    { draining: true },
  ];
  for (const change of cases)
    t.equal(
      isReady({ ...facts, ...change }),
      readinessOf({ ...facts, ...change }).ready,
      JSON.stringify(change),
    );
  t.same(
    cases.map((change) => isReady({ ...facts, ...change })),
    [true, false, true, false, false, false],
  );
});

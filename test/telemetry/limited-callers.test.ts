/** Who met a limit most often. Bounded, and those with many requests stay. */
import t from 'tap';
import { mergedLimited } from '../../src/admin/merged-counts.ts';
import { LimitedCallers, type LimitedIdentity } from '../../src/telemetry/limited-callers.ts';
import { ManualClock } from '../support/manual-clock.ts';

const of = (clientIp: string): LimitedIdentity => ({
  ...{ limit: 'calls', mode: 'enforced', clientIp },
  ...{ issuer: undefined, clientId: undefined, subjectHash: undefined },
});

t.test('those with the most requests come first, and what is long ago counts no more', async (t) => {
  const clock = new ManualClock();
  const callers = new LimitedCallers(clock);
  for (const [ip, requests] of [
    ['a', 2],
    ['b', 5],
    ['c', 1],
  ] as const)
    for (let count = 0; count < requests; count++) callers.add(of(ip), 'r');
  t.strictSame(
    callers.top(2).map(({ clientIp, requests, route }) => [clientIp, requests, route]),
    [
      ['b', 5, 'r'],
      ['a', 2, 'r'],
    ],
  );
  clock.advance(1_800_000);
  callers.add(of('c'), 's');
  t.match(
    callers.top(3).map(({ clientIp, requests }) => [clientIp, requests]),
    [
      ['b', 5],
      ['c', 2],
      ['a', 2],
    ],
  );
  clock.advance(1_800_000);
  t.match(callers.top(3), [{ clientIp: 'c', requests: 1, route: 's' }]);
  clock.advance(3_600_000);
  t.strictSame(callers.top(3), []);
});

t.test('L1 a flood of others leaves a bounded list, and in it the one with many requests', async (t) => {
  const callers = new LimitedCallers(new ManualClock());
  for (let count = 0; count < 20_000; count++) {
    callers.add(of(`random ${count}`), 'r');
    if (count % 100 === 0) callers.add(of('loud'), 'r');
  }
  t.equal(callers.top(5_000).length, 1_000);
  t.match(callers.top(1), [{ clientIp: 'loud', requests: 200 }]);
});

t.test('the lists of several processes are added up', async (t) => {
  const caller = (clientIp: string, requests: number, lastMs: number) => ({
    ...of(clientIp),
    route: 'r',
    requests,
    lastMs,
  });
  t.match(mergedLimited([caller('a', 3, 1), caller('b', 4, 2), caller('a', 2, 5)]), [
    { clientIp: 'a', requests: 5, lastMs: 5 },
    { clientIp: 'b', requests: 4 },
  ]);
});

/** What one client may use of an authority. Rule C23. */
import t from 'tap';
import { ClientAllowance } from '../../src/token/client-allowance.ts';

function allowance(inFlight: number, perSecond: number) {
  const clock = { ms: 500, nowMs: () => 0, monotonicMs: () => clock.ms, after: () => () => undefined };
  return { clock, subject: new ClientAllowance({ inFlight, perSecond }, clock) };
}

t.test('calls in flight are bounded for each client, and a call that ends makes room', async (t) => {
  const { subject } = allowance(2, 0);
  t.strictSame(
    [1, 2, 3].map(() => subject.enter('a')),
    [true, true, false],
  );
  t.ok(subject.enter('b'));
  subject.leave('a');
  t.strictSame(
    [1, 2].map(() => subject.enter('a')),
    [true, false],
  );
});

t.test('calls in a second are bounded for each client', async (t) => {
  const { subject, clock } = allowance(0, 3);
  const burst = (client: string): boolean[] =>
    [1, 2, 3, 4].map(() => {
      const allowed = subject.enter(client);
      if (allowed) subject.leave(client);
      return allowed;
    });
  t.strictSame(burst('a'), [true, true, true, false]);
  t.strictSame(burst('b'), [true, true, true, false]);
  clock.ms += 999;
  t.notOk(subject.enter('a'));
  clock.ms += 1;
  t.strictSame(burst('a'), [true, true, true, false]);
});

t.test('0 is no limit', async (t) => {
  const { subject } = allowance(0, 0);
  for (let index = 0; index < 1_000; index++) if (!subject.enter('a')) t.fail();
});

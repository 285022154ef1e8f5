/** What is late at the same time. Rule H19. */
import t from 'tap';
import { Deadlines, type Deadline } from '../../src/upstream/deadlines.ts';
import { ManualClock } from '../support/manual-clock.ts';

t.test('what another deadline has ended or restarted does not fire in the same step', (t) => {
  const clock = new ManualClock();
  const deadlines = new Deadlines(clock);
  t.teardown(() => deadlines.stop());
  const fired: string[] = [];
  const deadline = (name: string, act: () => void): Deadline => ({
    deadlineMs: deadlines.deadlineAfter(1_000),
    index: -1,
    onTimeout() {
      fired.push(name);
      act();
    },
    reconsider: () => undefined,
  });
  const ended = deadline('ended', () => undefined);
  const restarted = deadline('restarted', () => undefined);
  const first = deadline('first', () => {
    deadlines.end(ended);
    deadlines.end(restarted);
    restarted.deadlineMs = Infinity;
    deadlines.begin(restarted);
  });
  for (const each of [first, ended, restarted]) deadlines.begin(each);
  clock.advance(2_000);
  t.strictSame(fired, ['first']);
  t.end();
});

t.test(
  'V15 what ends with its token is asked from then on whether it may wait, without a revocation',
  (t) => {
    const clock = new ManualClock();
    const deadlines = new Deadlines(clock);
    t.teardown(() => deadlines.stop());
    const asked: string[] = [];
    const waiting = (name: string, endsAtMs?: number): Deadline => ({
      deadlineMs: Infinity,
      ...(endsAtMs !== undefined && { endsAtMs }),
      index: -1,
      onTimeout: () => undefined,
      reconsider: () => void asked.push(name),
    });
    for (const each of [waiting('soon', clock.nowMs() + 1_000), waiting('never'), waiting('no', Infinity)])
      deadlines.begin(each);
    clock.advance(900);
    t.strictSame(asked, []);
    clock.advance(300);
    t.ok(asked.length > 0);
    t.strictSame([...new Set(asked)], ['soon']);
    t.end();
  },
);

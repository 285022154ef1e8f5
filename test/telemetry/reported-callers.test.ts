/** Whom routes that only report would have refused: by route, client and reason, for days, and bounded. */
import t from 'tap';
import { mergedReported } from '../../src/admin/merged-counts.ts';
import { parseQuestion, parseReply } from '../../src/admin/fleet-messages.ts';
import { ReportedCallers, type ReportedIdentity } from '../../src/telemetry/reported-callers.ts';
import { ManualClock } from '../support/manual-clock.ts';

const of = (changes: Partial<ReportedIdentity> = {}): ReportedIdentity => ({
  ...{ route: 'orders', reason: 'insufficient_scope', issuer: 'login', clientId: 'web' },
  ...changes,
});
const DAY_MS = 24 * 3_600_000;

t.test('one row for each route, client and reason, with what the last one lacked', async (t) => {
  const clock = new ManualClock();
  const callers = new ReportedCallers(clock);
  callers.add(of(), 'a b');
  callers.add(of(), 'b');
  callers.add(of({ clientId: 'batch' }), 'b');
  callers.add(of({ reason: 'claim_rule' }), '');
  t.match(callers.top(1), [{ ...of(), lack: 'b', requests: 2 }]);
  t.equal(callers.top(10).length, 3);
  clock.advance(DAY_MS);
  t.equal(callers.top(10).length, 3, 'the day before counts, too');
  clock.advance(DAY_MS);
  t.strictSame(callers.top(10), []);
});

t.test('a client that makes up names pushes out none who comes often', async (t) => {
  const callers = new ReportedCallers(new ManualClock());
  for (let count = 0; count < 50; count++) callers.add(of(), '');
  for (let client = 0; client < 3_000; client++) callers.add(of({ clientId: `made-up-${client}` }), '');
  t.equal(callers.top(5_000).length, 1_000);
  t.match(callers.top(1), [{ clientId: 'web', requests: 50 }]);
  callers.add(of({ clientId: 'x'.repeat(9_000) }), 'y'.repeat(9_000));
  t.ok(callers.top(1_000).every(({ clientId = '', lack }) => clientId.length <= 256 && lack.length <= 256));
});

t.test('those of several processes are added up', async (t) => {
  const one = { ...of(), lack: 'a', requests: 2, lastMs: 7 };
  const other = { ...of(), lack: 'b', requests: 3, lastMs: 5 };
  const alone = { ...of({ clientId: undefined }), lack: '', requests: 4, lastMs: 9 };
  t.match(mergedReported([one, alone, other]), [
    { clientId: 'web', requests: 5, lastMs: 7 },
    { clientId: undefined, requests: 4 },
  ]);
});

t.test('gateways of a fleet ask each other by schema', async (t) => {
  const question = { about: 'reported', limit: 1_000 };
  t.match(parseQuestion(JSON.stringify(question)), question);
  const reply = { found: [{ ...of(), lack: '', requests: 1, lastMs: 1 }], silent: [] };
  t.match(parseReply('reported', JSON.parse(JSON.stringify(reply))), reply);
  t.equal(parseReply('reported', { found: [{ ...of({}), reason: 'made up' }], silent: [] }), undefined);
});

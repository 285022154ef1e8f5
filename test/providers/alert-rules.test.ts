/** The tests of the alerts as their first lines say to run them. test/deploy/prometheus.test.ts runs each with fewer rules. */
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { ALERT_TEST_FILES, DEPLOYED } from '../support/alert-tests.ts';
import { noPrometheus } from '../support/prometheus.ts';

t.test('promtool test rules, with all rules at once', { skip: noPrometheus }, async (t) => {
  const args = ['test', 'rules', ...ALERT_TEST_FILES];
  const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: DEPLOYED, encoding: 'utf8' });
  t.equal(status, 0, `${stdout}${stderr}`);
});

/** The rules and alerts of deploy/prometheus, by Prometheus' own tools. Rule A7. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { parse } from 'yaml';
import { startGateway } from '../support/gateway.ts';
import { noPrometheus } from '../support/prometheus.ts';

const folder = fileURLToPath(new URL('../../deploy/prometheus/', import.meta.url));
const read = (file: string): string => readFileSync(`${folder}${file}`, 'utf8');

interface Alert {
  readonly alert: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}
const { groups } = parse(read('alerts.rules.yml')) as { groups: { rules: Alert[] }[] };
const alerts = groups.flatMap(({ rules }) => rules);

t.test('promtool', { skip: noPrometheus }, async (t) => {
  for (const args of [
    ['check', 'config', 'prometheus.yml'],
    ['check', 'rules', 'recording.rules.yml', 'alerts.rules.yml'],
    ['test', 'rules', 'alerts.test.yml'],
  ]) {
    const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: folder, encoding: 'utf8' });
    t.equal(status, 0, `${args.join(' ')}: ${stdout}${stderr}`);
  }
  const gateway = await startGateway(t, {
    routes: [{ name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' } }],
    upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
  });
  await fetch(gateway.url);
  const input = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' });
  t.equal(status, 0);
  t.equal(`${stdout}${stderr}`, '', 'nothing to complain of');
});

t.test('every alert fires in one test, keeps still in another, and has a runbook', async (t) => {
  const { tests } = parse(read('alerts.test.yml')) as {
    tests: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }[];
  };
  const cases = tests.flatMap(({ alert_rule_test }) => alert_rule_test);
  const runbooks = readFileSync(new URL('../../docs/runbooks.md', import.meta.url), 'utf8');
  t.ok(alerts.length > 10);
  for (const { alert, labels, annotations } of alerts) {
    const own = cases.filter(({ alertname }) => alertname === alert);
    t.ok(
      own.some(({ exp_alerts }) => exp_alerts.length > 0),
      `${alert} fires`,
    );
    t.ok(
      own.some(({ exp_alerts }) => exp_alerts.length === 0),
      `${alert} keeps still`,
    );
    t.match(labels.severity, /^(?:page|ticket)$/);
    t.equal(annotations['runbook'], `docs/runbooks.md#${alert.toLowerCase()}`);
    t.match(runbooks, new RegExp(`^## ${alert}$`, 'm'), `${alert} has a section`);
  }
  const sections = [...runbooks.matchAll(/^## (Sallyport\w+)$/gm)].map(([, name]) => name);
  t.strictSame(sections.sort(), alerts.map(({ alert }) => alert).sort(), 'and every section an alert');
});

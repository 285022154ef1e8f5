/** The rules and alerts of deploy/prometheus, by Prometheus' own tools. Rule A7. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { BOARDS } from '../../deploy/grafana/boards.ts';
import { panelPath } from '../../deploy/grafana/dashboards.ts';
import { alertGroups, ALERTS, runbookBase, UNSET_REPOSITORY } from '../../deploy/prometheus/rules.ts';
import { ruleFiles } from '../../deploy/prometheus/write.ts';
import { ALERT_TEST_FILES, DEPLOYED, groupsIn, testsIn, writeSmallTests } from '../support/alert-tests.ts';
import { startGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { noPrometheus } from '../support/prometheus.ts';

const read = (file: string): string => readFileSync(`${DEPLOYED}${file}`, 'utf8');

interface Alert {
  readonly alert: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}
const alerts = groupsIn('alerts.rules.yml').flatMap(({ rules }) => rules as readonly object[] as Alert[]);

t.test('promtool', { skip: noPrometheus }, async (t) => {
  for (const args of [
    ['check', 'config', 'prometheus.yml'],
    ['check', 'rules', 'recording.rules.yml', 'alerts.rules.yml'],
    ['test', 'rules', ...writeSmallTests(temporaryFolder(t))],
  ]) {
    const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: DEPLOYED, encoding: 'utf8' });
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
  const cases = ALERT_TEST_FILES.flatMap(testsIn).flatMap(({ alert_rule_test }) => alert_rule_test);
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
    t.equal(annotations['runbook_url'], `${runbookBase()}#${alert.toLowerCase()}`);
    t.match(annotations['panel'], /^\/d\/sallyport-\w+\?viewPanel=\d+$/);
    t.match(runbooks, new RegExp(`^## ${alert}$`, 'm'), `${alert} has a section`);
  }
  const sections = [...runbooks.matchAll(/^## (Sallyport\w+)$/gm)].map(([, name]) => name);
  t.strictSame(sections.sort(), alerts.map(({ alert }) => alert).sort(), 'and every section an alert');
});

t.test('what is committed is what the code makes: npm run alerts', async (t) => {
  for (const [file, text] of await ruleFiles()) t.equal(read(file), text, file);
});

t.test('one field says where the runbooks are, and every link is absolute', async (t) => {
  const base = 'https://github.com/example/sallyport/blob/main/docs/runbooks.md';
  for (const url of ['git+https://github.com/example/sallyport.git', 'https://github.com/example/sallyport/'])
    t.equal(runbookBase({ repository: { url } }), base);
  t.equal(runbookBase({ repository: 'github:example/sallyport' }), base);
  t.match(runbookBase({}), `${UNSET_REPOSITORY}/`);
  t.throws(() => runbookBase({ repository: 'git@example.com:sallyport.git' }));
  const urls = [...JSON.stringify(alertGroups(base, panelPath)).matchAll(/"runbook_url":"([^"]*)"/g)];
  t.equal(urls.length, ALERTS.length);
  for (const [, url = ''] of urls) t.ok(url.startsWith(`${base}#sallyport`), url);
});

t.test('a release without that field is refused', async (t) => {
  const { repository, scripts } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  ) as { repository?: unknown; scripts: Record<string, string> };
  t.equal(
    scripts['prepublishOnly'],
    'node deploy/release/check.ts',
    'npm publish asks, and the check asks this',
  );
  const { status, stderr } = spawnSync(process.execPath, [`${DEPLOYED}write.ts`, '--release'], {
    encoding: 'utf8',
  });
  t.equal(status, repository === undefined ? 1 : 0);
  if (repository === undefined) t.match(stderr, /"repository" in package\.json/);
});

t.test('an alert leads to a panel that shows its metric', async (t) => {
  for (const { name, panel, expr } of ALERTS) {
    const [uid, title] = panel;
    const board = BOARDS.find((each) => each.uid === `sallyport-${uid}`);
    const shown = Object.values(board?.rows ?? {})
      .flat()
      .find((each) => each.title === title);
    const metrics = JSON.stringify(shown?.queries).match(/\b(?:sallyport|process)_\w+/g) ?? [];
    const asked = recorded(expr);
    const isUp = name === 'SallyportDown';
    t.ok(
      isUp || metrics.some((metric) => asked.includes(metric)),
      `${name}: ${title} shows ${metrics.join()}`,
    );
  }
});

/** An expression with what its recording rules ask for. */
function recorded(expr: string): string {
  const used = groupsIn('recording.rules.yml')
    .flatMap(({ rules }) => rules)
    .filter(({ record = '' }) => expr.includes(record));
  return [expr, ...used.map((rule) => rule.expr)].join(' ');
}

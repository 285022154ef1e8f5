/** The dashboards: what is committed is what the code makes, and a real Prometheus has values for every panel. */
import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { ALERTS, runbookUrl } from '../../deploy/prometheus/rules.ts';
import { dashboards } from '../../deploy/grafana/dashboards.ts';
import { noOpenssl } from '../support/certificates.ts';
import { startDashboardScene } from '../support/dashboard-scene.ts';
import { until } from '../support/gateway.ts';
import { noPrometheus, startPrometheus } from '../support/prometheus.ts';

interface Target {
  readonly expr: string;
  readonly legendFormat?: string;
  readonly datasource: { readonly uid: string };
}
interface Panel {
  readonly type: string;
  readonly title: string;
  readonly description: string;
  readonly datasource: { readonly type: string; readonly uid: string };
  readonly targets: readonly Target[];
  readonly fieldConfig: {
    readonly defaults: {
      readonly unit: string;
      readonly thresholds?: {
        readonly steps: readonly { readonly value: number | null; readonly color: string }[];
      };
      readonly custom?: {
        readonly axisSoftMax?: number;
        readonly thresholdsStyle?: { readonly mode: string };
      };
    };
    readonly overrides: readonly {
      readonly matcher: { readonly options: string };
      readonly properties: unknown;
    }[];
  };
  readonly links?: readonly { readonly title: string; readonly url: string }[];
}
interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr?: string }[] };
  readonly templating: { readonly list: readonly { readonly name: string }[] };
}

const folder = new URL('../../deploy/grafana/dashboards/', import.meta.url);
const boards = readdirSync(folder).map((file): [string, Dashboard] => [
  file,
  JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Dashboard,
]);
const panels = boards.flatMap(([file, { panels }]) =>
  panels
    .filter(({ type }) => type !== 'row')
    .map((panel): [string, Panel] => [`${file}: ${panel.title}`, panel]),
);

t.test('what is committed is what the code makes: npm run dashboards', async (t) => {
  const made = [...dashboards()].map(([file, dashboard]) => [file, JSON.parse(JSON.stringify(dashboard))]);
  t.strictSame(Object.fromEntries(boards), Object.fromEntries(made));
});

t.test('every dashboard and panel is as it should be', async (t) => {
  t.equal(boards.length, 4);
  for (const [file, { uid, title, templating }] of boards) {
    t.equal(file, `${uid}.json`);
    t.match(title, /^Sallyport \/ /);
    t.strictSame(
      templating.list.map(({ name }) => name),
      ['datasource', 'job', 'instance', 'route'],
    );
  }
  t.ok(panels.length > 35);
  for (const [name, { datasource, description, targets, fieldConfig }] of panels) {
    t.strictSame(datasource, { type: 'prometheus', uid: '${datasource}' }, name);
    t.match(description, /\?/, `${name} is there for a question`);
    t.ok(fieldConfig.defaults.unit, `${name} has a unit`);
    t.ok(targets.length > 0);
    // A part is a quotient of rates, and a quantile is one of seconds.
    const hasRate = targets.some(({ expr }) => /\brate\(/.test(expr));
    if (hasRate)
      t.match(fieldConfig.defaults.unit, /^(?:reqps|cps|percentunit|s)$/, `${name}: unit of a rate`);
    for (const { expr, datasource } of targets) {
      t.equal(datasource.uid, '${datasource}', name);
      t.match(expr, /\{job=~"\$job",instance=~"\$instance"/, `${name} is of the chosen gateways`);
      t.notMatch(expr, /rate\([^[]*\[(?!\$__rate_interval\])/, `${name} leaves the window to Grafana`);
    }
  }
});

t.test('5xx is red and 4xx amber wherever a legend ends with a status', async (t) => {
  const byStatus = panels.filter(([, { targets, type }]) =>
    targets.some((target) => type === 'timeseries' && target.legendFormat?.endsWith('{{code}}')),
  );
  t.ok(byStatus.length >= 5);
  for (const [name, { fieldConfig }] of byStatus) {
    const colorOf = (legend: string): string =>
      JSON.stringify(
        fieldConfig.overrides.filter(({ matcher }) => new RegExp(matcher.options.slice(1, -1)).test(legend)),
      );
    t.match(colorOf('orders gateway 502'), /"fixedColor":"red"/, name);
    t.match(colorOf('shop http://a:80 404'), /"fixedColor":"orange"/, name);
    t.match(colorOf('200'), /"fixedColor":"green"/, name);
  }
});

t.test('a part that is zero has an axis, and a line where it becomes bad is on it', async (t) => {
  const parts = panels.filter(
    ([, { type, fieldConfig }]) => type === 'timeseries' && fieldConfig.defaults.unit === 'percentunit',
  );
  t.ok(parts.length >= 8);
  for (const [name, { fieldConfig }] of parts) {
    const { custom, thresholds } = fieldConfig.defaults;
    const end = custom?.axisSoftMax ?? Infinity;
    t.ok(end > 0 && end <= 1, `${name} ends at 100 % at most`);
    const bad = thresholds?.steps.find(({ value, color }) => value !== null && color === 'red')?.value;
    t.equal(custom?.thresholdsStyle?.mode, typeof bad === 'number' ? 'dashed' : undefined, name);
    if (typeof bad === 'number') t.ok(bad < end, `${name} has room for the line`);
  }
});

t.test('reloads and alerts are marked on every board', async (t) => {
  for (const [file, { annotations }] of boards) {
    const marks = annotations.list.filter(({ expr }) => expr !== undefined);
    t.strictSame(
      marks.map(({ name }) => name),
      ['Reloads', 'Alerts'],
      file,
    );
  }
});

t.test('a panel links to the runbook and to the query of its alerts', async (t) => {
  for (const alert of ALERTS) {
    const [board, title] = alert.panel;
    const shown = panels.find(([name]) => name === `sallyport-${board}.json: ${title}`)?.[1];
    const urls = (shown?.links ?? [])
      .filter((link) => link.title.startsWith(`${alert.name}: `))
      .map(({ url }) => url);
    t.equal(urls[0], runbookUrl(alert));
    const panes = new URL(urls[1] ?? '', 'http://grafana').searchParams.get('panes') ?? '';
    t.ok(panes.includes(JSON.stringify(alert.expr).slice(1, -1)), alert.name);
  }
});

t.test('every panel has something to show', { skip: noPrometheus || noOpenssl }, async (t) => {
  const { gateways, replay } = await startDashboardScene(t);
  const prometheus = await startPrometheus(
    t,
    gateways.map(({ adminUrl }) => new URL(adminUrl).host),
  );
  const empty = new Map(
    panels.flatMap(([name, { targets }]) =>
      targets.map(({ expr }): [string, string] => [
        `${name}: ${expr}`,
        expr
          .replaceAll('$__rate_interval', '10m')
          .replaceAll('$__range', '10m')
          .replaceAll('"$job"', '".+"')
          .replaceAll('"$instance"', '".+"')
          .replaceAll('"$route"', '".+"'),
      ]),
    ),
  );
  /** How often the gateway that was scraped less was scraped. */
  const scrapes = async (): Promise<number> => {
    const counts = await prometheus.query('count_over_time(up[1h])');
    return counts.length < gateways.length ? 0 : Math.min(...counts);
  };
  for (let tries = 0; tries < 40 && empty.size > 0; tries++) {
    await replay();
    const before = await scrapes();
    await until(async () => (await scrapes()) > before);
    for (const [name, expression] of empty) {
      if ((await prometheus.query(expression)).some((value) => !Number.isNaN(value))) empty.delete(name);
    }
  }
  t.strictSame([...empty.keys()], []);
});

/**
 * The dashboards as they look in Grafana: drawn by the components that Grafana publishes, from the committed JSON, with what
 * a Prometheus has scraped from two gateways. Where SALLYPORT_PICTURES asks for it, the pictures in docs/images are taken.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { noBrowser, startBrowser } from '../support/browser.ts';
import { noOpenssl } from '../support/certificates.ts';
import { startDashboardScene } from '../support/dashboard-scene.ts';
import { noPrometheus, startPrometheus } from '../support/prometheus.ts';
import { startServer } from '../support/upstream.ts';
import { grafanaFolder, grafanaLicences } from './dashboard-pictures/grafana.ts';
import { drawOn, openSite, startSite, WIDTH, type DrawnPanel, type Mode } from './dashboard-pictures/site.ts';
import { Traffic } from './dashboard-pictures/traffic.ts';
import { notInstalled } from './support/installed.ts';

interface Dashboard {
  readonly uid: string;
  readonly panels: readonly Panel[];
}
interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly fieldConfig: { readonly defaults: object };
  readonly targets: readonly object[];
}

const TAKES_PICTURES = process.env['SALLYPORT_PICTURES'] !== undefined;
/** A picture shows three minutes; a check needs only as many as a few windows of a rate. */
const [SECONDS, LASTS] = TAKES_PICTURES ? [180, 'Last 3 minutes'] : [20, 'Last 20 seconds'];
/** Seconds for the first rates, which need some scrapes, and for the last requests. */
const AROUND = 12;
const PICTURES = fileURLToPath(new URL('../../docs/images/', import.meta.url));
const FOLDER = new URL('../../deploy/grafana/dashboards/', import.meta.url);
const dashboards = readdirSync(FOLDER).map(
  (file) => JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as Dashboard,
);
/** The panel before which the picture ends. */
const BELOW = 'Responses by status';

/** What a number of each unit looks like. */
const FORMATS: Record<string, RegExp> = {
  s: /\d ?(?:ns|µs|ms|s|mins?|hours?|days?|weeks?)\b/,
  reqps: /\d req\/s/,
  cps: /\d c\/s/,
  percentunit: /\d%/,
  short: /\d(?: ?K)?$/m,
  bytes: /\d (?:B|KiB|MiB|GiB)\b/,
  bool: /True|False/,
};

function check(t: Test, name: string, drawn: DrawnPanel): void {
  const { title, type, unit, heading, errors, values, text, legend, hasCurve } = drawn;
  t.strictSame(errors, [], `${name} is drawn`);
  t.equal(heading, title, `${name} has its title`);
  t.ok(values > 0, `${name} has data`);
  t.notMatch(text, 'No data', name);
  const format = FORMATS[unit];
  if (format === undefined) throw new Error(`how does the unit ${unit} look? ${name}`);
  if (type === 'timeseries') {
    t.equal(legend.length, drawn.series, `${name}: a legend for each curve`);
    for (const each of legend) t.match(each, /^\S.*\n?Last \*:/, `${name}: a name`);
    t.ok(hasCurve, `${name}: a curve is to be seen`);
  }
  if (type === 'table') t.match(text, /^requests$/m, `${name}: what it counts`);
  t.match(text, format, `${name}: ${unit}`);
}

/** Where this panel begins. */
async function topOf(page: Page, { panels }: Dashboard, title: string): Promise<number> {
  const { id } = panels.find((panel) => panel.title === title) ?? {};
  const { y } = (await page.locator(`#panel-${id}`).boundingBox()) ?? {};
  if (y === undefined) throw new Error(`there is no panel "${title}"`);
  return y;
}

async function takePicture(page: Page, dashboard: Dashboard, mode: Mode): Promise<void> {
  const height = Math.floor(await topOf(page, dashboard, BELOW));
  const clip = { x: 0, y: 0, width: WIDTH, height };
  await page.screenshot({ path: `${PICTURES}dashboard-${mode}.png`, clip, fullPage: true });
}

const skip = noPrometheus || noBrowser || noOpenssl || notInstalled('@grafana/ui', () => grafanaFolder());

/** The overview with one panel, made worse. */
function withPanel({ panels, ...dashboard }: Dashboard, change: (panel: Panel) => object): object {
  const panel = panels.find(({ type }) => type === 'timeseries');
  if (panel === undefined) throw new Error('there is no panel to change');
  return { ...dashboard, panels: [{ ...panel, ...change(panel) }] };
}

t.test('the dashboards, drawn with what a Prometheus has scraped', { skip }, async (t) => {
  const traffic = new Traffic();
  const payments = await startServer(t, traffic.respondToPayments);
  const scene = await startDashboardScene(t, { respond: traffic.respond, payments });
  const prometheus = await startPrometheus(
    t,
    scene.gateways.map(({ adminUrl }) => new URL(adminUrl).host),
    { intervalMs: 1_000, instances: ['gateway-a', 'gateway-b'] },
  );
  const site = await startSite(t, prometheus.url);
  await traffic.send(scene, SECONDS + AROUND, async () => {
    await scene.replay();
    for (const { instance, loaded } of scene.gateways) await instance.reload(loaded);
  });
  const to = (Math.floor(Date.now() / 1000) - AROUND / 4) * 1000;
  const range = { from: to - SECONDS * 1000, to, lasts: LASTS };
  const browser = await startBrowser(t);
  const draw = async (dashboard: object, mode: Mode, look: (page: Page) => Promise<void>) => {
    const { page, faults } = await openSite(browser, site);
    const drawn = await drawOn(page, dashboard, mode, prometheus.url, range);
    await look(page);
    await page.close();
    return { drawn, faults };
  };

  for (const dashboard of dashboards)
    for (const mode of ['light', 'dark'] as const)
      t.test(`${dashboard.uid}, ${mode}: every panel is drawn, with its data`, async (t) => {
        const takesPicture = TAKES_PICTURES && dashboard.uid === 'sallyport-overview';
        const { drawn, faults } = await draw(dashboard, mode, async (page) => {
          if (takesPicture) await takePicture(page, dashboard, mode);
        });
        t.strictSame(faults, []);
        t.strictSame(
          drawn.map(({ title }) => title),
          dashboard.panels.filter(({ type }) => type !== 'row').map(({ title }) => title),
        );
        for (const each of drawn) check(t, each.title, each);
      });

  t.test('a panel that cannot be drawn, or has no data, is found', async (t) => {
    const [overview] = dashboards.filter(({ uid }) => uid === 'sallyport-overview');
    if (overview === undefined) throw new Error('there is no overview');
    const drawn = async (change: (panel: Panel) => object): Promise<DrawnPanel> => {
      const [panel] = (await draw(withPanel(overview, change), 'light', async () => undefined)).drawn;
      if (panel === undefined) throw new Error('no panel was drawn');
      return panel;
    };
    const asking = (expr: string) => (panel: Panel) => ({
      targets: panel.targets.slice(0, 1).map((target) => ({ ...target, expr })),
    });
    t.match((await drawn(() => ({ type: 'heatmap' }))).errors, [/no one draws a panel of the type heatmap/]);
    const unknown = ({ fieldConfig }: Panel): object => ({
      fieldConfig: { ...fieldConfig, defaults: { ...fieldConfig.defaults, custom: { lineStyle: {} } } },
    });
    t.match((await drawn(unknown)).errors, [/no one draws custom\.lineStyle/]);
    t.match((await drawn(asking('sum('))).errors, [/parse error/]);
    t.match((await drawn(asking('up{job="$nothing"}'))).errors, [/no value for \$nothing/]);
    const empty = await drawn(asking('no_such_metric'));
    t.match(empty, { values: 0, errors: [] });
    t.match(empty.text, 'No data');
    const beyond = (panel: Panel): object => ({
      ...asking('10 * up')(panel),
      fieldConfig: { ...panel.fieldConfig, defaults: { ...panel.fieldConfig.defaults, max: 1 } },
    });
    t.match(await drawn(beyond), { series: 2, hasCurve: false }, 'a curve beyond its axis');
    t.match(await drawn(asking('0.5 * up')), { series: 2, hasCurve: true });
    t.match(await drawn(asking('0 * up / 0')), { series: 2, values: 0, hasCurve: false });
  });
});

t.test('what is installed of Grafana is under the Apache License', { skip }, async (t) => {
  const licences = grafanaLicences();
  t.ok('@grafana/ui' in licences);
  for (const [name, licence] of Object.entries(licences)) t.equal(licence, 'Apache-2.0', name);
});

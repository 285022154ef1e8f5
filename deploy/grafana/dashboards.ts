/**
 * The dashboards, as Grafana takes them, made of what boards.ts says. `npm run dashboards` writes them to dashboards/,
 * which Grafana provisions.
 */
import {
  BigValueGraphMode,
  GraphGradientMode,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  AnnotationQueryBuilder,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
  type Dashboard,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table';
import type { Alert } from '../prometheus/alert.ts';
import { ALERTS, runbookUrl } from '../prometheus/rules.ts';
import { BOARDS, type Board, type Panel } from './boards.ts';

/** A legend ends with the status, or with why there was none. */
const STATUS_COLORS: readonly (readonly [legend: string, color: string])[] = [
  ['/(^| )(1|2)\\d\\d$/', 'green'],
  ['/(^| )3\\d\\d$/', 'blue'],
  ['/(^| )4\\d\\d$/', 'orange'],
  ['/(^| )(5\\d\\d|error|timeout)$/', 'red'],
];

/** Where the axis of a part ends that is not known to be good or bad, unless there is more of it. */
const SMALL_PART = 0.01;

const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };
/** By file name. */
export function dashboards(): ReadonlyMap<string, Dashboard> {
  return new Map(BOARDS.map((board) => [`${board.uid}.json`, built(board)]));
}

function built({ uid, title, asks, rows }: Board): Dashboard {
  const builder = new DashboardBuilder(title)
    .uid(uid)
    .description(asks)
    .tags(['sallyport'])
    .refresh('10s')
    .time({ from: 'now-1h', to: 'now' })
    .timezone('browser')
    .tooltip(DashboardCursorSync.Crosshair)
    .readonly()
    .link(
      new DashboardLinkBuilder('Sallyport')
        .tags(['sallyport'])
        .asDropdown(true)
        .keepTime(true)
        .includeVars(true),
    )
    .withVariable(new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .withVariable(choice('job', 'label_values(sallyport_build_info, job)'))
    .withVariable(choice('instance', 'label_values(sallyport_build_info{job=~"$job"}, instance)'))
    .withVariable(choice('route', 'label_values(sallyport_http_requests_total{job=~"$job"}, route)'));
  for (const each of annotations()) builder.annotation(each);
  let id = 0;
  for (const [name, panels] of Object.entries(rows)) {
    builder.withRow(new RowBuilder(name).id(++id));
    for (const panel of panels)
      builder.withPanel(builderOf(panel).id(++id).links(alertLinks(uid, panel.title)));
  }
  return builder.build();
}

function builderOf(panel: Panel): StatBuilder | TableBuilder | TimeseriesBuilder {
  if (panel.table) return table(panel);
  return panel.stat ? stat(panel) : timeseries(panel);
}

/** Where the panel of an alert is, as a path within Grafana. */
export function panelPath([board, title]: Alert['panel']): string {
  const uid = `sallyport-${board}`;
  const found = dashboards()
    .get(`${uid}.json`)
    ?.panels?.find((panel) => panel.title === title);
  if (found?.id === undefined) throw new Error(`the board ${board} has no panel "${title}"`);
  return `/d/${uid}?viewPanel=${found.id}`;
}

/** What happened when: a curve that breaks off at a line needs no search. */
function annotations(): AnnotationQueryBuilder[] {
  const annotation = (name: string, color: string, expr: string): AnnotationQueryBuilder =>
    new AnnotationQueryBuilder()
      .name(name)
      .enable(true)
      .iconColor(color)
      .datasource(DATASOURCE)
      .expr(expr)
      .step('15s');
  const selected = 'job=~"$job",instance=~"$instance"';
  return [
    annotation('Reloads', 'blue', `changes(sallyport_config_load_timestamp_seconds{${selected}}[1m]) > 0`)
      .titleFormat('configuration loaded')
      .textFormat('{{instance}}'),
    annotation('Alerts', 'red', 'ALERTS{alertname=~"Sallyport.+",alertstate="firing"}')
      .titleFormat('{{alertname}}')
      .textFormat('{{severity}} {{route}} {{issuer}} {{upstream}} {{instance}}'),
  ];
}

/** The runbook and the query of each alert that leads to this panel. */
function alertLinks(uid: string, title: string): DashboardLinkBuilder[] {
  return ALERTS.filter(
    ({ panel: [board, shown] }) => `sallyport-${board}` === uid && shown === title,
  ).flatMap((alert) => [
    new DashboardLinkBuilder(`${alert.name}: runbook`).url(runbookUrl(alert)).targetBlank(true),
    new DashboardLinkBuilder(`${alert.name}: query`).url(exploreUrl(alert.expr)),
  ]);
}

function exploreUrl(expr: string): string {
  const source = '${datasource}';
  const queries = [{ refId: 'A', expr, datasource: { type: 'prometheus', uid: source } }];
  const panes = { alert: { datasource: source, queries, range: { from: 'now-1h', to: 'now' } } };
  // Grafana puts the chosen data source in, which it finds only if it is not encoded.
  const encoded = encodeURIComponent(JSON.stringify(panes)).replaceAll(encodeURIComponent(source), source);
  return `/explore?schemaVersion=1&panes=${encoded}`;
}

function choice(name: string, query: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .label(name)
    .datasource(DATASOURCE)
    .query(query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .multi(true)
    .includeAll(true)
    .allValue('.+');
}

/** One row for each combination of labels, the largest first. */
function table(panel: Panel): TableBuilder {
  const builder = new TableBuilder()
    .title(panel.title)
    .description(panel.asks)
    .datasource(DATASOURCE)
    .unit(panel.unit)
    .decimals(0)
    .height(8)
    .span(panel.span ?? 12)
    .withTransformation({
      id: 'organize',
      options: { excludeByName: { Time: true }, renameByName: { Value: 'requests' } },
    })
    .withTransformation({ id: 'sortBy', options: { sort: [{ field: 'requests', desc: true }] } });
  for (const query of queries(panel)) builder.withTarget(query.instant().format(PromQueryFormat.Table));
  return builder;
}

function stat(panel: Panel): StatBuilder {
  const builder = new StatBuilder()
    .title(panel.title)
    .description(panel.asks)
    .datasource(DATASOURCE)
    .unit(panel.unit)
    .height(4)
    .span(panel.span ?? 6)
    .graphMode(BigValueGraphMode.Area)
    .thresholds(thresholds(panel));
  for (const query of queries(panel)) builder.withTarget(query);
  return builder;
}

function timeseries(panel: Panel): TimeseriesBuilder {
  const builder = new TimeseriesBuilder()
    .title(panel.title)
    .description(panel.asks)
    .datasource(DATASOURCE)
    .unit(panel.unit)
    .min(0)
    .height(8)
    .span(panel.span ?? 12)
    // Areas of curves that do not add up lie upon each other, in a colour that means nothing.
    .fillOpacity(panel.stacked ? 60 : 0)
    .gradientMode(GraphGradientMode.None)
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .calcs(['lastNotNull']),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi))
    .thresholds(thresholds(panel));
  if (panel.byStatus)
    for (const [statuses, color] of STATUS_COLORS)
      builder.overrideByRegexp(statuses, [{ id: 'color', value: { mode: 'shades', fixedColor: color } }]);
  if (panel.unit === 'percentunit') scaleParts(builder, panel);
  if (panel.stacked) builder.stacking(new StackingConfigBuilder().mode(StackingMode.Normal));
  for (const query of queries(panel)) builder.withTarget(query);
  return builder;
}

/** Without it the axis of curves at zero ends at 10000 %. A line shows where it becomes bad. */
function scaleParts(builder: TimeseriesBuilder, { badFrom, badBelow }: Panel): void {
  const goodPart = badBelow === undefined ? SMALL_PART : 1;
  builder.axisSoftMax(badFrom === undefined ? goodPart : Math.min(1, 2 * badFrom));
  if (badFrom === undefined) return;
  builder.thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed));
}

function queries({ queries }: Panel): DataqueryBuilder[] {
  return Object.entries(queries).map(([legend, expression], index) =>
    new DataqueryBuilder()
      .refId(String.fromCharCode('A'.charCodeAt(0) + index))
      .datasource(DATASOURCE)
      .expr(expression)
      .legendFormat(legend)
      .range(),
  );
}

function thresholds({ badFrom, badBelow }: Panel): ThresholdsConfigBuilder {
  const steps =
    badFrom !== undefined
      ? [
          { value: null, color: 'green' },
          { value: badFrom, color: 'red' },
        ]
      : badBelow !== undefined
        ? [
            { value: null, color: 'red' },
            { value: badBelow, color: 'green' },
          ]
        : [{ value: null, color: 'text' }];
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps);
}

/**
 * The dashboards, as Grafana takes them, made of what boards.ts says. `npm run dashboards` writes them to dashboards/,
 * which Grafana provisions.
 */
import {
  BigValueGraphMode,
  GraphGradientMode,
  LegendDisplayMode,
  LegendPlacement,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
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
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';
import { BOARDS, type Board, type Panel } from './boards.ts';

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
    .withVariable(choice('instance', 'label_values(sallyport_build_info{job=~"$job"}, instance)'));
  for (const [name, panels] of Object.entries(rows)) {
    builder.withRow(new RowBuilder(name));
    for (const panel of panels) builder.withPanel(panel.stat ? stat(panel) : timeseries(panel));
  }
  return builder.build();
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
    .fillOpacity(panel.stacked ? 60 : 8)
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
  if (panel.stacked) builder.stacking(new StackingConfigBuilder().mode(StackingMode.Normal));
  for (const query of queries(panel)) builder.withTarget(query);
  return builder;
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

/* global fetch, URLSearchParams */
/** Asks Prometheus what a panel asks for, as Grafana does: variables, step and windows, and frames of what it says. */
import { FieldType, rangeUtil, toDataFrame } from '@grafana/data';

/**
 * The choices of the variables are "All".
 *
 * @param source the data source: its address, and how often it scrapes, as `1s`
 */
export function expressionOf(expr, { templating }, { scrape }, range, stepMs) {
  const scrapeMs = rangeUtil.intervalToMs(scrape);
  const seconds = (ms) => `${Math.round(ms / 1000)}s`;
  const values = {
    __rate_interval: seconds(Math.max(stepMs + scrapeMs, 4 * scrapeMs)),
    __range: seconds(range.to.valueOf() - range.from.valueOf()),
    __interval: seconds(stepMs),
    ...Object.fromEntries(templating.list.map(({ name, allValue }) => [name, allValue])),
  };
  return expr.replaceAll(/\$(?:\{(\w+)\}|(\w+))/g, (text, braced, plain) => {
    const value = values[braced ?? plain];
    if (value === undefined) throw new Error(`no value for ${text} in ${expr}`);
    return value;
  });
}

async function ask({ url }, path, parameters) {
  const response = await fetch(`${url}/api/v1/${path}`, {
    method: 'POST',
    body: new URLSearchParams(parameters),
  });
  const { status, error, data } = await response.json();
  if (status !== 'success') throw new Error(`${error}: ${parameters.query}`);
  return data.result;
}

const legendOf = (format, metric) =>
  format.replaceAll(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => metric[label] ?? '');

/** Grafana draws no point for what is no number. */
const numberOf = (text) => (Number.isFinite(Number(text)) ? Number(text) : null);

function frameOfSeries({ refId, legendFormat }, stepMs, { metric, values }) {
  return toDataFrame({
    refId,
    fields: [
      // The interval tells Grafana where points are missing.
      {
        name: 'Time',
        type: FieldType.time,
        values: values.map(([at]) => at * 1000),
        config: { interval: stepMs },
      },
      {
        name: 'Value',
        type: FieldType.number,
        labels: metric,
        values: values.map(([, value]) => numberOf(value)),
        config: { displayNameFromDS: legendOf(legendFormat, metric) },
      },
    ],
  });
}

/** One row for each series, a column for each label. */
function frameOfTable({ refId }, rows) {
  const labels = [...new Set(rows.flatMap(({ metric }) => Object.keys(metric)))].sort();
  return toDataFrame({
    refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: rows.map(({ value: [at] }) => at * 1000) },
      ...labels.map((label) => ({
        ...{ name: label, type: FieldType.string },
        values: rows.map(({ metric }) => metric[label] ?? ''),
      })),
      { name: 'Value', type: FieldType.number, values: rows.map(({ value: [, value] }) => numberOf(value)) },
    ],
  });
}

/** @param width of the panel, in pixels: Grafana asks for no more points */
export async function framesOf(panel, dashboard, source, range, width) {
  const { intervalMs } = rangeUtil.calculateInterval(range, width, source.scrape);
  const [start, end] = [range.from.valueOf() / 1000, range.to.valueOf() / 1000];
  const frames = [];
  for (const target of panel.targets) {
    const query = expressionOf(target.expr, dashboard, source, range, intervalMs);
    if (target.instant) {
      const rows = await ask(source, 'query', { query, time: end });
      if (rows.length > 0) frames.push(frameOfTable(target, rows));
    } else {
      const series = await ask(source, 'query_range', { query, start, end, step: intervalMs / 1000 });
      frames.push(...series.map((each) => frameOfSeries(target, intervalMs, each)));
    }
  }
  return frames;
}

/** When it happened: points of a series that follow each other are one event. */
export async function eventsOf({ expr, step, iconColor }, dashboard, source, range) {
  const stepMs = rangeUtil.intervalToMs(step);
  const query = expressionOf(expr, dashboard, source, range, stepMs);
  const [start, end] = [range.from.valueOf() / 1000, range.to.valueOf() / 1000];
  const events = [];
  for (const { values } of await ask(source, 'query_range', { query, start, end, step: stepMs / 1000 })) {
    let event;
    for (const at of values.map(([seconds]) => seconds * 1000)) {
      if (event === undefined || at - event.to > stepMs)
        events.push((event = { from: at, to: at, color: iconColor }));
      event.to = at;
    }
  }
  return events;
}

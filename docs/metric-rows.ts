/** The gateway's own metrics, as the gateway itself describes them. */
import { exposeAll, type ExposedParts } from '../src/assembly/exposed.ts';
import { Metrics } from '../src/telemetry/metrics.ts';

export interface MetricRow {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
  readonly help: string;
}

export function metricRows(): MetricRow[] {
  const metrics = new Metrics('');
  // Nothing of it is scraped: what the values are read from does not matter.
  exposeAll({ lasting: { metrics, keyReports: {}, place: {} } } as unknown as ExposedParts);
  return metrics
    .describe()
    .filter(({ name }) => name.startsWith('sallyport_'))
    .map(({ name, type, labelNames, help }) => ({ name, type, labels: labelNames, help }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

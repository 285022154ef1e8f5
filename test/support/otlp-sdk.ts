/**
 * OpenTelemetry's metrics SDK as a user loads it, by `node --import`: its MeterProvider with a reader and an exporter that
 * keeps what it gets. A message to the process has it collect, and is replied to with what was exported.
 */
import { metrics } from '@opentelemetry/api';
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';

/** One metric as the exporter got it. */
export interface Exported {
  readonly name: string;
  readonly unit: string;
  readonly description: string;
  readonly scope: string;
  readonly kind: 'counter' | 'gauge' | 'other';
  readonly points: readonly {
    readonly attributes: Readonly<Record<string, unknown>>;
    readonly value: unknown;
  }[];
}

const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
// It collects when it is told to, and not by itself.
const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 2 ** 31 - 1 });
metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));

process.on('message', () => void reply());
// What has been loaded must not keep a process that is told to end.
process.channel?.unref();

async function reply(): Promise<void> {
  exporter.reset();
  await reader.forceFlush();
  process.send?.(
    exporter.getMetrics().flatMap(({ scopeMetrics }) =>
      scopeMetrics.flatMap(({ scope, metrics }) =>
        metrics.map((metric): Exported => {
          const { descriptor, dataPointType, dataPoints } = metric;
          const { name, unit, description } = descriptor;
          const isCounter = dataPointType === DataPointType.SUM && metric.isMonotonic;
          const kind = isCounter ? 'counter' : dataPointType === DataPointType.GAUGE ? 'gauge' : 'other';
          const points = dataPoints.map(({ attributes, value }) => ({ attributes, value }));
          return { name, unit, description, scope: `${scope.name} ${scope.version}`, kind, points };
        }),
      ),
    ),
  );
}

/**
 * Offers the metrics of /metrics through OpenTelemetry's metrics API, under the same names. They are read when the SDK
 * collects: nothing is counted twice, and a request costs nothing more. A histogram has no observable instrument there: its
 * buckets, its sum and its count are counters, as Prometheus has them. Loaded only where an SDK is.
 */
import { metrics as api, ValueType, type BatchObservableCallback, type Observable } from '@opentelemetry/api';
import { VERSION } from '../version.ts';
import type { MetricDescription, Metrics } from './metrics.ts';

/** Returns a function that ends it. */
export function observeMetrics(metrics: Metrics): () => void {
  const meter = api.getMeter('sallyport', VERSION);
  const instruments = new Map<string, Observable>();
  for (const { name, help, type } of metrics.describe()) {
    const options = { description: help, unit: unitOf(name), valueType: ValueType.DOUBLE };
    if (type === 'gauge') instruments.set(name, meter.createObservableGauge(name, options));
    else
      for (const series of seriesOf(name, type)) {
        const unit = /_(?:bucket|count)$/.test(series) ? '1' : options.unit;
        instruments.set(series, meter.createObservableCounter(series, { ...options, unit }));
      }
  }
  const observe: BatchObservableCallback = async (result) => {
    for (const { name, labels, value } of await metrics.samples()) {
      const instrument = instruments.get(name);
      // OTLP has no infinity in JSON, and "never" is no value.
      if (instrument && Number.isFinite(value)) result.observe(instrument, value, labels);
    }
  };
  meter.addBatchObservableCallback(observe, [...instruments.values()]);
  return () => meter.removeBatchObservableCallback(observe, [...instruments.values()]);
}

function seriesOf(name: string, type: MetricDescription['type']): string[] {
  return type === 'histogram' ? ['bucket', 'count', 'sum'].map((suffix) => `${name}_${suffix}`) : [name];
}

/** UCUM, by the ending that Prometheus' names have. */
function unitOf(name: string): string {
  if (/_seconds(?:_total)?$/.test(name)) return 's';
  return /_bytes(?:_total)?$/.test(name) ? 'By' : '1';
}

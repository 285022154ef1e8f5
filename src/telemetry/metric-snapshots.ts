/** What metrics say at one time: of several workers as one, and what remains of those that have ended. */
import { acrossWorkers } from './across-workers.ts';
import { Registry } from './metrics.ts';

/** What metrics say at one time, as one worker tells another process. */
export type MetricsSnapshot = readonly MetricState[];

interface MetricState {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly values: readonly object[];
}

/** What several workers say, as one. A gauge without a rule (across-workers.ts) is left out. */
export function mergedSnapshot(snapshots: readonly MetricsSnapshot[]): MetricsSnapshot {
  const ruled = snapshots.map((metrics) =>
    metrics.flatMap((metric) => {
      const aggregator = acrossWorkers(metric.type, metric.name);
      return aggregator === undefined ? [] : [{ ...metric, aggregator }];
    }),
  );
  // What it reads of a metric is in MetricState and the aggregator; its types ask for its own classes.
  const merged = Registry.aggregate(ruled).getMetricsAsArray();
  return merged as unknown as MetricsSnapshot;
}

/** What must not be lost with the worker that counted it. */
export function totalsOf(snapshot: MetricsSnapshot): MetricsSnapshot {
  return snapshot.filter(({ type }) => type !== 'gauge');
}

/** In Prometheus' text format. */
export async function snapshotText(snapshot: MetricsSnapshot): Promise<MetricsText> {
  const registry = new Registry();
  for (const metric of snapshot)
    registry.registerMetric({ ...metric, get: () => Promise.resolve(metric) } as never);
  return { contentType: registry.contentType, body: await registry.metrics() };
}

export interface MetricsText {
  readonly contentType: string;
  readonly body: string;
}

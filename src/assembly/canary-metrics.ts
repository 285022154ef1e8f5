/**
 * What the metrics tell of canaries. Each gateway tells of itself alone, so that the figures of one that is gone go with it; the
 * label says how the fleet calls it (without the process, where two on one host have the same name: `instance` tells them apart).
 */
import { hostname } from 'node:os';
import { CANARY_RESULTS, type CanaryWatch } from '../admin/canary-watch.ts';
import type { Clock } from '../clock.ts';
import { HeldCounter, HeldHistogram } from '../telemetry/metric-children.ts';
import type { Metrics } from '../telemetry/metrics.ts';

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

interface Measured {
  /** Undefined: another process of the gateway tells of them. */
  readonly watch: CanaryWatch | undefined;
  /** The configured name. */
  readonly name: () => string;
  /** Does this gateway make canaries? Then it must hear of one now and then. */
  readonly isOn: () => boolean;
  readonly clock: Clock;
}

export function exposeCanaries(metrics: Metrics, { watch, name, isOn, clock }: Measured): void {
  const seconds = metrics.register(
    new HeldHistogram(
      'sallyport_revocation_time_to_refuse_seconds',
      'Time from the revocation of a canary, by the clock of the store, to its first refusal by all processes of this gateway.',
      ['gateway'],
      SECONDS,
    ),
  );
  const ended = metrics.register(
    new HeldCounter(
      'sallyport_revocation_canaries_total',
      'Canaries that this gateway has looked out for: refused; missed (in the store, and not refused within 30 s); unknown (the store was unavailable, or never got it).',
      ['gateway', 'result'],
    ),
  );
  let refusedAtMs: number | undefined;
  metrics.gauge(
    'sallyport_revocation_canary_age_seconds',
    'Time since this gateway has last refused a canary, or since it started. Absent where revocation.canary.every is off.',
    [],
    (set) => {
      if (watch && isOn()) set((clock.monotonicMs() - (refusedAtMs ?? startedAtMs)) / 1_000);
    },
  );
  if (!watch) return;
  const startedAtMs = clock.monotonicMs();
  const label = (): string => `${name()}@${hostname()}`;
  // From zero on, so that the first one is an increase.
  for (const result of CANARY_RESULTS) ended.child(label(), result);
  seconds.child(label());
  watch.onEnd = ({ state, refused_after_seconds: afterSeconds }) => {
    const gateway = label();
    for (const metric of [seconds, ended]) metric.retain((labels) => labels['gateway'] === gateway);
    ended.child(gateway, state).value++;
    if (afterSeconds === null) return;
    seconds.child(gateway).observe(afterSeconds);
    refusedAtMs = clock.monotonicMs();
  };
}

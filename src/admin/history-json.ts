/** The history of traffic as the API sends it: the parts of several processes added up, and times as percentiles. Pure. */
import { REQUEST_SECONDS } from '../telemetry/metrics.ts';
import { STEP_SECONDS, type HistoryReport, type RouteReport } from '../telemetry/traffic-history.ts';

/** The objective of deploy/prometheus, and a bound of REQUEST_SECONDS. */
const SLOW_SECONDS = 1;

/** One number a step; null where the gateway was not up. */
type Steps = readonly (number | null)[];

export interface RouteHistoryJson {
  readonly route: string;
  readonly requests: Steps;
  /** 401, 403 and 429 of the gateway's own. */
  readonly refused: Steps;
  /** 5xx, of the gateway's own and of upstreams. */
  readonly failed: Steps;
  /** Took more than a second. */
  readonly slow: Steps;
  /** Null also where there was no request. */
  readonly p50_ms: Steps;
  readonly p99_ms: Steps;
}

export interface HistoryJson {
  readonly this_gateway: string;
  readonly step_seconds: number;
  /** When the first step began: seconds since 1970. */
  readonly from: number;
  readonly routes: readonly RouteHistoryJson[];
}

/** @param reports of the processes of one gateway */
export function historyJson(gateway: string, reports: readonly HistoryReport[]): HistoryJson {
  const first = Math.min(...reports.map((report) => report.first));
  const end = Math.max(...reports.map(({ first, known }) => first + known.length));
  const steps = Array.from({ length: Math.max(0, end - first) }, (_, index) => first + index);
  const names = new Set(reports.flatMap(({ routes }) => routes.map(({ route }) => route)));
  const from = Number.isFinite(first) ? first * STEP_SECONDS : 0;
  return {
    this_gateway: gateway,
    step_seconds: STEP_SECONDS,
    from,
    routes: [...names].map((route) => routeJson(route, steps, reports)),
  };
}

function routeJson(
  name: string,
  steps: readonly number[],
  reports: readonly HistoryReport[],
): RouteHistoryJson {
  const isKnown = (step: number): boolean => reports.some(({ first, known }) => known[step - first] === true);
  const parts = reports.map(({ first, routes }) => ({
    first,
    route: routes.find(({ route }) => route === name),
  }));
  const sums = (of: (route: RouteReport) => readonly number[]): Steps =>
    steps.map((step) =>
      isKnown(step)
        ? parts.reduce((sum, { first, route }) => sum + ((route && of(route)[step - first]) ?? 0), 0)
        : null,
    );
  const times = steps.map((step) => added(parts.map(({ first, route }) => route?.times[step - first] ?? [])));
  return {
    route: name,
    requests: sums(({ requests }) => requests),
    refused: sums(({ refused }) => refused),
    failed: sums(({ failed }) => failed),
    slow: steps.map((step, index) => (isKnown(step) ? slowOf(times[index] ?? []) : null)),
    p50_ms: times.map((counts) => percentileMs(counts, 0.5)),
    p99_ms: times.map((counts) => percentileMs(counts, 0.99)),
  };
}

function added(lists: readonly (readonly number[])[]): readonly number[] {
  return lists.reduce(
    (sum, list) => (sum.length === 0 ? list : sum.map((count, index) => count + (list[index] ?? 0))),
    [],
  );
}

function slowOf(counts: readonly number[]): number {
  return counts.slice(REQUEST_SECONDS.indexOf(SLOW_SECONDS) + 1).reduce((sum, count) => sum + count, 0);
}

/** Within its bucket it is a straight line, as in Prometheus' histogram_quantile; beyond the last bound it is that bound. */
function percentileMs(counts: readonly number[], share: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let below = 0;
  for (const [index, bound] of REQUEST_SECONDS.entries()) {
    const count = counts[index] ?? 0;
    if (count > 0 && below + count >= share * total) {
      const lower = REQUEST_SECONDS[index - 1] ?? 0;
      const seconds = lower + ((bound - lower) * (share * total - below)) / count;
      return Math.round(seconds * 100_000) / 100;
    }
    below += count;
  }
  return (REQUEST_SECONDS.at(-1) ?? 0) * 1_000;
}

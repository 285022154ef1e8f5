/** Do requests pass, and in time? The objectives: 99.9 % without a 5xx, 99 % within a second, over 30 days. */
import { routesOf, type Alert } from './alert.ts';

const failing = routesOf(
  'topk(3, sum by (route) (rate(sallyport_http_requests_total{job=%q,code=~"5.."}[30m])) > 0)',
  'job',
);

/** The part of the requests that gets a 5xx, of a route that lists several upstreams. */
const failed = (by: string): string => `(
  sum by (${by}) (rate(sallyport_route_upstream_requests_total{code=~"5.."}[5m]))
    / sum by (${by}) (rate(sallyport_route_upstream_requests_total[5m]))
)`;

const resolved = (result: string): string =>
  `sum by (job, instance, upstream, target) (increase(sallyport_upstream_resolutions_total{result="${result}"}[5m]))`;

export const AVAILABILITY_ALERTS: readonly Alert[] = [
  {
    name: 'SallyportRoutePassesNothing',
    severity: 'page',
    // Requests come and nearly all fail, and far fewer pass than before the last ten minutes, or than a day ago: a flood
    // of bad requests alone changes only the first. Ten requests now and fifty then, so that a route with tiny traffic
    // is left alone. A route without a past has nothing to compare.
    expr: `sallyport:route_passed:rate2m / (sallyport:route_requests:rate2m >= 10 / 120) < 0.1
and (
  sallyport:route_passed:rate2m < 0.1 * (sallyport:route_passed:rate50m offset 10m >= 50 / 3000)
  or sallyport:route_passed:rate2m < 0.1 * (sallyport:route_passed:rate50m offset 1d >= 50 / 3000)
)`,
    for: '30s',
    summary:
      '{{ $labels.route }} passes {{ $value | humanizePercentage }} of its requests, and passed more an hour ago',
    panel: ['overview', 'Passed, by route'],
  },
  {
    name: 'SallyportErrorBudgetBurnsFast',
    severity: 'page',
    expr: 'sallyport:error_ratio:rate1h > 14.4 * 0.001 and sallyport:error_ratio:rate5m > 14.4 * 0.001',
    for: '2m',
    summary: `{{ $labels.job }} responds to {{ $value | humanizePercentage }} of requests with a 5xx, most of them on ${failing}`,
    description: 'At this pace the error budget of 30 days is gone in 2 days.',
    panel: ['overview', 'Errors by route'],
  },
  {
    name: 'SallyportErrorBudgetBurnsSlowly',
    severity: 'ticket',
    expr: 'sallyport:error_ratio:rate6h > 6 * 0.001 and sallyport:error_ratio:rate30m > 6 * 0.001',
    for: '15m',
    summary: `{{ $labels.job }} has responded to {{ $value | humanizePercentage }} of requests with a 5xx for hours, most of them on ${failing}`,
    description: 'At this pace the error budget of 30 days is gone in 5 days.',
    panel: ['overview', 'Errors by route'],
  },
  {
    name: 'SallyportLatencyBudgetBurnsFast',
    severity: 'page',
    expr: `sallyport:slow_ratio:rate1h > 14.4 * 0.01 and sallyport:slow_ratio:rate5m > 14.4 * 0.01
and sum by (job, route) (increase(sallyport_http_request_duration_seconds_count[5m])) >= 10`,
    for: '2m',
    summary:
      '{{ $value | humanizePercentage }} of the requests of {{ $labels.route }} take more than a second',
    description: 'At this pace the latency budget of 30 days is gone in 2 days.',
    panel: ['overview', 'Slow requests by route'],
  },
  {
    name: 'SallyportLatencyBudgetBurnsSlowly',
    severity: 'ticket',
    expr: `sallyport:slow_ratio:rate6h > 6 * 0.01 and sallyport:slow_ratio:rate30m > 6 * 0.01
and sum by (job, route) (increase(sallyport_http_request_duration_seconds_count[30m])) >= 10`,
    for: '15m',
    summary:
      '{{ $value | humanizePercentage }} of the requests of {{ $labels.route }} have taken more than a second for hours',
    description: 'At this pace the latency budget of 30 days is gone in 5 days.',
    panel: ['overview', 'Slow requests by route'],
  },
  {
    name: 'SallyportUpstreamTargetOut',
    severity: 'ticket',
    expr: 'sallyport_upstream_target_healthy == 0',
    for: '1m',
    summary: '{{ $labels.target }} of {{ $labels.upstream }} gets no requests from {{ $labels.instance }}',
    panel: ['upstreams', 'Targets'],
  },
  {
    name: 'SallyportNameUnresolved',
    severity: 'ticket',
    // Names are asked for again within a minute at the latest, so that a single success within five is enough.
    expr: `${resolved('failure')} > 0 unless on (job, instance, upstream, target) ${resolved('success')} > 0`,
    for: '5m',
    summary:
      'The name in {{ $labels.target }} of {{ $labels.upstream }} does not resolve on {{ $labels.instance }}',
    description: 'Requests go to the addresses that it had last, while they respond.',
    panel: ['upstreams', 'Names that do not resolve'],
  },
  {
    name: 'SallyportCanaryFails',
    severity: 'ticket',
    // One version of a route fails, and more than the route does: else it is no matter of the version.
    expr: `${failed('job, route, upstream')} > 0.05
and on (job, route, upstream) ${failed('job, route, upstream')}
  > on (job, route) group_left () 1.5 * ${failed('job, route')}`,
    for: '2m',
    summary:
      '{{ $labels.upstream }} fails {{ $value | humanizePercentage }} of the requests that {{ $labels.route }} gives it, more than its other upstreams',
    panel: ['upstreams', 'Versions of a route: 5xx'],
  },
];

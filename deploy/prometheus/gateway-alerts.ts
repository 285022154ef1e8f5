/** Is the gateway itself well: its process, its limits, its configuration, its certificates? */
import { routesOf, type Alert } from './alert.ts';

const EXPIRY = 'sallyport_tls_certificate_expiry_timestamp_seconds - time()';
const shed = routesOf(
  'sum by (route) (rate(sallyport_failed_requests_total{job=%q,instance=%q,error="overloaded"}[2m])) > 0',
  'job',
  'instance',
);

export const PROCESS_ALERTS: readonly Alert[] = [
  {
    name: 'SallyportDown',
    severity: 'page',
    expr: 'up{job=~".*sallyport.*"} == 0',
    for: '2m',
    summary: '{{ $labels.instance }} does not respond',
    panel: ['overview', 'Gateways'],
  },
  {
    name: 'SallyportGone',
    severity: 'page',
    // Where Prometheus no longer knows a target, its `up` goes with it, and SallyportDown sees nothing.
    expr: 'count by (job) (count_over_time(sallyport_build_info[1h])) unless count by (job) (sallyport_build_info)',
    for: '3m',
    summary: 'no gateway of {{ $labels.job }} is left; an hour ago there were {{ $value }}',
    panel: ['overview', 'Gateways'],
  },
  {
    name: 'SallyportRestarts',
    severity: 'page',
    expr: 'changes(process_start_time_seconds[15m]) >= 3 and on (job, instance) count_over_time(sallyport_build_info[15m])',
    summary: '{{ $labels.instance }} has started {{ $value }} times within 15 minutes',
    panel: ['overview', 'Starts'],
  },
];

export const OVERLOAD_ALERTS: readonly Alert[] = [
  {
    name: 'SallyportOverloaded',
    severity: 'page',
    expr: `sum by (job, instance) (rate(sallyport_failed_requests_total{error="overloaded"}[2m]))
/ sum by (job, instance) (rate(sallyport_http_requests_total[2m])) > 0.01`,
    for: '1m',
    summary: `{{ $labels.instance }} turns away {{ $value | humanizePercentage }} of requests, since limits.in_flight is reached: ${shed}`,
    panel: ['overview', 'Turned away'],
  },
  {
    name: 'SallyportNearlyOverloaded',
    severity: 'ticket',
    expr: 'sallyport_requests_in_flight / sallyport_requests_in_flight_limit > 0.8',
    for: '5m',
    summary:
      '{{ $labels.instance }} serves {{ $value | humanizePercentage }} of the requests that limits.in_flight allows',
    panel: ['overview', 'In flight, of the limit'],
  },
  {
    name: 'SallyportConnectionsRefused',
    severity: 'page',
    expr: 'rate(sallyport_connections_refused_total[2m]) > 0',
    for: '1m',
    summary:
      '{{ $labels.listener }} of {{ $labels.instance }} closes new connections, since limits.connections is reached',
    panel: ['overview', 'Connections refused'],
  },
  {
    name: 'SallyportEventLoopSlow',
    severity: 'ticket',
    expr: 'histogram_quantile(0.9, sum by (job, instance, le) (rate(sallyport_event_loop_delay_seconds_bucket[5m]))) > 0.1',
    for: '5m',
    summary:
      'every request of {{ $labels.instance }} waits: its process is late by {{ $value | humanizeDuration }} (p90)',
    panel: ['overview', 'Event loop'],
  },
  {
    name: 'SallyportLogLinesDropped',
    severity: 'ticket',
    expr: 'increase(sallyport_log_lines_dropped_total[10m]) > 0',
    summary:
      '{{ $labels.instance }} dropped {{ $value | humanize }} log lines in 10 minutes: its standard output is not read',
    panel: ['overview', 'Log lines dropped'],
  },
];

export const CONFIGURATION_ALERTS: readonly Alert[] = [
  {
    name: 'SallyportReloadFailed',
    severity: 'ticket',
    expr: 'sallyport_config_last_reload_successful == 0',
    for: '1m',
    summary: '{{ $labels.instance }} could not use the configuration that it was given last',
    panel: ['overview', 'Configuration'],
  },
  {
    name: 'SallyportConfigurationsDiffer',
    severity: 'ticket',
    expr: 'count by (job) (count by (job, hash) (sallyport_config_info)) > 1',
    for: '15m',
    summary: 'the gateways of {{ $labels.job }} run on {{ $value }} different configurations',
    panel: ['overview', 'Configurations'],
  },
  {
    name: 'SallyportCertificateExpiresSoon',
    severity: 'ticket',
    expr: `${EXPIRY} < 14 * 86400\nand ${EXPIRY} > 2 * 86400`,
    for: '15m',
    summary: '{{ $labels.certificate }} of {{ $labels.instance }} expires in {{ $value | humanizeDuration }}',
    panel: ['overview', 'Certificates'],
  },
  {
    name: 'SallyportCertificateExpired',
    severity: 'page',
    expr: `${EXPIRY} <= 2 * 86400`,
    for: '1m',
    summary: '{{ $labels.certificate }} of {{ $labels.instance }} has expired or does within two days',
    panel: ['overview', 'Certificates'],
  },
];

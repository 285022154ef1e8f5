/**
 * What alerts and dashboards ask for again and again. An error is a 5xx; a 401 or 403 is a correct response, and counts
 * neither as a request nor as an error: a client with a broken token must not hide an outage, nor look like one.
 */
export interface Recording {
  readonly record: string;
  readonly expr: string;
}

const errorRatio = (window: string): Recording => ({
  record: `sallyport:error_ratio:rate${window}`,
  expr: `sum by (job) (rate(sallyport_http_requests_total{code=~"5.."}[${window}]))
  / sum by (job) (rate(sallyport_http_requests_total{code!~"401|403"}[${window}]))`,
});

/** The part of a route's requests that took more than a second. Prometheus 3 writes the bucket's bound as 1.0. */
const slowRatio = (window: string): Recording => ({
  record: `sallyport:slow_ratio:rate${window}`,
  expr: `1 - sum by (job, route) (rate(sallyport_http_request_duration_seconds_bucket{le=~"1(\\\\.0)?"}[${window}]))
  / sum by (job, route) (rate(sallyport_http_request_duration_seconds_count[${window}]))`,
});

/** A request passes where its client got a 1xx, 2xx or 3xx. A series that is not there yet, or no more, is a zero. */
const passed = (window: string): Recording => ({
  record: `sallyport:route_passed:rate${window}`,
  expr: `sum by (job, route) (rate(sallyport_http_requests_total{route!="unmatched",code=~"[123].."}[${window}]))
  or 0 * sum by (job, route) (rate(sallyport_http_requests_total{route!="unmatched"}[${window}]))`,
});

export const RECORDINGS: Readonly<Record<string, readonly Recording[]>> = {
  'sallyport-recorded-availability': [
    {
      record: 'sallyport:requests:rate5m',
      expr: 'sum by (job) (rate(sallyport_http_requests_total{code!~"401|403"}[5m]))',
    },
    ...['5m', '30m', '1h', '6h'].map(errorRatio),
  ],
  'sallyport-recorded-routes': [
    {
      record: 'sallyport:route_requests:rate2m',
      expr: 'sum by (job, route) (rate(sallyport_http_requests_total{route!="unmatched"}[2m]))',
    },
    ...['2m', '50m'].map(passed),
    ...['5m', '30m', '1h', '6h'].map(slowRatio),
  ],
  'sallyport-recorded-decisions': [
    {
      record: 'sallyport:decisions:rate30m',
      expr: 'sum by (job, route) (rate(sallyport_auth_decisions_total[30m]))',
    },
    {
      record: 'sallyport:denial_ratio:rate30m',
      expr: `sum by (job, route) (rate(sallyport_auth_decisions_total{decision="deny"}[30m]))
  / sum by (job, route) (rate(sallyport_auth_decisions_total[30m]))`,
    },
    {
      record: 'sallyport:revocation_propagation_seconds:p99_10m',
      expr: 'histogram_quantile(0.99, sum by (job, le) (rate(sallyport_revocation_propagation_seconds_bucket[10m])))',
    },
  ],
};

/**
 * What the dashboards show. Each panel answers one question of an operator who was woken at night; the questions are the
 * descriptions.
 */

/** Units of Grafana. */
type Unit = 's' | 'reqps' | 'cps' | 'percentunit' | 'short' | 'bytes' | 'bool';

export interface Panel {
  readonly title: string;
  /** The question that it answers. */
  readonly asks: string;
  readonly unit: Unit;
  /** By legend. `SELECT` stands for the labels of the chosen gateways. */
  readonly queries: Readonly<Record<string, string>>;
  /** One number instead of a curve. */
  readonly stat?: true;
  /** Curves that add up. */
  readonly stacked?: true;
  /** Green below, red from here on; or the other way round. */
  readonly badFrom?: number;
  readonly badBelow?: number;
  /** Columns of 24. */
  readonly span?: number;
}

export interface Board {
  readonly uid: string;
  readonly title: string;
  readonly asks: string;
  readonly rows: Readonly<Record<string, readonly Panel[]>>;
}

const SELECT = 'job=~"$job",instance=~"$instance"';

const rate = (metric: string, more = ''): string =>
  `rate(${metric}{${SELECT}${more === '' ? '' : `,${more}`}}[$__rate_interval])`;
const sum = (by: string, expression: string): string =>
  by === '' ? `sum(${expression})` : `sum by (${by}) (${expression})`;
/** Nothing to count is a zero, not a gap. */
const orZero = (expression: string): string => `(${expression}) or vector(0)`;
const quantile = (q: number, metric: string, by = '', more = ''): string =>
  `histogram_quantile(${q}, ${sum(by === '' ? 'le' : `le, ${by}`, rate(`${metric}_bucket`, more))})`;
const quantiles = (metric: string, more = ''): Record<string, string> => ({
  p50: quantile(0.5, metric, '', more),
  p95: quantile(0.95, metric, '', more),
  p99: quantile(0.99, metric, '', more),
});
const gauge = (metric: string): string => `${metric}{${SELECT}}`;

const REQUESTS = 'sallyport_http_requests_total';
const SECONDS = 'sallyport_http_request_duration_seconds';
const DECISIONS = 'sallyport_auth_decisions_total';
const UPSTREAM_SECONDS = 'sallyport_upstream_request_duration_seconds';

const OVERVIEW: Board = {
  uid: 'sallyport-overview',
  title: 'Sallyport / Overview',
  asks: 'Is it up, how busy is it, what fails, and is it the gateway or what is behind it?',
  rows: {
    'At a glance': [
      {
        title: 'Gateways',
        asks: 'How many gateways respond?',
        unit: 'short',
        stat: true,
        span: 4,
        queries: { up: `count(${gauge('sallyport_build_info')})` },
      },
      {
        title: 'Requests',
        asks: 'How busy is it?',
        unit: 'reqps',
        stat: true,
        span: 4,
        queries: { requests: sum('', rate(REQUESTS)) },
      },
      {
        title: 'Errors',
        asks: 'Which part of the requests gets a 5xx? 401 and 403 are neither errors nor counted.',
        unit: 'percentunit',
        stat: true,
        badFrom: 0.001,
        span: 4,
        queries: {
          errors: `(${sum('', rate(REQUESTS, 'code=~"5.."'))} or vector(0)) / ${sum('', rate(REQUESTS, 'code!~"401|403"'))}`,
        },
      },
      {
        title: 'Refused',
        asks: 'Which part of the decisions is a refusal?',
        unit: 'percentunit',
        stat: true,
        span: 4,
        queries: {
          refused: `(${sum('', rate(DECISIONS, 'decision="deny"'))} or vector(0)) / ${sum('', rate(DECISIONS))}`,
        },
      },
      {
        title: 'Being served',
        asks: 'How many requests are in flight?',
        unit: 'short',
        stat: true,
        span: 4,
        queries: { 'in flight': `sum(${gauge('sallyport_requests_in_flight')})` },
      },
      {
        title: 'Configuration',
        asks: 'Is the configuration in place the one that was loaded last, everywhere?',
        unit: 'bool',
        stat: true,
        badBelow: 1,
        span: 4,
        queries: { loaded: `min(${gauge('sallyport_config_last_reload_successful')})` },
      },
    ],
    Requests: [
      {
        title: 'Certificates',
        asks: 'How long until the first certificate of each key expires? Below 14 days it must be renewed.',
        unit: 's',
        queries: {
          '{{certificate}}': `min by (certificate) (${gauge('sallyport_tls_certificate_expiry_timestamp_seconds')}) - time()`,
        },
      },
      {
        title: 'Requests by route',
        asks: 'What is asked for?',
        unit: 'reqps',
        stacked: true,
        queries: { '{{route}}': sum('route', rate(REQUESTS)) },
      },
      {
        title: 'Responses by status',
        asks: 'What do clients get?',
        unit: 'reqps',
        stacked: true,
        queries: { '{{code}}': sum('code', rate(REQUESTS)) },
      },
      { title: 'Duration', asks: 'How long do clients wait?', unit: 's', queries: quantiles(SECONDS) },
      {
        title: 'Whose time it is (p95)',
        asks: 'Is it slow in the gateway, or behind it?',
        unit: 's',
        queries: {
          gateway: quantile(0.95, 'sallyport_gateway_overhead_seconds'),
          'upstream {{upstream}}': quantile(0.95, UPSTREAM_SECONDS, 'upstream'),
        },
      },
      {
        title: 'Errors by route',
        asks: 'Where do 5xx come from?',
        unit: 'reqps',
        queries: { '{{route}} {{code}}': sum('route, code', rate(REQUESTS, 'code=~"5.."')) },
      },
      {
        title: 'Duration by route (p95)',
        asks: 'Which route is slow?',
        unit: 's',
        queries: { '{{route}}': quantile(0.95, SECONDS, 'route') },
      },
    ],
    Process: [
      {
        title: 'Processor',
        asks: 'How much of a core does each gateway use?',
        unit: 'percentunit',
        span: 8,
        queries: { '{{instance}}': sum('instance', rate('process_cpu_seconds_total')) },
      },
      {
        title: 'Memory',
        asks: 'Does it grow?',
        unit: 'bytes',
        span: 8,
        queries: { '{{instance}}': gauge('process_resident_memory_bytes') },
      },
      {
        title: 'Event loop',
        asks: 'Does something hold it up?',
        unit: 's',
        span: 8,
        queries: { '{{instance}}': gauge('nodejs_eventloop_lag_p99_seconds') },
      },
    ],
  },
};

const AUTHENTICATION: Board = {
  uid: 'sallyport-authentication',
  title: 'Sallyport / Authentication',
  asks: 'What is refused, why, for whom and since when; and can tokens be checked at all?',
  rows: {
    Decisions: [
      {
        title: 'Decisions',
        asks: 'What happens to requests?',
        unit: 'cps',
        stacked: true,
        queries: { '{{decision}}': sum('decision', rate(DECISIONS)) },
      },
      {
        title: 'Refused, by reason',
        asks: 'Why?',
        unit: 'cps',
        stacked: true,
        queries: { '{{reason}}': sum('reason', rate(DECISIONS, 'decision=~"deny|error"')) },
      },
      {
        title: 'Refused, by route',
        asks: 'Where?',
        unit: 'cps',
        stacked: true,
        queries: { '{{route}}': sum('route', rate(DECISIONS, 'decision=~"deny|error"')) },
      },
      {
        title: 'Refused, by issuer',
        asks: 'Whose tokens? No issuer: the token names none that is known.',
        unit: 'cps',
        stacked: true,
        queries: {
          '{{issuer}} {{reason}}': sum('issuer, reason', rate(DECISIONS, 'decision=~"deny|error"')),
        },
      },
      {
        title: 'Would be refused',
        asks: 'What would routes with report_only refuse?',
        unit: 'cps',
        queries: { '{{route}} {{reason}}': sum('route, reason', rate(DECISIONS, 'decision="report"')) },
      },
      {
        title: 'Identity headers from clients',
        asks: 'Do clients attempt impersonation?',
        unit: 'cps',
        queries: { '{{route}}': sum('route', rate('sallyport_identity_headers_stripped_total')) },
      },
    ],
    'Keys and authorities': [
      {
        title: 'Age of keys',
        asks: 'When were keys last fetched?',
        unit: 's',
        badFrom: 1800,
        queries: {
          '{{issuer}}': `time() - min by (issuer) (${gauge('sallyport_jwks_last_success_timestamp_seconds')})`,
        },
      },
      {
        title: 'Fetches of keys',
        asks: 'Do they work?',
        unit: 'cps',
        queries: { '{{issuer}} {{result}}': sum('issuer, result', rate('sallyport_jwks_refreshes_total')) },
      },
      {
        title: 'Introspection',
        asks: 'How do authorization servers respond?',
        unit: 'cps',
        queries: {
          '{{issuer}} {{result}}': sum('issuer, result', rate('sallyport_introspection_requests_total')),
        },
      },
      {
        title: 'Unknown keys',
        asks: 'Did a rotation go wrong?',
        unit: 'cps',
        queries: { unknown_key: orZero(sum('', rate(DECISIONS, 'reason="unknown_key"'))) },
      },
    ],
    Cost: [
      {
        title: 'Found in the caches',
        asks: 'Which part of the tokens was seen before?',
        unit: 'percentunit',
        span: 8,
        queries: {
          '{{cache}}': `${sum('cache', rate('sallyport_cache_lookups_total', 'result="hit"'))} / ${sum('cache', rate('sallyport_cache_lookups_total'))}`,
        },
      },
      {
        title: 'Entries of the caches',
        asks: 'Are they full?',
        unit: 'short',
        span: 8,
        queries: { '{{cache}}': sum('cache', gauge('sallyport_cache_entries')) },
      },
      {
        title: 'Time of a decision (p99)',
        asks: 'What does checking cost?',
        unit: 's',
        span: 8,
        queries: { '{{stage}}': quantile(0.99, 'sallyport_auth_duration_seconds', 'stage') },
      },
    ],
  },
};

const REVOCATION: Board = {
  uid: 'sallyport-revocation',
  title: 'Sallyport / Revocation',
  asks: 'Is what was revoked refused, everywhere, at once?',
  rows: {
    'At a glance': [
      {
        title: 'Revoked',
        asks: 'How long is the list?',
        unit: 'short',
        stat: true,
        span: 6,
        queries: { entries: `max(${gauge('sallyport_revocation_entries')})` },
      },
      {
        title: 'Store',
        asks: 'Do all gateways reach it?',
        unit: 'bool',
        stat: true,
        badBelow: 1,
        span: 6,
        queries: { connected: `min(${gauge('sallyport_revocation_store_connected')})` },
      },
      {
        title: 'Oldest view',
        asks: 'How old is the list that the slowest gateway decides by?',
        unit: 's',
        stat: true,
        badFrom: 30,
        span: 6,
        queries: { age: `max(${gauge('sallyport_revocation_view_age_seconds')})` },
      },
      {
        title: 'Passed unchecked',
        asks: 'Did requests pass without a fresh list, in the chosen time?',
        unit: 'short',
        stat: true,
        badFrom: 1,
        span: 6,
        queries: {
          'fail open': orZero(`sum(increase(${DECISIONS}{${SELECT},decision="fail_open"}[$__range]))`),
        },
      },
    ],
    'The list': [
      {
        title: 'Entries',
        asks: 'How does it grow? Gateways that differ for long are not on one list.',
        unit: 'short',
        queries: { '{{instance}}': gauge('sallyport_revocation_entries') },
      },
      {
        title: 'Age of the view',
        asks: 'Who has not heard from the store?',
        unit: 's',
        queries: {
          '{{instance}}': gauge('sallyport_revocation_view_age_seconds'),
          allowed: `min(${gauge('sallyport_revocation_max_view_age_seconds')})`,
        },
      },
      {
        title: 'From the store to the gateways',
        asks: 'How long does a revocation take?',
        unit: 's',
        queries: quantiles('sallyport_revocation_propagation_seconds'),
      },
      {
        title: 'Changes, by whom',
        asks: 'Who revokes, and who undoes?',
        unit: 'cps',
        queries: { '{{action}} {{by}}': sum('action, by', rate('sallyport_revocation_changes_total')) },
      },
    ],
    Effect: [
      {
        title: 'Refused as revoked',
        asks: 'Who still tries?',
        unit: 'cps',
        queries: { '{{route}}': sum('route', rate(DECISIONS, 'reason="revoked"')) },
      },
      {
        title: 'Streams closed',
        asks: 'What was ended while it ran?',
        unit: 'cps',
        queries: { '{{reason}}': sum('reason', rate('sallyport_streams_closed_total')) },
      },
    ],
  },
};

const UPSTREAMS: Board = {
  uid: 'sallyport-upstreams',
  title: 'Sallyport / Upstreams',
  asks: 'Which upstream is slow, which is out, and what do clients see of it?',
  rows: {
    Upstreams: [
      {
        title: 'Requests',
        asks: 'What does each get?',
        unit: 'reqps',
        stacked: true,
        queries: { '{{upstream}}': sum('upstream', rate(`${UPSTREAM_SECONDS}_count`)) },
      },
      {
        title: 'Duration (p95)',
        asks: 'Which is slow?',
        unit: 's',
        queries: { '{{upstream}}': quantile(0.95, UPSTREAM_SECONDS, 'upstream') },
      },
      {
        title: 'Duration (p50)',
        asks: 'And as a rule?',
        unit: 's',
        queries: { '{{upstream}}': quantile(0.5, UPSTREAM_SECONDS, 'upstream') },
      },
      {
        title: 'Targets that get requests',
        asks: 'Which part is out?',
        unit: 'percentunit',
        badBelow: 1,
        queries: { '{{upstream}}': `avg by (upstream) (${gauge('sallyport_upstream_target_healthy')})` },
      },
      {
        title: 'Targets',
        asks: 'Which one?',
        unit: 'bool',
        queries: {
          '{{upstream}} {{target}}': `min by (upstream, target) (${gauge('sallyport_upstream_target_healthy')})`,
        },
      },
      {
        title: 'Tried again',
        asks: 'What do retries hide?',
        unit: 'cps',
        queries: { '{{upstream}}': sum('upstream', rate('sallyport_upstream_retries_total')) },
      },
      {
        title: 'Versions of a route',
        asks: 'Does a canary get its share?',
        unit: 'reqps',
        queries: {
          '{{route}} {{upstream}}': sum('route, upstream', rate('sallyport_route_upstream_requests_total')),
        },
      },
      {
        title: 'Versions of a route: 5xx',
        asks: 'Does a canary fail?',
        unit: 'percentunit',
        queries: {
          '{{route}} {{upstream}}': `${sum('route, upstream', rate('sallyport_route_upstream_requests_total', 'code=~"5.."'))} / ${sum('route, upstream', rate('sallyport_route_upstream_requests_total'))}`,
        },
      },
      {
        title: '502 and 504',
        asks: 'What do clients see?',
        unit: 'reqps',
        span: 24,
        queries: { '{{route}} {{code}}': sum('route, code', rate(REQUESTS, 'code=~"502|504"')) },
      },
    ],
  },
};

export const BOARDS = [OVERVIEW, AUTHENTICATION, REVOCATION, UPSTREAMS];

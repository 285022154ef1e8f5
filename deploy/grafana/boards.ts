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
  /** Its legends end with a status: 5xx is red, 4xx amber. */
  readonly byStatus?: true;
  /** A table of the present values instead of a curve. */
  readonly table?: true;
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

/** Of the chosen routes, where the metric tells routes apart. */
const BY_ROUTE =
  /^sallyport_(?:http_request|gateway_overhead|auth_decisions|failed_requests|identity_headers|route_upstream)/;
const chosen = (metric: string, more = ''): string =>
  [SELECT, ...(BY_ROUTE.test(metric) ? ['route=~"$route"'] : []), ...(more === '' ? [] : [more])].join(',');

const rate = (metric: string, more = ''): string =>
  `rate(${metric}{${chosen(metric, more)}}[$__rate_interval])`;
/** Of what happens once a minute or so. */
const lately = (metric: string, more = ''): string => `increase(${metric}{${chosen(metric, more)}}[15m])`;
/** How many in the chosen time. */
const count = (metric: string, more = ''): string => `increase(${metric}{${chosen(metric, more)}}[$__range])`;
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
const gauge = (metric: string, more = ''): string => `${metric}{${chosen(metric, more)}}`;
/** A part of something; zero where there is nothing of it. */
const part = (by: string, of: string, all: string): string =>
  `(${sum(by, of)} or 0 * ${sum(by, all)}) / ${sum(by, all)}`;

const REQUESTS = 'sallyport_http_requests_total';
const CANARIES = 'sallyport_revocation_canaries_total';
const REFUSE_SECONDS = 'sallyport_revocation_time_to_refuse_seconds';
const SECONDS = 'sallyport_http_request_duration_seconds';
const DECISIONS = 'sallyport_auth_decisions_total';
const UPSTREAM_SECONDS = 'sallyport_upstream_request_duration_seconds';
const FAILED = 'sallyport_failed_requests_total';
const TRIES = 'sallyport_upstream_requests_total';
/** Prometheus 3 writes the bound as 1.0. */
const WITHIN_A_SECOND = 'le=~"1(\\\\.0)?"';

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
        asks: 'How many requests does a second bring, on all routes?',
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
        asks: 'Which part of the decisions about tokens is a refusal (401, 403)?',
        unit: 'percentunit',
        stat: true,
        span: 4,
        queries: {
          refused: `(${sum('', rate(DECISIONS, 'decision="deny"'))} or vector(0)) / ${sum('', rate(DECISIONS))}`,
        },
      },
      {
        title: 'Being served',
        asks: 'How many requests are in flight now, on all gateways?',
        unit: 'short',
        stat: true,
        span: 4,
        queries: { 'in flight': `sum(${gauge('sallyport_requests_in_flight')})` },
      },
      {
        title: 'Configuration',
        asks: 'Do all gateways run on the configuration that they were given last? 0: at least one could not use it.',
        unit: 'bool',
        stat: true,
        badBelow: 1,
        span: 4,
        queries: { loaded: `min(${gauge('sallyport_config_last_reload_successful')})` },
      },
    ],
    Routes: [
      {
        title: 'Passed, by route',
        asks: 'Which part of the requests of each route gets a 1xx, 2xx or 3xx?',
        unit: 'percentunit',
        badBelow: 0.1,
        queries: { '{{route}}': part('route', rate(REQUESTS, 'code=~"1..|2..|3.."'), rate(REQUESTS)) },
      },
      {
        title: 'Slow requests by route',
        asks: 'Which part of the requests of each route takes more than a second? The objective is 1 %.',
        unit: 'percentunit',
        badFrom: 0.01,
        queries: {
          '{{route}}': `1 - ${sum('route', rate(`${SECONDS}_bucket`, WITHIN_A_SECOND))} / ${sum('route', rate(`${SECONDS}_count`))}`,
        },
      },
      {
        title: 'Top refusals and failures',
        asks: 'Which errors did the gateway respond with most in the chosen time, and on which routes? Each is explained in the reference, under Responses.',
        unit: 'short',
        table: true,
        span: 24,
        queries: { errors: `topk(20, ${sum('route, error', count(FAILED))} > 0)` },
      },
    ],
    Requests: [
      {
        title: 'Requests by route',
        asks: 'How many requests does each route get?',
        unit: 'reqps',
        stacked: true,
        queries: { '{{route}}': sum('route', rate(REQUESTS)) },
      },
      {
        title: 'Responses of upstreams and of the gateway',
        asks: 'Does a status come from an upstream, or from the gateway itself? Red: 5xx. Amber: 4xx.',
        unit: 'reqps',
        stacked: true,
        byStatus: true,
        queries: { '{{source}} {{code}}': sum('source, code', rate(REQUESTS)) },
      },
      {
        title: 'Responses by status',
        asks: 'Which statuses do clients get? Red: 5xx. Amber: 4xx.',
        unit: 'reqps',
        stacked: true,
        byStatus: true,
        queries: { '{{code}}': sum('code', rate(REQUESTS)) },
      },
      {
        title: 'Duration',
        asks: 'How long do clients wait for a whole response? A stream counts until it begins.',
        unit: 's',
        queries: quantiles(SECONDS),
      },
      {
        title: 'Whose time it is (p95)',
        asks: 'Is the time spent in the gateway, or in an upstream?',
        unit: 's',
        queries: {
          gateway: quantile(0.95, 'sallyport_gateway_overhead_seconds'),
          'upstream {{upstream}}': quantile(0.95, UPSTREAM_SECONDS, 'upstream'),
        },
      },
      {
        title: 'Errors by route',
        asks: 'Which routes respond with 5xx, and with which?',
        unit: 'reqps',
        byStatus: true,
        queries: {
          '{{route}} {{source}} {{code}}': sum('route, source, code', rate(REQUESTS, 'code=~"5.."')),
        },
      },
      {
        title: 'Duration by route (p95)',
        asks: 'How long do 19 of 20 requests of each route take at most?',
        unit: 's',
        queries: { '{{route}}': quantile(0.95, SECONDS, 'route') },
      },
    ],
    'Limits and connections': [
      {
        title: 'In flight, of the limit',
        asks: 'Which part of limits.in_flight is in use? At 1 further requests get a 503.',
        unit: 'percentunit',
        badFrom: 0.8,
        span: 8,
        queries: {
          '{{instance}}': `${gauge('sallyport_requests_in_flight')} / ${gauge('sallyport_requests_in_flight_limit')}`,
        },
      },
      {
        title: 'Turned away',
        asks: 'Which part of the requests of each gateway gets a 503, since limits.in_flight is reached?',
        unit: 'percentunit',
        badFrom: 0.01,
        span: 8,
        queries: { '{{instance}}': part('instance', rate(FAILED, 'error="overloaded"'), rate(REQUESTS)) },
      },
      {
        title: 'Connections',
        asks: 'How many connections of clients are open, by protocol? One of h2 or h2c is an HTTP/2 session with many requests.',
        unit: 'short',
        span: 8,
        queries: {
          '{{listener}} {{protocol}}': sum('listener, protocol', gauge('sallyport_connections_open')),
        },
      },
      {
        title: 'Connections refused',
        asks: 'How many connections are closed at once, since limits.connections is reached?',
        unit: 'cps',
        badFrom: 0.001,
        span: 8,
        queries: { '{{listener}}': sum('listener', rate('sallyport_connections_refused_total')) },
      },
      {
        title: 'New connections',
        asks: 'How many connections do clients open? Many more than usual: they do not keep them.',
        unit: 'cps',
        span: 8,
        queries: {
          '{{listener}} {{protocol}}': sum(
            'listener, protocol',
            rate('sallyport_connections_accepted_total'),
          ),
        },
      },
      {
        title: 'TLS handshakes that fail',
        asks: 'Why do handshakes fail? refused_by_client: clients do not accept the certificate.',
        unit: 'cps',
        span: 8,
        queries: {
          '{{listener}} {{result}}': sum(
            'listener, result',
            rate('sallyport_tls_handshakes_total', 'result!="ok"'),
          ),
        },
      },
      {
        title: 'HTTP/2 sessions that fail',
        asks: 'How many HTTP/2 sessions does the gateway end for an error of the client, or a flood?',
        unit: 'cps',
        span: 8,
        queries: { '{{listener}}': sum('listener', rate('sallyport_http2_session_errors_total')) },
      },
    ],
    Configuration: [
      {
        title: 'Certificates',
        asks: 'How long until the first certificate of each key expires? Below 14 days it must be renewed.',
        unit: 's',
        span: 8,
        queries: {
          '{{certificate}}': `min by (certificate) (${gauge('sallyport_tls_certificate_expiry_timestamp_seconds')}) - time()`,
        },
      },
      {
        title: 'Configurations',
        asks: 'How many gateways run on each configuration, by its hash? Two for long: a gateway was left out.',
        unit: 'short',
        span: 8,
        queries: { '{{hash}}': `count by (hash) (${gauge('sallyport_config_info')})` },
      },
      {
        title: 'Age of the configuration',
        asks: 'How long ago did each gateway load the configuration that it runs on?',
        unit: 's',
        span: 8,
        queries: { '{{instance}}': `time() - ${gauge('sallyport_config_load_timestamp_seconds')}` },
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
        asks: 'Does the memory of a gateway grow from day to day?',
        unit: 'bytes',
        span: 8,
        queries: { '{{instance}}': gauge('process_resident_memory_bytes') },
      },
      {
        title: 'Event loop',
        asks: 'How late does the process run what is due (p90)? Every request of the gateway waits as long.',
        unit: 's',
        span: 8,
        badFrom: 0.1,
        queries: { '{{instance}}': quantile(0.9, 'sallyport_event_loop_delay_seconds', 'instance') },
      },
      {
        title: 'Starts',
        asks: 'How often did each gateway start within 15 minutes? Three times is a crash loop.',
        unit: 'short',
        badFrom: 3,
        span: 12,
        queries: { '{{instance}}': `changes(${gauge('process_start_time_seconds')}[15m])` },
      },
      {
        title: 'Log lines dropped',
        asks: 'How many log lines were dropped, since standard output is not read?',
        unit: 'cps',
        badFrom: 0.001,
        span: 12,
        queries: { '{{instance}}': sum('instance', rate('sallyport_log_lines_dropped_total')) },
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
        asks: 'Which part of the requests is allowed, denied, or could not be decided (error)?',
        unit: 'cps',
        stacked: true,
        queries: { '{{decision}}': sum('decision', rate(DECISIONS)) },
      },
      {
        title: 'Refused, by reason',
        asks: 'For which reason are tokens refused?',
        unit: 'cps',
        stacked: true,
        queries: { '{{reason}}': sum('reason', rate(DECISIONS, 'decision=~"deny|error"')) },
      },
      {
        title: 'Refused, by route',
        asks: 'On which routes are tokens refused?',
        unit: 'cps',
        stacked: true,
        queries: { '{{route}}': sum('route', rate(DECISIONS, 'decision=~"deny|error"')) },
      },
      {
        title: 'Refused, by issuer',
        asks: 'Of which issuer are the refused tokens? No issuer: the token names none that is known.',
        unit: 'cps',
        stacked: true,
        queries: {
          '{{issuer}} {{reason}}': sum('issuer, reason', rate(DECISIONS, 'decision=~"deny|error"')),
        },
      },
      {
        title: 'Top refusals of tokens',
        asks: 'Which tokens were refused most in the chosen time, on which routes, and why? The runbook of SallyportDenialsUnusual says what each reason means.',
        unit: 'short',
        table: true,
        span: 24,
        queries: {
          refusals: `topk(20, ${sum('route, issuer, reason', count(DECISIONS, 'decision=~"deny|error"'))} > 0)`,
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
        asks: 'How old is the key set of each issuer? +Inf: it was never fetched.',
        unit: 's',
        badFrom: 1800,
        queries: {
          '{{issuer}}': `max by (issuer) (${gauge('sallyport_jwks_age_seconds')})`,
        },
      },
      {
        title: 'Fetches of keys',
        asks: 'Do the fetches of key sets succeed?',
        unit: 'cps',
        queries: { '{{issuer}} {{result}}': sum('issuer, result', rate('sallyport_jwks_refreshes_total')) },
      },
      {
        title: 'Introspection',
        asks: 'How do introspection and validation servers respond?',
        unit: 'cps',
        queries: {
          '{{issuer}} {{result}}': sum('issuer, result', rate('sallyport_introspection_requests_total')),
        },
      },
      {
        title: 'Unknown keys',
        asks: 'Which part of the requests of a route brings tokens with a key that the issuer does not publish? It rises if a rotation went wrong.',
        unit: 'percentunit',
        badFrom: 0.05,
        queries: {
          '{{route}} {{issuer}}': `${sum('route, issuer', rate(DECISIONS, 'reason="unknown_key"'))} / on (route) group_left () ${sum('route', rate(DECISIONS))}`,
        },
      },
      {
        title: 'Tokens that cannot be checked',
        asks: 'Which part of the tokens of each issuer gets a 503, since its keys or its introspection are not available?',
        unit: 'percentunit',
        badFrom: 0.05,
        span: 24,
        queries: {
          '{{issuer}}': part(
            'issuer',
            rate(DECISIONS, 'reason=~"keys_unavailable|introspection_unavailable"'),
            rate(DECISIONS),
          ),
        },
      },
      {
        title: 'DPoP proofs by result',
        asks: 'How are the DPoP proofs judged that clients send with bound tokens? invalid: missing or wrong. nonce: the client was asked for a nonce. replayed: used before. too_many: one key sent more than dpop.remembered.per_key. unknown: the store does not say whether it was used, 503. passed_unknown: the same, and the route lets it pass.',
        unit: 'reqps',
        span: 24,
        queries: { '{{result}}': sum('result', rate('sallyport_dpop_proofs_total')) },
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
        asks: 'How many entries does each cache hold? It is full at the size in caches.',
        unit: 'short',
        span: 8,
        queries: { '{{cache}}': sum('cache', gauge('sallyport_cache_entries')) },
      },
      {
        title: 'Time of a decision (p99)',
        asks: 'How long does each stage of a decision take (p99)? check_possession: of bound tokens alone; it waits for the store of used proofs.',
        unit: 's',
        span: 8,
        queries: { '{{stage}}': quantile(0.99, 'sallyport_auth_duration_seconds', 'stage') },
      },
    ],
    Limits: [
      {
        title: 'Requests beyond a limit',
        asks: 'How many requests does each limit of each route refuse (enforced), or would refuse (reported)? failed_authentications: by limits.failed_authentications.',
        unit: 'reqps',
        span: 12,
        queries: {
          '{{route}} {{limit}} {{mode}}': sum(
            'route, limit, mode',
            rate('sallyport_rate_limited_requests_total'),
          ),
        },
      },
      {
        title: 'Callers counted together',
        asks: 'How many requests were counted in one bucket with others, since limits.rate_limit_keys is reached? 0 is right.',
        unit: 'reqps',
        span: 6,
        queries: { '{{limit}}': sum('limit', rate('sallyport_rate_limit_overflow_requests_total')) },
      },
      {
        title: 'Callers that are counted',
        asks: 'Which part of limits.rate_limit_keys is used, on the gateway that is fullest?',
        unit: 'percentunit',
        span: 6,
        queries: {
          '{{of}}': `max by (of) (${gauge('sallyport_rate_limit_keys')} / ${gauge('sallyport_rate_limit_keys_limit')})`,
        },
      },
    ],
  },
};

const REVOCATION: Board = {
  uid: 'sallyport-revocation',
  title: 'Sallyport / Revocation',
  asks: 'Is what was revoked refused at once, on every gateway?',
  rows: {
    'At a glance': [
      {
        title: 'Revoked',
        asks: 'How many revocations are in force?',
        unit: 'short',
        stat: true,
        span: 6,
        queries: { entries: `max(${gauge('sallyport_revocation_entries')})` },
      },
      {
        title: 'Store',
        asks: 'Do all gateways reach the revocation store? 0: at least one does not.',
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
        asks: 'Did requests pass without a fresh list, or with a proof that may have been used before, in the chosen time?',
        unit: 'short',
        stat: true,
        badFrom: 1,
        span: 6,
        queries: {
          'fail open': orZero(sum('', count(DECISIONS, 'decision="fail_open"'))),
        },
      },
    ],
    'The list': [
      {
        title: 'Entries',
        asks: 'How many revocations does each gateway know? Gateways that differ for long do not share a list.',
        unit: 'short',
        queries: { '{{instance}}': gauge('sallyport_revocation_entries') },
      },
      {
        title: 'Age of the view',
        asks: 'Which gateway has not heard from the store, and for how long?',
        unit: 's',
        queries: {
          '{{instance}}': gauge('sallyport_revocation_view_age_seconds'),
          allowed: `min(${gauge('sallyport_revocation_max_view_age_seconds')})`,
        },
      },
      {
        title: 'From the store to the gateways',
        asks: 'How long does a revocation take from the store to a gateway?',
        unit: 's',
        queries: quantiles('sallyport_revocation_propagation_seconds'),
      },
      {
        title: 'Logouts',
        asks: 'How many back-channel logouts come, and with which result?',
        unit: 'cps',
        queries: {
          '{{issuer}} {{result}}': sum('issuer, result', rate('sallyport_backchannel_logouts_total')),
        },
      },
      {
        title: 'Global token revocations',
        asks: 'How many requests to end all tokens of a user come, and with which result?',
        unit: 'cps',
        queries: {
          '{{issuer}} {{result}}': sum('issuer, result', rate('sallyport_global_revocations_total')),
        },
      },
      {
        title: 'Changes, by whom',
        asks: 'Who revokes, and who undoes?',
        unit: 'cps',
        queries: { '{{action}} {{by}}': sum('action, by', rate('sallyport_revocation_changes_total')) },
      },
      {
        title: 'Changes of API keys',
        asks: 'How many API keys are created, rotated and revoked?',
        unit: 'cps',
        queries: { '{{issuer}} {{action}}': sum('issuer, action', rate('sallyport_api_key_changes_total')) },
      },
      {
        title: 'Forged API keys',
        asks: 'Does the store have entries for API keys that no gateway has made?',
        unit: 'cps',
        queries: { '{{issuer}}': sum('issuer', rate('sallyport_api_key_entries_ignored_total')) },
      },
      {
        title: 'Age of the API keys',
        asks: 'How long ago did each gateway read the API keys of the store?',
        unit: 's',
        queries: { '{{instance}}': gauge('sallyport_api_keys_view_age_seconds') },
      },
    ],
    Effect: [
      {
        title: 'Refused as revoked',
        asks: 'On which routes do clients still use revoked tokens?',
        unit: 'cps',
        queries: { '{{route}}': sum('route', rate(DECISIONS, 'reason="revoked"')) },
      },
      {
        title: 'Streams closed',
        asks: 'How many streams and tunnels were ended with their token?',
        unit: 'cps',
        queries: { '{{reason}}': sum('reason', rate('sallyport_streams_closed_total')) },
      },
    ],
    'Limits in the same store': [
      {
        title: 'Limits counted alone',
        asks: 'Which gateways do not reach the store in which the fleet counts requests (1)? Each of them gives its share of every limit.',
        unit: 'bool',
        span: 24,
        queries: { '{{instance}}': gauge('sallyport_rate_limits_counted_alone') },
      },
    ],
    Proof: [
      {
        title: 'Canaries refused within a second',
        asks: 'Does each gateway refuse what was just revoked? 19 of 20 canaries within a second is the objective.',
        unit: 'percentunit',
        badBelow: 0.95,
        queries: {
          '{{gateway}}': `${sum('gateway', lately(`${REFUSE_SECONDS}_bucket`, WITHIN_A_SECOND))} / ${sum('gateway', lately(CANARIES, 'result=~"refused|missed"'))}`,
        },
      },
      {
        title: 'Time to refuse',
        asks: 'How long does each gateway take from the revocation of a canary to its first refusal, 19 of 20 times?',
        unit: 's',
        queries: {
          '{{gateway}}': `histogram_quantile(0.95, ${sum('gateway, le', lately(`${REFUSE_SECONDS}_bucket`))})`,
        },
      },
      {
        title: 'Canaries that were not refused',
        asks: 'Which gateway has let a revoked canary pass (missed), or could not tell (unknown)?',
        unit: 'short',
        queries: {
          '{{gateway}} {{result}}': sum('gateway, result', lately(CANARIES, 'result!="refused"')),
        },
      },
      {
        title: 'Age of the last canary',
        asks: 'How old is the last proof of each gateway?',
        unit: 's',
        queries: { '{{instance}}': gauge('sallyport_revocation_canary_age_seconds') },
      },
    ],
    Signals: [
      {
        title: 'Silence of transmitters',
        asks: 'How long ago did any gateway hear of each transmitter?',
        unit: 's',
        queries: {
          '{{transmitter}}': `time() - max by (transmitter) (${gauge('sallyport_signal_last_timestamp_seconds')})`,
        },
      },
      {
        title: 'Signals by result',
        asks: 'How many security events come, and what does each lead to?',
        unit: 'cps',
        queries: {
          '{{transmitter}} {{event}} {{result}}': sum(
            'transmitter, event, result',
            rate('sallyport_signals_total'),
          ),
        },
      },
      {
        title: 'Polls of transmitters',
        asks: 'How many polls does the gateway make that polls, and what do they come to?',
        unit: 'cps',
        queries: {
          '{{transmitter}} {{result}}': sum('transmitter, result', rate('sallyport_signal_polls_total')),
        },
      },
      {
        title: 'Streams that deliver',
        asks: 'Does the stream of each transmitter deliver (1), or is it paused or disabled (0)?',
        unit: 'bool',
        queries: {
          '{{transmitter}}': `min by (transmitter) (${gauge('sallyport_signal_stream_enabled')})`,
        },
      },
    ],
    'Status lists of issuers': [
      {
        title: 'Status lists that are stale',
        asks: 'How many lists that tokens name are too old to go by, or not there?',
        unit: 'short',
        badFrom: 1,
        queries: { '{{instance}} {{issuer}}': gauge('sallyport_status_lists_stale') },
      },
      {
        title: 'Age of status lists',
        asks: 'How long ago was the oldest list of each issuer known to be current?',
        unit: 's',
        queries: { '{{instance}} {{issuer}}': gauge('sallyport_status_list_age_seconds') },
      },
      {
        title: 'Fetches of status lists',
        asks: 'How many lists are fetched, and with which result?',
        unit: 'cps',
        queries: {
          '{{issuer}} {{result}}': sum('issuer, result', rate('sallyport_status_list_fetches_total')),
        },
      },
      {
        title: 'Refused by their status',
        asks: 'On which routes do clients use tokens that their issuer has revoked or suspended?',
        unit: 'cps',
        queries: { '{{route}}': sum('route', rate(DECISIONS, 'reason="status"')) },
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
        asks: 'How many requests does each upstream get?',
        unit: 'reqps',
        stacked: true,
        queries: { '{{upstream}}': sum('upstream', rate(`${UPSTREAM_SECONDS}_count`)) },
      },
      {
        title: 'Duration (p95)',
        asks: 'How long do 19 of 20 requests to each upstream take at most?',
        unit: 's',
        queries: { '{{upstream}}': quantile(0.95, UPSTREAM_SECONDS, 'upstream') },
      },
      {
        title: 'Duration (p50)',
        asks: 'How long does one half of the requests to each upstream take at most?',
        unit: 's',
        queries: { '{{upstream}}': quantile(0.5, UPSTREAM_SECONDS, 'upstream') },
      },
      {
        title: 'Targets that get requests',
        asks: 'Which part of the targets of each upstream gets requests?',
        unit: 'percentunit',
        badBelow: 1,
        queries: { '{{upstream}}': `avg by (upstream) (${gauge('sallyport_upstream_target_healthy')})` },
      },
      {
        title: 'Targets',
        asks: 'Which targets get requests (1), and which are out (0)?',
        unit: 'bool',
        queries: {
          '{{upstream}} {{target}}': `min by (upstream, target) (${gauge('sallyport_upstream_target_healthy')})`,
        },
      },
      {
        title: 'Tried again',
        asks: 'How many requests failed at a target and were tried again?',
        unit: 'cps',
        queries: { '{{upstream}}': sum('upstream', rate('sallyport_upstream_retries_total')) },
      },
      {
        title: 'Versions of a route',
        asks: 'Does each upstream of a route with several get its share of the requests?',
        unit: 'reqps',
        queries: {
          '{{route}} {{upstream}}': sum('route, upstream', rate('sallyport_route_upstream_requests_total')),
        },
      },
      {
        title: 'Versions of a route: 5xx',
        asks: 'Which part of the requests of each upstream of a route gets a 5xx?',
        unit: 'percentunit',
        queries: {
          '{{route}} {{upstream}}': `${sum('route, upstream', rate('sallyport_route_upstream_requests_total', 'code=~"5.."'))} / ${sum('route, upstream', rate('sallyport_route_upstream_requests_total'))}`,
        },
      },
      {
        title: 'Responses, by target',
        asks: 'What comes back from each target, each retry counted? A word instead of a status: there was no response.',
        unit: 'reqps',
        byStatus: true,
        queries: { '{{upstream}} {{target}} {{code}}': sum('upstream, target, code', rate(TRIES)) },
      },
      {
        title: 'Connections to targets',
        asks: 'How many connections are open to each target? One of h2 is an HTTP/2 session with many requests.',
        unit: 'short',
        queries: {
          '{{upstream}} {{target}} {{protocol}}': sum(
            'upstream, target, protocol',
            gauge('sallyport_upstream_connections_open'),
          ),
        },
      },
      {
        title: '502 and 504',
        asks: 'Which routes respond with 502 or 504, and does the upstream say so (upstream) or the gateway (gateway)?',
        unit: 'reqps',
        byStatus: true,
        span: 24,
        queries: {
          '{{route}} {{source}} {{code}}': sum('route, source, code', rate(REQUESTS, 'code=~"502|504"')),
        },
      },
      {
        title: 'Names that do not resolve',
        asks: 'For which targets does DNS give no address? They keep the addresses that they had last.',
        unit: 'cps',
        span: 24,
        queries: {
          '{{upstream}} {{target}}': sum(
            'upstream, target',
            rate('sallyport_upstream_resolutions_total', 'result="failure"'),
          ),
        },
      },
    ],
  },
};

export const BOARDS = [OVERVIEW, AUTHENTICATION, REVOCATION, UPSTREAMS];

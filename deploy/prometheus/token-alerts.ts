/** Are good tokens accepted, bad ones refused, and revoked ones refused at once? */
import { routesOf, type Alert } from './alert.ts';

const DECISIONS = 'sallyport_auth_decisions_total';
const UNCHECKED = 'reason=~"keys_unavailable|introspection_unavailable"';
/** By route and issuer. */
const rate = (labels: string, window: string): string =>
  `sum by (job, route, issuer) (rate(${DECISIONS}{${labels}}[${window}]))`;
const unchecked = routesOf(
  `sum by (route) (rate(${DECISIONS}{job=%q,issuer=%q,${UNCHECKED}}[5m])) > 0`,
  'job',
  'issuer',
);
const LIMITED = 'sallyport_rate_limited_requests_total{mode="enforced"}';
const PROOFS = 'sallyport_dpop_proofs_total';
const UNKNOWN_PROOFS = 'result=~"unknown|passed_unknown"';
/** Proofs that are right in all else, so that the store was asked: a client cannot thin out the others with bad ones. */
const STORE_ASKED = 'result=~"accepted|replayed|unknown|passed_unknown"';
const DECIDED = 'sallyport_auth_decisions_total{job=%q,instance=%q,';
/** That refuse proofs because of it, or let them pass. */
const unproven = routesOf(
  `sum by (route) (rate(${DECIDED}reason="replay_unavailable"}[5m]) or rate(${DECIDED}decision="fail_open"}[5m])) > 0`,
  'job',
  'instance',
  'job',
  'instance',
);
const LOGOUTS = 'sallyport_backchannel_logouts_total{result="accepted"}';
const logouts = (offset: string): string => `sum by (job, issuer) (increase(${LOGOUTS}[3h]${offset}))`;
const allowed = (offset: string): string =>
  `sum by (job, issuer) (rate(${DECISIONS}{decision="allow"}[3h]${offset}))`;
const QUIET_AFTER = 'max by (job, transmitter) (sallyport_signal_quiet_after_seconds)';

export const AUTHENTICATION_ALERTS: readonly Alert[] = [
  {
    name: 'SallyportDenialsUnusual',
    severity: 'ticket',
    expr: `sallyport:denial_ratio:rate30m > 0.05
and sallyport:denial_ratio:rate30m > 3 * (sallyport:denial_ratio:rate30m offset 1d)
and sallyport:decisions:rate30m > 0.1`,
    for: '10m',
    summary:
      '{{ $labels.route }} refuses {{ $value | humanizePercentage }}, three times as much as yesterday',
    panel: ['authentication', 'Refused, by route'],
  },
  {
    name: 'SallyportUnknownKeys',
    severity: 'page',
    // Tokens with invented keys alone change nothing of what passes: the route must also let fewer pass than an hour ago.
    expr: `${rate('reason="unknown_key"', '5m')}
/ on (job, route) group_left () sum by (job, route) (rate(${DECISIONS}[5m])) > 0.05
and (
  ${rate('decision="allow"', '5m')}
  or 0 * ${rate('reason="unknown_key"', '5m')}
) < 0.8 * (sum by (job, route, issuer) (rate(${DECISIONS}{decision="allow"}[50m] offset 10m)) >= 50 / 3000)`,
    for: '2m',
    summary:
      '{{ $value | humanizePercentage }} of the requests of {{ $labels.route }} bring tokens of {{ $labels.issuer }} with a key that is not in its key set',
    panel: ['authentication', 'Unknown keys'],
  },
  {
    name: 'SallyportKeysStale',
    severity: 'ticket',
    expr: 'sallyport_jwks_age_seconds > 1800',
    for: '1m',
    summary:
      'the keys of {{ $labels.issuer }} were {{ if eq (printf "%v" $value) "+Inf" }}never fetched{{ else }}last fetched {{ $value | humanizeDuration }} ago{{ end }}',
    panel: ['authentication', 'Age of keys'],
  },
  {
    name: 'SallyportAuthorityOut',
    severity: 'page',
    // One failure is no outage: more than five requests, and more than one in twenty.
    expr: `sum by (job, issuer) (rate(${DECISIONS}{${UNCHECKED}}[5m]))
/ sum by (job, issuer) (rate(${DECISIONS}[5m])) > 0.05
and sum by (job, issuer) (increase(${DECISIONS}{${UNCHECKED}}[5m])) > 5`,
    for: '1m',
    summary: `{{ $value | humanizePercentage }} of the tokens of {{ $labels.issuer }} cannot be checked, and their requests get a 503: ${unchecked}`,
    panel: ['authentication', 'Tokens that cannot be checked'],
  },
  {
    name: 'SallyportIdentityHeadersSpoofed',
    severity: 'ticket',
    expr: 'sum by (job, route) (increase(sallyport_identity_headers_stripped_total[10m])) > 10',
    summary:
      'clients send identity headers of their own to {{ $labels.route }}: {{ $value | humanize }} in 10 minutes',
    panel: ['authentication', 'Identity headers from clients'],
  },
  {
    name: 'SallyportUsedProofsUnknown',
    severity: 'page',
    // As SallyportAuthorityOut: one failure is no outage.
    expr: `sum by (job, instance) (rate(${PROOFS}{${UNKNOWN_PROOFS}}[5m]))
/ sum by (job, instance) (rate(${PROOFS}{${STORE_ASKED}}[5m])) > 0.05
and sum by (job, instance) (increase(${PROOFS}{${UNKNOWN_PROOFS}}[5m])) > 5`,
    for: '1m',
    summary: `{{ $labels.instance }} does not know of {{ $value | humanizePercentage }} of DPoP proofs whether they were used before. Routes: ${unproven}`,
    panel: ['authentication', 'DPoP proofs by result'],
  },
  {
    name: 'SallyportProofsReplayed',
    severity: 'ticket',
    // Only a client with a valid bound token and a valid proof can be counted. A few: an HTTP library that tries again.
    expr: `sum by (job) (increase(${PROOFS}{result="replayed"}[10m])) > 10`,
    summary:
      'DPoP proofs were sent again after they were used, {{ $value | humanize }} times in 10 minutes, and refused',
    panel: ['authentication', 'DPoP proofs by result'],
  },
  {
    name: 'SallyportManyRateLimited',
    severity: 'ticket',
    // One caller who goes too far is what a limit is for: a tenth of a route's requests is more than that, or a limit that is too low.
    expr: `sum by (job, route, limit) (rate(${LIMITED}[10m]))
/ on (job, route) group_left () sum by (job, route) (rate(sallyport_http_requests_total[10m])) > 0.1
and sum by (job, route, limit) (increase(${LIMITED}[10m])) > 100`,
    for: '10m',
    summary:
      'the limit {{ $labels.limit }} refuses {{ $value | humanizePercentage }} of the requests to {{ $labels.route }}',
    panel: ['authentication', 'Requests beyond a limit'],
  },
  {
    name: 'SallyportRateLimitKeysFull',
    severity: 'ticket',
    expr: 'sum by (job, instance, limit) (increase(sallyport_rate_limit_overflow_requests_total[10m])) > 10',
    summary:
      '{{ $labels.instance }} has no room to count all callers of the limit {{ $labels.limit }}: new ones share one bucket',
    panel: ['authentication', 'Callers counted together'],
  },
];

export const REVOCATION_ALERTS: readonly Alert[] = [
  {
    name: 'SallyportRevocationViewStale',
    severity: 'page',
    expr: 'sallyport_revocation_view_age_seconds > sallyport_revocation_max_view_age_seconds',
    for: '10s',
    summary: '{{ $labels.instance }} has not seen the revocation list for {{ $value | humanizeDuration }}',
    panel: ['revocation', 'Age of the view'],
  },
  {
    name: 'SallyportApiKeyForged',
    severity: 'page',
    expr: 'sum by (job, issuer) (increase(sallyport_api_key_entries_ignored_total[10m])) > 0',
    summary:
      'the store has entries for API keys of {{ $labels.issuer }} that no gateway of the fleet has made; they are ignored',
    panel: ['revocation', 'Forged API keys'],
  },
  {
    name: 'SallyportRevocationStoreOut',
    severity: 'page',
    expr: 'sallyport_revocation_store_connected == 0',
    for: '1m',
    summary: '{{ $labels.instance }} has no connection to the revocation store',
    panel: ['revocation', 'Store'],
  },
  {
    name: 'SallyportLimitsCountedAlone',
    severity: 'ticket',
    // Callers are limited all the same.
    expr: 'sallyport_rate_limits_counted_alone == 1',
    for: '2m',
    summary:
      '{{ $labels.instance }} does not reach the store in which the fleet counts requests, and gives its share of each limit',
    panel: ['revocation', 'Limits counted alone'],
  },
  {
    name: 'SallyportRevocationSlow',
    severity: 'ticket',
    expr: 'sallyport:revocation_propagation_seconds:p99_10m > 1',
    for: '5m',
    summary:
      'a revocation takes {{ $value | humanizeDuration }} (p99) to reach the gateways of {{ $labels.job }}',
    panel: ['revocation', 'From the store to the gateways'],
  },
  {
    name: 'SallyportFailsOpen',
    severity: 'page',
    // A series that begins with its first event has no increase yet: what was not there before counts, too.
    expr: `sum by (job, route) (increase(${DECISIONS}{decision="fail_open"}[5m])) > 0
or sum by (job, route) (
  ${DECISIONS}{decision="fail_open"}
  unless ${DECISIONS}{decision="fail_open"} offset 5m
) > 0`,
    summary:
      '{{ $labels.route }} let requests pass without knowing whether their tokens are revoked, or their proofs used',
    panel: ['revocation', 'Passed unchecked'],
  },
  {
    name: 'SallyportRevocationListLost',
    severity: 'ticket',
    expr: `max by (job) (sallyport_revocation_entries)
< 0.1 * (max by (job) (max_over_time(sallyport_revocation_entries[1h] offset 10m)) >= 50)`,
    for: '5m',
    summary:
      'the gateways of {{ $labels.job }} know {{ $value }} revocations, less than a tenth of an hour ago',
    panel: ['revocation', 'Entries'],
  },
  {
    name: 'SallyportNoLogouts',
    severity: 'ticket',
    // Users are there as yesterday at this time, and their logouts are not. Also where the series has gone: the endpoint
    // may have left the configuration.
    expr: `(${logouts('')} or 0 * ${logouts(' offset 1d')}) == 0
and ${logouts(' offset 1d')} >= 10
and ${allowed('')} > 0.5 * ${allowed(' offset 1d')}`,
    for: '10m',
    summary:
      '{{ $labels.issuer }} has sent no back-channel logout for 3 hours; its tokens pass as they did yesterday',
    panel: ['revocation', 'Logouts'],
  },
  {
    name: 'SallyportRevocationNotRefused',
    severity: 'page',
    expr: 'sum by (job, gateway) (increase(sallyport_revocation_canaries_total{result="missed"}[15m])) > 0',
    summary: '{{ $labels.gateway }} did not refuse a canary that was revoked: revoked tokens may pass there',
    panel: ['revocation', 'Canaries that were not refused'],
  },
  {
    name: 'SallyportRevocationRefusedLate',
    severity: 'ticket',
    expr: `1 - sum by (job, gateway) (increase(sallyport_revocation_time_to_refuse_seconds_bucket{le=~"1(\\\\.0)?"}[1h]))
  / sum by (job, gateway) (increase(sallyport_revocation_canaries_total{result=~"refused|missed"}[1h])) > 0.05`,
    for: '10m',
    summary:
      '{{ $labels.gateway }} refuses {{ $value | humanizePercentage }} of what is revoked later than after a second',
    panel: ['revocation', 'Canaries refused within a second'],
  },
  {
    name: 'SallyportRevocationUnproven',
    severity: 'ticket',
    expr: 'sallyport_revocation_canary_age_seconds > 900',
    for: '1m',
    summary:
      '{{ $labels.instance }} has refused no canary for {{ $value | humanizeDuration }}: nothing shows that revocations take effect there',
    panel: ['revocation', 'Age of the last canary'],
  },
  {
    name: 'SallyportSignalsSilent',
    severity: 'page',
    // A transmitter that was never heard of counts as silent since the last start of a gateway.
    expr: `time() - (
  max by (job, transmitter) (sallyport_signal_last_timestamp_seconds)
  or ${QUIET_AFTER} * 0 + on (job) group_left () max by (job) (process_start_time_seconds)
) > on (job, transmitter) ${QUIET_AFTER}`,
    for: '1m',
    summary:
      'no gateway has heard of {{ $labels.transmitter }} for {{ $value | humanizeDuration }}: tokens that it wants ended may pass',
    panel: ['revocation', 'Silence of transmitters'],
  },
  {
    name: 'SallyportStatusListsStale',
    severity: 'ticket',
    // Where it matters at once, SallyportErrorBudgetBurnsFast or SallyportFailsOpen is there, too.
    expr: 'sallyport_status_lists_stale > 0',
    for: '5m',
    summary:
      '{{ $labels.instance }} goes without {{ $value }} status lists of {{ $labels.issuer }}: they are too old, or were never there',
    panel: ['revocation', 'Status lists that are stale'],
  },
];

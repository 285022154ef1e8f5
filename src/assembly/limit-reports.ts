/** What limits do, as metrics: what they have refused, and whether there is room for those that they count. */
import type { Policy } from '../policy.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { COUNTED, type OpenLimiters } from './limiters.ts';

/** A rise from nothing is no rise for Prometheus: each limit of a route is there from the start, in the mode in which it counts. */
export function showLimits({ routes, failureLimit }: Policy, metrics: Metrics): void {
  for (const { name, limits, mode } of routes) {
    const failures = failureLimit && mode !== 'none' ? [failureLimit] : [];
    for (const { limit } of [...limits.address, ...limits.caller, ...failures])
      metrics.rateLimited.child(name, limit.name, limit.reportOnly ? 'reported' : 'enforced');
  }
}

/** @param serves false in a primary, which remembers no caller: its room must not be added to that of its workers */
export function exposeLimits(metrics: Metrics, limiters: OpenLimiters, serves: boolean): void {
  metrics.gauge(
    'sallyport_rate_limit_keys',
    'Callers and addresses that are remembered for limits since they have not all of their burst.',
    ['of'],
    (set) => {
      for (const kind of COUNTED) set(limiters.keys(kind).used, kind);
    },
  );
  metrics.gauge(
    'sallyport_rate_limit_keys_limit',
    'How many of them may be remembered: limits.rate_limit_keys.',
    ['of'],
    (set) => {
      if (serves) for (const kind of COUNTED) set(limiters.keys(kind).max, kind);
    },
  );
  metrics.counterOf(
    'sallyport_rate_limit_overflow_requests_total',
    'Requests that were counted together with others, since there was no room to remember their caller.',
    ['limit'],
    (counter) => {
      for (const [limit, requests] of limiters.overflowed) counter.child(limit).value = requests;
    },
  );
}

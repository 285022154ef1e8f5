/**
 * How the gauges of several workers become one. Counters and histograms are summed. A gauge without a rule is not exposed by
 * a gateway of several workers, and fails a test: add it here with its metric. Pure.
 */

/** `sum`: of all workers. `max`, `min`: of the worker that has the most, or the least; a flag with `min` is 1 where all have 1. */
export type AcrossWorkers = 'sum' | 'max' | 'min';

const GAUGES: Readonly<Record<string, AcrossWorkers>> = {
  sallyport_build_info: 'max',
  sallyport_config_last_reload_successful: 'min',
  sallyport_config_info: 'max',
  // The worker that was the last to take it over.
  sallyport_config_load_timestamp_seconds: 'max',
  // Limits of all workers are divided among them.
  sallyport_connections_limit: 'sum',
  sallyport_connections_open: 'sum',
  sallyport_requests_in_flight_limit: 'sum',
  sallyport_upstream_connections_open: 'sum',
  sallyport_requests_in_flight: 'sum',
  sallyport_tls_certificate_expiry_timestamp_seconds: 'min',
  sallyport_upstream_target_healthy: 'min',
  // Each worker resolves names itself: the one that has the most addresses down shows.
  sallyport_upstream_members: 'max',
  sallyport_cache_entries: 'sum',
  sallyport_api_keys: 'min',
  sallyport_api_keys_expiring: 'max',
  // A worker that could not read the changed file shows.
  sallyport_api_key_file_usable: 'min',
  sallyport_jwks_age_seconds: 'max',
  sallyport_jwks_last_success_timestamp_seconds: 'min',
  // Each worker receives: the one that heard last.
  sallyport_signal_last_timestamp_seconds: 'max',
  // Of the primary.
  sallyport_signal_stream_enabled: 'min',
  sallyport_signal_quiet_after_seconds: 'max',
  // Each worker has lists of its own: the one that has the most, or the oldest, shows.
  sallyport_status_lists: 'max',
  sallyport_status_lists_stale: 'max',
  sallyport_status_list_age_seconds: 'max',
  // A worker that lacks entries shows.
  sallyport_revocation_entries: 'min',
  sallyport_revocation_view_age_seconds: 'max',
  sallyport_revocation_max_view_age_seconds: 'max',
  sallyport_revocation_store_connected: 'min',
  // The primary tells it, of all its workers.
  sallyport_revocation_canary_age_seconds: 'max',
  sallyport_api_keys_view_age_seconds: 'max',
  sallyport_rate_limit_keys: 'sum',
  sallyport_rate_limits_counted_alone: 'max',
  sallyport_rate_limit_keys_limit: 'sum',
  sallyport_workers: 'max',
  sallyport_worker_up: 'max',
  process_start_time_seconds: 'min',
  process_resident_memory_bytes: 'sum',
  process_virtual_memory_bytes: 'sum',
  process_heap_bytes: 'sum',
  // Each process has its own limit: the one that is nearest to it counts.
  process_open_fds: 'max',
  process_max_fds: 'min',
  nodejs_eventloop_lag_seconds: 'max',
  nodejs_eventloop_lag_min_seconds: 'max',
  nodejs_eventloop_lag_max_seconds: 'max',
  nodejs_eventloop_lag_mean_seconds: 'max',
  nodejs_eventloop_lag_stddev_seconds: 'max',
  nodejs_eventloop_lag_p50_seconds: 'max',
  nodejs_eventloop_lag_p90_seconds: 'max',
  nodejs_eventloop_lag_p99_seconds: 'max',
  nodejs_eventloop_utilization: 'max',
  nodejs_active_resources: 'sum',
  nodejs_active_handles: 'sum',
  nodejs_active_requests: 'sum',
  nodejs_heap_size_total_bytes: 'sum',
  nodejs_heap_size_used_bytes: 'sum',
  nodejs_external_memory_bytes: 'sum',
  nodejs_heap_space_size_total_bytes: 'sum',
  nodejs_heap_space_size_used_bytes: 'sum',
  nodejs_heap_space_size_available_bytes: 'sum',
  nodejs_version_info: 'max',
};

/** Undefined for a gauge that has no rule. */
export function acrossWorkers(type: string, name: string): AcrossWorkers | undefined {
  return type === 'gauge' ? GAUGES[name] : 'sum';
}

/** What several workers say as one: metrics and limits. */
import t from 'tap';
import { acrossWorkers } from '../../src/telemetry/across-workers.ts';
import { mergedSnapshot, snapshotText, totalsOf } from '../../src/telemetry/metric-snapshots.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { WorkersOverview } from '../../src/workers/overview.ts';
import { configurationOf } from '../../src/workers/shares.ts';
import type { WorkerPool } from '../../src/workers/worker-pool.ts';
import { loginIssuer, startGateway } from '../support/gateway.ts';
import { createKey } from '../support/tokens.ts';

const configuration = {
  limits: { in_flight: 5, connections: 4 },
  issuers: { login: loginIssuer(createKey()) },
  routes: [{ name: 'r', match: { path_prefix: '/' }, upstream: 'u' }],
  upstreams: { u: { targets: ['http://127.0.0.1:1'], connections: 5 } },
};

t.test('every gauge has a rule by which those of several workers become one', async (t) => {
  const { instance } = await startGateway(t, configuration);
  new WorkersOverview({ links: [], count: 2, restarts: 0 } as unknown as WorkerPool, instance.metrics);
  const metrics = await instance.metrics.snapshot();
  const gauges = metrics.filter(({ type }) => type === 'gauge').map(({ name }) => name);
  t.ok(gauges.length > 20);
  t.strictSame(
    gauges.filter((name) => acrossWorkers('gauge', name) === undefined),
    [],
    'add it to src/telemetry/across-workers.ts',
  );
  t.strictSame(
    metrics.filter(({ type }) => !['gauge', 'counter', 'histogram'].includes(type)).map(({ name }) => name),
    [],
    'a summary cannot be summed',
  );
});

t.test(
  'counters and histograms are sums, gauges by their meaning, and counters outlive their worker',
  async (t) => {
    const workers = [3, 4].map((count) => {
      const metrics = new Metrics('1');
      metrics.retries.child('u').value = count;
      metrics.requestSeconds.child('r').observe(count);
      metrics.lastReloadSuccessful = count === 3;
      metrics.gauge('sallyport_requests_in_flight', 'x', [], (set) => set(count));
      metrics.gauge('sallyport_revocation_view_age_seconds', 'x', [], (set) => set(count));
      return metrics;
    });
    const snapshots = await Promise.all(workers.map((metrics) => metrics.snapshot()));
    const { body } = await snapshotText(mergedSnapshot(snapshots));
    for (const line of [
      'sallyport_upstream_retries_total{upstream="u"} 7',
      'sallyport_http_request_duration_seconds_sum{route="r"} 7',
      'sallyport_http_request_duration_seconds_count{route="r"} 2',
      'sallyport_http_request_duration_seconds_bucket{route="r",le="5"} 2',
      'sallyport_requests_in_flight 7',
      'sallyport_revocation_view_age_seconds 4',
      'sallyport_config_last_reload_successful 0',
    ])
      t.ok(body.split('\n').includes(line), line);
    const [first = [], second = []] = snapshots;
    const after = await snapshotText(mergedSnapshot([totalsOf(first), second]));
    t.match(after.body, /^sallyport_upstream_retries_total\{upstream="u"\} 7$/m);
    t.match(after.body, /^sallyport_requests_in_flight 4$/m, 'what has ended serves nothing');
  },
);

t.test('of gauges that warn, that of the worker which is worst off shows', async (t) => {
  const worst: Record<string, number> = {
    sallyport_upstream_target_healthy: 3,
    sallyport_revocation_store_connected: 3,
    sallyport_revocation_entries: 3,
    sallyport_tls_certificate_expiry_timestamp_seconds: 3,
    sallyport_jwks_last_success_timestamp_seconds: 3,
    sallyport_jwks_age_seconds: 4,
    sallyport_upstream_members: 4,
    process_open_fds: 4,
    process_max_fds: 3,
    nodejs_eventloop_lag_p99_seconds: 4,
  };
  const gauges = (value: number) =>
    Object.keys(worst).map((name) => ({ name, help: name, type: 'gauge', values: [{ value, labels: {} }] }));
  const { body } = await snapshotText(mergedSnapshot([gauges(4), gauges(3)]));
  for (const [name, value] of Object.entries(worst)) t.match(body, new RegExp(`^${name} ${value}$`, 'm'));
});

t.test('limits are divided so that the workers together have what one process had', async (t) => {
  const { loaded } = await startGateway(t, configuration);
  const shares = [1, 2, 3].map((id) => configurationOf(loaded, id, 3, 'key').configuration);
  t.strictSame(
    shares.map(({ limits }) => [limits.in_flight, limits.connections]),
    [
      [2, 2],
      [2, 1],
      [1, 1],
    ],
  );
  t.strictSame(
    shares.map(({ upstreams }) => upstreams['u']?.connections),
    [2, 2, 2],
  );
  t.equal(new Set(shares.map(({ log_key }) => log_key)).size, 1, 'hashes in the log are the same everywhere');
});

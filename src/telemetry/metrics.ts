/**
 * The gateway's metrics (docs/reference.md, "Metrics"). Labels are bounded: route and issuer names from the
 * configuration, closed lists for the rest; never a subject, path, host or token id. Rule A7.
 *
 * The only file that imports the metrics client.
 */
import { collectDefaultMetrics, Gauge, Registry, type Metric } from '@prometheus-io/client';
import { HeldCounter, HeldHistogram, type RegistrableMetric } from './metric-children.ts';
import type { MetricsSnapshot } from './metric-snapshots.ts';

export { Registry };

/** Upper bounds of the buckets of sallyport_http_request_duration_seconds. */
export const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const OVERHEAD_SECONDS = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1];
const STAGE_SECONDS = [
  0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5,
];
const EVENT_LOOP_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
const PROPAGATION_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30];

/** Process metrics whose names Prometheus' conventions do not allow. Others tell the same. */
const ILL_NAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
  'nodejs_eventloop_utilization_histogram',
  'nodejs_eventloop_utilization_summary',
];
/** The longest time that timers know: the client would wake the process a hundred times a second. EventLoopDelay measures instead. */
const NEVER_MS = 2 ** 31 - 1;

export interface MetricDescription {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labelNames: readonly string[];
}

export interface MetricSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}
interface Collected extends Omit<MetricSample, 'name'> {
  readonly metricName?: string;
}

/** The route label of a request that matched none. */
export const UNMATCHED = 'unmatched';

export class Metrics {
  readonly registry = new Registry();

  readonly requests = this.#counter(
    'sallyport_http_requests_total',
    'Requests that clients got a response to, or left.',
    ['route', 'method', 'code', 'source'],
  );
  readonly failures = this.#counter(
    'sallyport_failed_requests_total',
    'Requests that the gateway refused or could not complete, by the code of the error.',
    ['route', 'error'],
  );
  readonly upstreamRequests = this.#counter(
    'sallyport_upstream_requests_total',
    'Requests sent to a target, each retry again, by the status of its response or by why there was none.',
    ['upstream', 'target', 'code'],
  );
  readonly eventLoopDelaySeconds = this.#histogram(
    'sallyport_event_loop_delay_seconds',
    'How late the process runs what is due, sampled four times a second.',
    [],
    EVENT_LOOP_SECONDS,
  ).child();
  readonly requestSeconds = this.#histogram(
    'sallyport_http_request_duration_seconds',
    'Time from the request head to the end of the response; of a stream or a tunnel, until it begins.',
    ['route'],
    REQUEST_SECONDS,
  );
  readonly overheadSeconds = this.#histogram(
    'sallyport_gateway_overhead_seconds',
    "The gateway's own share of the time: all but the wait for the upstream.",
    ['route'],
    OVERHEAD_SECONDS,
  );
  readonly upstreamSeconds = this.#histogram(
    'sallyport_upstream_request_duration_seconds',
    'Time from handing a request to the upstream to the end of its response; of a stream or a tunnel, until it begins.',
    ['upstream'],
    REQUEST_SECONDS,
  );
  readonly routeUpstreamRequests = this.#counter(
    'sallyport_route_upstream_requests_total',
    'Requests of routes with a list of upstreams, by the one that was chosen, and by the status that the client got.',
    ['route', 'upstream', 'code'],
  );
  readonly decisions = this.#counter(
    'sallyport_auth_decisions_total',
    'Authentication and authorization decisions.',
    ['route', 'issuer', 'decision', 'reason'],
  );
  readonly rateLimited = this.#counter(
    'sallyport_rate_limited_requests_total',
    'Requests beyond a limit: refused (enforced), or let pass since the limit only reports (reported).',
    ['route', 'limit', 'mode'],
  );
  readonly proofs = this.#counter('sallyport_dpop_proofs_total', 'DPoP proofs, by result.', ['result']);
  readonly authSeconds = this.#histogram(
    'sallyport_auth_duration_seconds',
    'Time of each stage of the decision.',
    ['stage'],
    STAGE_SECONDS,
  );
  readonly jwksRefreshes = this.#counter('sallyport_jwks_refreshes_total', 'Fetches of key sets.', [
    'issuer',
    'result',
  ]);
  readonly introspections = this.#counter(
    'sallyport_introspection_requests_total',
    'Questions to introspection and validation servers.',
    ['issuer', 'result'],
  );
  readonly identityStripped = this.#counter(
    'sallyport_identity_headers_stripped_total',
    'Identity headers that clients sent and the gateway threw away.',
    ['route'],
  );
  readonly retries = this.#counter('sallyport_upstream_retries_total', 'Requests tried again.', ['upstream']);
  readonly resolutions = this.#counter(
    'sallyport_upstream_resolutions_total',
    'Attempts to resolve the name of a target.',
    ['upstream', 'target', 'result'],
  );
  readonly reloads = this.#counter('sallyport_config_reloads_total', 'Reloads of the configuration.', [
    'result',
  ]);
  readonly streamsClosed = this.#counter(
    'sallyport_streams_closed_total',
    'Tunnels, streams and transfers that were ended with their token.',
    ['reason'],
  );
  readonly revocationChanges = this.#counter(
    'sallyport_revocation_changes_total',
    'Revocations and undoings through this gateway, by the admin token or the issuer that asked.',
    ['action', 'by'],
  );
  readonly apiKeyChanges = this.#counter(
    'sallyport_api_key_changes_total',
    'API keys that were created, rotated or revoked through this gateway.',
    ['issuer', 'action'],
  );
  readonly apiKeyEntriesIgnored = this.#counter(
    'sallyport_api_key_entries_ignored_total',
    'Entries for API keys found in the store that no gateway of the fleet has made, and that are ignored.',
    ['issuer'],
  );
  readonly backchannelLogouts = this.#counter(
    'sallyport_backchannel_logouts_total',
    'Back-channel logouts: accepted, or the reason why they were refused.',
    ['issuer', 'result'],
  );
  readonly globalRevocations = this.#counter(
    'sallyport_global_revocations_total',
    'Global token revocations: accepted, or the reason why they were refused.',
    ['issuer', 'result'],
  );
  readonly propagationSeconds = this.#histogram(
    'sallyport_revocation_propagation_seconds',
    'Time from a revocation in the store to its effect in this gateway, by both clocks.',
    [],
    PROPAGATION_SECONDS,
  ).child();
  /** Is the configuration in place the one that was loaded last? */
  lastReloadSuccessful = true;

  constructor(version: string) {
    this.gauge('sallyport_build_info', 'Constant 1; the version is in the label.', ['version'], (set) =>
      set(1, version),
    );
    this.gauge(
      'sallyport_config_last_reload_successful',
      '0 where the configuration that was loaded last could not be used.',
      [],
      (set) => set(this.lastReloadSuccessful ? 1 : 0),
    );
    // From zero on, so that the first one is an increase.
    for (const result of ['success', 'failure']) this.reloads.child(result);
    for (const reason of ['revoked', 'status', 'expired']) this.streamsClosed.child(reason);
  }

  /** Adds Node's own metrics of the process, which cost something from here on. */
  exposeProcess(): void {
    collectDefaultMetrics({
      register: this.registry,
      eventLoopMonitoringPrecision: NEVER_MS,
      eventLoopUtilizationTimeout: NEVER_MS,
    });
    for (const name of ILL_NAMED) this.registry.removeSingleMetric(name);
  }

  /** A gauge that is read when it is scraped: `collect` sets its value for each combination of labels. */
  gauge(
    name: string,
    help: string,
    labelNames: readonly string[],
    collect: (set: (value: number, ...labels: string[]) => void) => void,
  ): void {
    new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.registry],
      collect() {
        this.reset();
        // Without labels a reset leaves a zero, which says something: a gauge that is not set is absent.
        if (labelNames.length === 0) this.remove();
        collect((value, ...labels) => {
          this.set(Object.fromEntries(labelNames.map((label, index) => [label, labels[index] ?? ''])), value);
        });
      },
    });
  }

  /** A counter that is kept elsewhere and read when it is scraped. */
  counterOf(
    name: string,
    help: string,
    labelNames: readonly string[],
    read: (count: HeldCounter) => void,
  ): void {
    this.readFirst(this.#counter(name, help, labelNames), read);
  }

  /** Whenever this counter is scraped, `read` brings it up to date first. */
  readFirst(counter: HeldCounter, read: (counter: HeldCounter) => void): void {
    const get = counter.get.bind(counter);
    counter.get = () => {
      read(counter);
      return get();
    };
  }

  /** What metrics there are. */
  describe(): MetricDescription[] {
    return this.registry.getMetricsAsArray().map((metric) => {
      const { name, help, type, labelNames } = metric as unknown as MetricDescription;
      return { name, help, type, labelNames };
    });
  }

  /** The present value of every series; those of a histogram under the names that Prometheus gives them. */
  async samples(): Promise<MetricSample[]> {
    const collected = await this.registry.getMetricsAsJSON();
    return collected.flatMap(({ name, values }) =>
      (values as readonly Collected[]).map(({ metricName = name, labels, value }) => ({
        name: metricName,
        labels,
        value,
      })),
    );
  }

  /** Everything, in Prometheus' text format. */
  async text(): Promise<{ readonly contentType: string; readonly body: string }> {
    return { contentType: this.registry.contentType, body: await this.registry.metrics() };
  }

  /** Everything, for another process. */
  async snapshot(): Promise<MetricsSnapshot> {
    return await this.registry.getMetricsAsJSON();
  }

  #counter(name: string, help: string, labelNames: readonly string[]): HeldCounter {
    return this.register(new HeldCounter(name, help, labelNames));
  }

  #histogram(
    name: string,
    help: string,
    labelNames: readonly string[],
    bounds: readonly number[],
  ): HeldHistogram {
    return this.register(new HeldHistogram(name, help, labelNames, bounds));
  }

  /** Adds a metric that is kept elsewhere. */
  register<T extends RegistrableMetric>(metric: T): T {
    // The registry asks of a metric only what RegistrableMetric has, but its types ask for its own classes.
    this.registry.registerMetric(metric as unknown as Metric);
    return metric;
  }
}

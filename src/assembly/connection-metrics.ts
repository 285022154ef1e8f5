/** Connections of clients and to upstreams, and the configuration in place, as metrics that are read when they are scraped. */
import type { ClientProtocol, ListenerCounts } from '../server/listener-counts.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { retainTargets } from '../telemetry/upstream-tries.ts';

interface MeasuredListener {
  readonly counts: ListenerCounts;
  readonly openConnections: Record<ClientProtocol, number>;
}

/** In the order of the configuration: a listener is named by its key there, `listeners[0]`. */
export interface MeasuredConnections {
  readonly listeners: () => readonly MeasuredListener[];
  /** 0 = no limit. */
  readonly connectionLimit: () => number;
  /** Open connections to each target. */
  readonly upstreams: () => readonly {
    readonly upstream: string;
    readonly target: string;
    readonly protocol: string;
    readonly open: number;
  }[];
}

export interface MeasuredConfiguration {
  readonly hash: string;
  /** In wall-clock time. */
  readonly loadedAtMs: number;
}

export function exposeConnections(metrics: Metrics, measured: MeasuredConnections): void {
  exposeOpen(metrics, measured);
  exposeAccepted(metrics, measured);
  metrics.readFirst(metrics.upstreamRequests, (counter) => retainTargets(counter, measured.upstreams()));
}

function exposeOpen(metrics: Metrics, { listeners, connectionLimit, upstreams }: MeasuredConnections): void {
  metrics.gauge(
    'sallyport_connections_open',
    'Connections of clients that are open: h2 and h2c are HTTP/2 sessions over TLS and over TCP.',
    ['listener', 'protocol'],
    (set) => {
      for (const [index, { counts, openConnections }] of listeners().entries())
        for (const [protocol, open] of Object.entries(openConnections))
          if (isSpoken(counts, protocol as ClientProtocol)) set(open, keyOf(index), protocol);
    },
  );
  metrics.gauge(
    'sallyport_connections_limit',
    'How many connections a listener accepts at a time: limits.connections. Absent where there is no limit.',
    ['listener'],
    (set) => {
      const limit = connectionLimit();
      if (limit > 0) for (const index of listeners().keys()) set(limit, keyOf(index));
    },
  );
  metrics.gauge(
    'sallyport_upstream_connections_open',
    'Connections to a target that are open or being opened, without those of tunnels; one of h2 is an HTTP/2 session.',
    ['upstream', 'target', 'protocol'],
    (set) => {
      for (const { upstream, target, protocol, open } of upstreams()) set(open, upstream, target, protocol);
    },
  );
}

function exposeAccepted(metrics: Metrics, { listeners }: MeasuredConnections): void {
  metrics.counterOf(
    'sallyport_connections_accepted_total',
    'Connections of clients that were accepted; of TLS, those whose handshake succeeded.',
    ['listener', 'protocol'],
    (counter) => {
      for (const [index, { counts }] of listeners().entries())
        for (const [protocol, accepted] of Object.entries(counts.accepted))
          if (isSpoken(counts, protocol as ClientProtocol))
            counter.child(keyOf(index), protocol).value = accepted;
    },
  );
  metrics.counterOf(
    'sallyport_connections_refused_total',
    'Connections that were closed at once since limits.connections was reached.',
    ['listener'],
    (counter) => {
      for (const [index, { counts }] of listeners().entries())
        counter.child(keyOf(index)).value = counts.turnedAway;
    },
  );
  metrics.counterOf(
    'sallyport_tls_handshakes_total',
    'TLS handshakes of clients: ok, or why they failed.',
    ['listener', 'result'],
    (counter) => {
      for (const [index, { counts }] of listeners().entries())
        for (const [result, count] of Object.entries(counts.handshakes))
          counter.child(keyOf(index), result).value = count;
    },
  );
  metrics.counterOf(
    'sallyport_http2_session_errors_total',
    'HTTP/2 sessions of clients that ended with an error: the client broke the protocol, or flooded.',
    ['listener'],
    (counter) => {
      for (const [index, { counts }] of listeners().entries())
        counter.child(keyOf(index)).value = counts.sessionErrors;
    },
  );
}

/** @param isWhole false in a worker, whose configuration has shares of the limits, and so another hash */
export function exposeConfiguration(
  metrics: Metrics,
  configuration: () => MeasuredConfiguration,
  isWhole: boolean,
): void {
  metrics.gauge(
    'sallyport_config_info',
    'Constant 1; the label has a hash of the configuration in place, without its secrets.',
    ['hash'],
    (set) => {
      if (isWhole) set(1, configuration().hash);
    },
  );
  metrics.gauge(
    'sallyport_config_load_timestamp_seconds',
    'When the configuration in place was loaded.',
    [],
    (set) => set(configuration().loadedAtMs / 1000),
  );
}

const keyOf = (index: number): string => `listeners[${index}]`;

/** Protocols that no client of a listener has spoken yet have no series. */
function isSpoken({ accepted }: ListenerCounts, protocol: ClientProtocol): boolean {
  return protocol === 'http/1.1' || accepted[protocol] > 0;
}

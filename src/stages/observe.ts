/**
 * Around all stages: what became of a request, for metrics and the log. Notes are taken as the stages go, so
 * that a request which fails half-way is known as far as it got.
 */
import type { Clock } from '../clock.ts';
import type { AuthReason, GatewayError } from '../errors.ts';
import type { RequestHead } from '../http/request-head.ts';
import type { Route } from '../policy.ts';
import { methodLabel, UNMATCHED, type Metrics } from '../telemetry/metrics.ts';
import type { CounterChild, HistogramChild } from '../telemetry/held-metrics.ts';
import type { TraceContext } from '../telemetry/trace-context.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';

export interface AuthDecision {
  readonly decision: 'allow' | 'deny' | 'error' | 'fail_open';
  readonly reason: AuthReason;
}

/** The notes on one request. Written by the gateway as the stages go, read when the answer has ended. */
export class Exchange {
  readonly method: string;
  readonly startedAtMs: number;
  readonly peer: string;
  clientIp: string;
  requestId = '';
  trace: TraceContext | undefined;
  head: RequestHead | undefined;
  route: Route | undefined;
  token: AuthenticToken | undefined;
  cache: 'hit' | 'miss' | undefined;
  decision: AuthDecision | undefined;
  /** The code of the GatewayError, or what a bug said. */
  failure: string | undefined;
  status = 0;
  target: string | undefined;
  forwardedAtMs: number | undefined;
  upstreamMs: number | undefined;
  durationMs = 0;
  bytesIn = 0;
  bytesOut = 0;

  constructor(method: string, peer: string, startedAtMs: number) {
    this.method = method;
    this.peer = peer;
    this.clientIp = peer;
    this.startedAtMs = startedAtMs;
  }

  get routeName(): string {
    return this.route?.name ?? UNMATCHED;
  }
}

/** A request that a stage refused, as a decision; undefined where authentication had no part in it. */
export function decisionOf({ reason, source }: GatewayError): AuthDecision | undefined {
  return reason && { decision: source === 'authority' ? 'error' : 'deny', reason };
}

interface RouteMetrics {
  readonly seconds: HistogramChild;
  readonly overhead: HistogramChild;
  readonly requests: Map<string, CounterChild>;
}

/** Counts exchanges and hands them to the log. */
export class Observer {
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #log: ((exchange: Exchange) => void) | undefined;
  readonly #byRoute = new Map<string, RouteMetrics>();

  constructor(metrics: Metrics, clock: Clock, log: ((exchange: Exchange) => void) | undefined) {
    this.#metrics = metrics;
    this.#clock = clock;
    this.#log = log;
  }

  begin(method: string, peer: string): Exchange {
    this.#metrics.inFlight++;
    return new Exchange(method, peer, this.#clock.monotonicMs());
  }

  /** The stage that began at `sinceMs` has ended. Returns now, for the next one. */
  stageEnded(stage: HistogramChild, sinceMs: number): number {
    const nowMs = this.#clock.monotonicMs();
    stage.observe((nowMs - sinceMs) / 1000);
    return nowMs;
  }

  forwarded(exchange: Exchange): void {
    exchange.forwardedAtMs = this.#clock.monotonicMs();
  }

  answered(exchange: Exchange): void {
    if (exchange.forwardedAtMs === undefined) return;
    exchange.upstreamMs = this.#clock.monotonicMs() - exchange.forwardedAtMs;
  }

  decided(exchange: Exchange, decision: AuthDecision): void {
    exchange.decision = decision;
    this.#metrics.decisions.child(
      exchange.routeName,
      exchange.token?.issuerName ?? '',
      decision.decision,
      decision.reason,
    ).value++;
  }

  /** The answer has ended, or the client has gone. Once for each exchange. */
  end(exchange: Exchange): void {
    this.#metrics.inFlight--;
    exchange.durationMs = this.#clock.monotonicMs() - exchange.startedAtMs;
    const metrics = this.#metricsOf(exchange.routeName);
    metrics.seconds.observe(exchange.durationMs / 1000);
    metrics.overhead.observe(Math.max(0, exchange.durationMs - (exchange.upstreamMs ?? 0)) / 1000);
    const method = methodLabel(exchange.method);
    const key = method + exchange.status;
    let requests = metrics.requests.get(key);
    if (!requests) {
      requests = this.#metrics.requests.child(exchange.routeName, method, exchange.status);
      metrics.requests.set(key, requests);
    }
    requests.value++;
    if (exchange.upstreamMs !== undefined && exchange.route) {
      this.#metrics.upstreamSeconds.child(exchange.route.upstream).observe(exchange.upstreamMs / 1000);
    }
    this.#log?.(exchange);
  }

  #metricsOf(routeName: string): RouteMetrics {
    let metrics = this.#byRoute.get(routeName);
    if (!metrics) {
      metrics = {
        seconds: this.#metrics.requestSeconds.child(routeName),
        overhead: this.#metrics.overheadSeconds.child(routeName),
        requests: new Map(),
      };
      this.#byRoute.set(routeName, metrics);
    }
    return metrics;
  }
}

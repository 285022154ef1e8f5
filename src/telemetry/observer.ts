/**
 * Around all stages: what became of a request, for metrics and the log. Notes are taken as the stages go, so
 * that a request which fails half-way is known as far as it got.
 */
import type { Clock } from '../clock.ts';
import type { AuthReason, GatewayError } from '../errors.ts';
import type { RequestHead } from '../http/request-head.ts';
import type { Route } from '../policy.ts';
import { methodLabel, UNMATCHED, type Metrics } from './metrics.ts';
import type { CounterChild, HistogramChild } from './held-metrics.ts';
import { passingTracing, type TraceContext, type Tracing } from './trace-context.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';
import type { UnrevokedToken } from '../stages/check-revocation.ts';
import type { OutboundRequest } from '../stages/rewrite-headers.ts';
import type { VerifiedToken } from '../stages/verify-token.ts';

export interface AuthDecision {
  readonly decision: 'allow' | 'deny' | 'error' | 'report' | 'fail_open';
  readonly reason: AuthReason;
}

/** How far a request came: the stage that it is in, or that refused it. */
export type StageName =
  | 'read_head'
  | 'match_route'
  | 'extract_token'
  | 'verify_token'
  | 'check_revocation'
  | 'authorize'
  | 'vouch'
  | 'rewrite_headers';

/** The notes on one request. Written by the gateway as the stages go, read when the answer has ended. */
export class Exchange {
  method: string;
  readonly startedAtMs: number;
  readonly peer: string;
  clientIp: string;
  requestId: string;
  trace: TraceContext | undefined;
  stage: StageName = 'read_head';
  head: RequestHead | undefined;
  route: Route | undefined;
  /** Authentic and in time; whether it is revoked is not said. */
  token: AuthenticToken | undefined;
  unrevoked: UnrevokedToken | undefined;
  /** Known for many a token that was refused, too. */
  issuerName: string | undefined;
  cache: 'hit' | 'miss' | undefined;
  decision: AuthDecision | undefined;
  /** The code of the GatewayError, or what a bug said. */
  failure: string | undefined;
  /** What the upstream's connection said, or what exactly is wrong with a token; for the log only. */
  failureCause: string | undefined;
  status = 0;
  target: string | undefined;
  forwardedAtMs: number | undefined;
  upstreamMs: number | undefined;
  durationMs = 0;
  bytesIn = 0;
  bytesOut = 0;

  constructor(method: string, peer: string, requestId: string, startedAtMs: number) {
    this.requestId = requestId;
    this.method = method;
    this.peer = peer;
    this.clientIp = peer;
    this.startedAtMs = startedAtMs;
  }

  get routeName(): string {
    return this.route?.name ?? UNMATCHED;
  }
}

interface RouteMetrics {
  readonly seconds: HistogramChild;
  readonly overhead: HistogramChild;
  /** By method and status. */
  readonly requests: Map<string, CounterChild>;
  /** By issuer, decision and reason. */
  readonly decisions: Map<string, CounterChild>;
  readonly upstreamSeconds: HistogramChild | undefined;
}

/** Counts exchanges and hands them to the log. Children of metrics are held, so that counting is an addition. */
export class Observer {
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #log: ((exchange: Exchange) => void) | undefined;
  readonly #tracing: Tracing;
  readonly #refused: ((error: GatewayError) => void) | undefined;
  readonly #verifySeconds: HistogramChild;
  readonly #authorizeSeconds: HistogramChild;
  readonly #byRoute = new Map<string, RouteMetrics>();

  constructor(
    metrics: Metrics,
    clock: Clock,
    log: ((exchange: Exchange) => void) | undefined,
    tracing: Tracing = passingTracing,
    refused?: (error: GatewayError) => void,
  ) {
    this.#refused = refused;
    this.#metrics = metrics;
    this.#clock = clock;
    this.#log = log;
    this.#tracing = tracing;
    this.#verifySeconds = metrics.authSeconds.child('verify_token');
    this.#authorizeSeconds = metrics.authSeconds.child('authorize');
  }

  /** Requests being served. */
  get inFlight(): number {
    return this.#metrics.inFlight;
  }

  /** Now, on the monotonic clock. */
  get nowMs(): number {
    return this.#clock.monotonicMs();
  }

  begin(method: string, peer: string, requestId: string): Exchange {
    this.#metrics.inFlight++;
    return new Exchange(method, peer, requestId, this.#clock.monotonicMs());
  }

  /** The head has been read: the request belongs to a trace. */
  headRead(exchange: Exchange, head: RequestHead): void {
    exchange.trace = this.#tracing.begin(head, exchange);
  }

  /** The token was verified, since `sinceMs`. Returns now. */
  verified(exchange: Exchange, { token, cache }: VerifiedToken, sinceMs: number): number {
    exchange.token = token;
    exchange.issuerName = token?.issuerName;
    exchange.cache = cache;
    const nowMs = this.#clock.monotonicMs();
    this.#verifySeconds.observe((nowMs - sinceMs) / 1000);
    return nowMs;
  }

  /** The request may pass: revocation and authorization took since `sinceMs`. */
  authorized(exchange: Exchange, { token, failedOpen }: UnrevokedToken, sinceMs: number): void {
    this.#authorizeSeconds.observe((this.#clock.monotonicMs() - sinceMs) / 1000);
    this.#decided(exchange, failedOpen ? 'fail_open' : 'allow', token ? 'ok' : 'anonymous');
  }

  /** A stage refused the request, but its route only reports that: it passes. */
  reported(exchange: Exchange, error: GatewayError): void {
    const { reason, issuer } = error;
    exchange.issuerName ??= issuer;
    this.#detailed(exchange, error);
    if (reason) this.#decided(exchange, 'report', reason);
  }

  /** Identity headers that the client sent: spoofing, or a misunderstanding. */
  stripped(exchange: Exchange, headers: number): void {
    if (headers > 0) this.#metrics.identityStripped.child(exchange.routeName).value += headers;
  }

  forwarded(exchange: Exchange, { strippedIdentity }: OutboundRequest): void {
    this.stripped(exchange, strippedIdentity);
    exchange.forwardedAtMs = this.#clock.monotonicMs();
  }

  answered(exchange: Exchange): void {
    if (exchange.forwardedAtMs === undefined) return;
    exchange.upstreamMs = this.#clock.monotonicMs() - exchange.forwardedAtMs;
    exchange.trace?.answered?.(exchange);
  }

  /** A stage refused the request, or the upstream failed it. */
  failed(exchange: Exchange, error: GatewayError): void {
    const { status, code, reason, source, issuer } = error;
    this.#detailed(exchange, error);
    exchange.status = status;
    exchange.failure = code;
    exchange.issuerName ??= issuer;
    if (reason) this.#decided(exchange, source === 'authority' ? 'error' : 'deny', reason);
  }

  /** The answer has ended, or the client has gone. Once for each exchange. */
  end(exchange: Exchange): void {
    this.#metrics.inFlight--;
    exchange.durationMs = this.#clock.monotonicMs() - exchange.startedAtMs;
    const metrics = this.#metricsOf(exchange);
    metrics.seconds.observe(exchange.durationMs / 1000);
    metrics.overhead.observe(Math.max(0, exchange.durationMs - (exchange.upstreamMs ?? 0)) / 1000);
    const method = methodLabel(exchange.method);
    held(metrics.requests, method + exchange.status, () =>
      this.#metrics.requests.child(exchange.routeName, method, exchange.status),
    ).value++;
    if (exchange.upstreamMs !== undefined) metrics.upstreamSeconds?.observe(exchange.upstreamMs / 1000);
    exchange.trace?.end?.(exchange);
    this.#log?.(exchange);
  }

  /** When the exchange ended, on the monotonic clock. */
  endedAtMs({ startedAtMs, durationMs }: Exchange): number {
    return startedAtMs + durationMs;
  }

  #detailed(exchange: Exchange, error: GatewayError): void {
    if (error.detail === undefined) return;
    exchange.failureCause = error.detail;
    this.#refused?.(error);
  }

  #decided(exchange: Exchange, decision: AuthDecision['decision'], reason: AuthReason): void {
    exchange.decision = { decision, reason };
    const issuer = exchange.issuerName ?? '';
    held(this.#metricsOf(exchange).decisions, `${issuer} ${decision} ${reason}`, () =>
      this.#metrics.decisions.child(exchange.routeName, issuer, decision, reason),
    ).value++;
  }

  #metricsOf({ route, routeName }: Exchange): RouteMetrics {
    return held(this.#byRoute, routeName, () => ({
      seconds: this.#metrics.requestSeconds.child(routeName),
      overhead: this.#metrics.overheadSeconds.child(routeName),
      requests: new Map(),
      decisions: new Map(),
      upstreamSeconds: route && this.#metrics.upstreamSeconds.child(route.upstream),
    }));
  }
}

function held<T>(map: Map<string, T>, key: string, make: () => T): T {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

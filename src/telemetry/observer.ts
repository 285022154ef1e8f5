/** Counts exchanges and hands them to the log and to traces. */
import type { Clock } from '../clock.ts';
import type { AuthReason, GatewayError } from '../errors.ts';
import type { RequestHead } from '../http/request-head.ts';
import type { PossessedToken } from '../stages/check-possession.ts';
import type { UnrevokedToken } from '../stages/check-revocation.ts';
import type { OutboundRequest } from '../stages/rewrite-headers.ts';
import type { VerifiedToken } from '../stages/verify-token.ts';
import { Exchange, type AuthDecision } from './exchange.ts';
import type { CounterChild, HistogramChild } from './metric-children.ts';
import { methodLabel } from './method-label.ts';
import type { Metrics } from './metrics.ts';
import type { Seen } from './seen.ts';
import { passingTracing, type TraceContext, type Tracing } from './trace-context.ts';

interface RouteMetrics {
  readonly seconds: HistogramChild;
  readonly overhead: HistogramChild;
  /** By method and status: the gateway's own responses. */
  readonly own: Map<string, CounterChild>;
  /** By method and status: responses of upstreams. */
  readonly passedOn: Map<string, CounterChild>;
  /** By the code of the error. */
  readonly failures: Map<string, CounterChild>;
  /** By issuer, decision and reason. */
  readonly decisions: Map<string, CounterChild>;
  /** By the limit that refused. */
  readonly limited: Map<string, CounterChild>;
  /** Of the route's only upstream. */
  readonly upstreamSeconds: HistogramChild | undefined;
  /** Of each upstream of its list that has got a request. */
  readonly byUpstream: Map<string, UpstreamMetrics>;
}

interface UpstreamMetrics {
  readonly seconds: HistogramChild;
  /** By status. */
  readonly requests: Map<number, CounterChild>;
}

/** Counts exchanges and hands them to the log. Children of metrics are held, so that counting is an addition. */
export class Observer {
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #log: ((exchange: Exchange) => void) | undefined;
  readonly #tracing: Tracing;
  readonly #refused: ((error: GatewayError) => void) | undefined;
  readonly #seen: Seen | undefined;
  readonly #verifySeconds: HistogramChild;
  readonly #possessionSeconds: HistogramChild;
  readonly #authorizeSeconds: HistogramChild;
  readonly #byRoute = new Map<string, RouteMetrics>();

  constructor(
    metrics: Metrics,
    clock: Clock,
    log: ((exchange: Exchange) => void) | undefined,
    tracing: Tracing = passingTracing,
    refused?: (error: GatewayError) => void,
    seen?: Seen,
  ) {
    this.#seen = seen;
    this.#refused = refused;
    this.#metrics = metrics;
    this.#clock = clock;
    this.#log = log;
    this.#tracing = tracing;
    this.#verifySeconds = metrics.authSeconds.child('verify_token');
    this.#possessionSeconds = metrics.authSeconds.child('check_possession');
    this.#authorizeSeconds = metrics.authSeconds.child('authorize');
  }

  begin(method: string, peer: string, requestId: string): Exchange {
    return new Exchange(method, peer, requestId, this.#clock);
  }

  /** The head has been read: the request belongs to a trace, which is returned for the upstream's sake. */
  headRead(exchange: Exchange, head: RequestHead): TraceContext {
    return (exchange.trace = this.#tracing.begin(head, exchange));
  }

  /** The token was verified. */
  verified(exchange: Exchange, { token, cache }: VerifiedToken): void {
    exchange.token = token;
    exchange.issuerName = token?.issuerName;
    exchange.cache = cache;
    const nowMs = this.#clock.monotonicMs();
    this.#verifySeconds.observe((nowMs - exchange.timedSinceMs) / 1000);
    exchange.timedSinceMs = nowMs;
    // A thief of a bound token does not use its session.
    if (token && !token.binding) this.#seen?.verified(token, nowMs, exchange.clientIp);
  }

  /** Its holder has proved to hold what the token is bound to. */
  possessed(exchange: Exchange, { failedOpen }: PossessedToken): void {
    if (failedOpen) exchange.failureCause = 'it is not known whether the proof was used before';
    const nowMs = this.#clock.monotonicMs();
    if (exchange.token) this.#seen?.verified(exchange.token, nowMs, exchange.clientIp);
    this.#possessionSeconds.observe((nowMs - exchange.timedSinceMs) / 1000);
    exchange.timedSinceMs = nowMs;
  }

  /** The request may pass. What is timed here is revocation and authorization. */
  authorized(exchange: Exchange, { token, failedOpen }: UnrevokedToken): void {
    this.#authorizeSeconds.observe((this.#clock.monotonicMs() - exchange.timedSinceMs) / 1000);
    this.#decided(exchange, failedOpen ? 'fail_open' : 'allow', token ? 'ok' : 'anonymous');
  }

  /** A stage refused the request, but its route only reports that: the request passes. */
  reported(exchange: Exchange, error: GatewayError): void {
    const { reason, issuer } = error;
    exchange.issuerName ??= issuer;
    this.#detailed(exchange, error);
    if (reason) this.#decided(exchange, 'report', reason);
    this.#seen?.passedReported(exchange, error);
  }

  /** A limit that only reports would have refused the request. */
  overLimit(exchange: Exchange, limit: string): void {
    exchange.overLimits = [...exchange.overLimits, limit];
    this.#metrics.rateLimited.child(exchange.routeName, limit, 'reported').value++;
    this.#seen?.overLimit(exchange, limit, 'reported');
  }

  /** Identity headers that the client sent: spoofing, or a misunderstanding. */
  stripped(exchange: Exchange, headers: number): void {
    if (headers > 0) this.#metrics.identityStripped.child(exchange.routeName).value += headers;
  }

  forwarded(exchange: Exchange, { strippedIdentity }: OutboundRequest): void {
    this.stripped(exchange, strippedIdentity);
    exchange.forwardedAtMs = this.#clock.monotonicMs();
  }

  upstreamEnded(exchange: Exchange): void {
    if (exchange.forwardedAtMs === undefined) return;
    exchange.upstreamMs = this.#clock.monotonicMs() - exchange.forwardedAtMs;
    exchange.trace?.upstreamEnded?.(exchange);
  }

  /** A stage refused the request, or the upstream failed it. */
  failed(exchange: Exchange, error: GatewayError): void {
    const { status, code, reason, source, issuer, limit } = error;
    this.#detailed(exchange, error);
    if (limit !== undefined) this.#limited(exchange, limit);
    exchange.status = status;
    exchange.failure = code;
    exchange.issuerName ??= issuer;
    if (reason) this.#decided(exchange, source === 'authority' ? 'error' : 'deny', reason);
    this.#seen?.refused(exchange, error);
  }

  /**
   * The response has ended, or the client has gone. Once for each exchange.
   *
   * @param nowMs on the monotonic clock
   */
  end(exchange: Exchange, nowMs: number): void {
    exchange.durationMs = nowMs - exchange.startedAtMs;
    const metrics = this.#metricsOf(exchange);
    const behindMs = this.#timed(exchange, metrics);
    const method = methodLabel(exchange.method);
    const isOwn = exchange.upstreamStatus === undefined;
    held(isOwn ? metrics.own : metrics.passedOn, method + exchange.status, () =>
      this.#metrics.requests.child(
        exchange.routeName,
        method,
        exchange.status,
        isOwn ? 'gateway' : 'upstream',
      ),
    ).value++;
    if (exchange.failure !== undefined) this.#countFailure(exchange.routeName, metrics, exchange.failure);
    if (exchange.forwardedAtMs !== undefined && typeof exchange.route?.upstream === 'object')
      this.#endOfChosen(exchange, metrics.byUpstream, behindMs);
    exchange.trace?.end?.(exchange);
    this.#log?.(exchange);
  }

  #endOfChosen(
    { upstream = '', status, routeName }: Exchange,
    byUpstream: RouteMetrics['byUpstream'],
    behindMs: number | undefined,
  ): void {
    const { seconds, requests } = held(byUpstream, upstream, () => ({
      seconds: this.#metrics.upstreamSeconds.child(upstream),
      requests: new Map<number, CounterChild>(),
    }));
    held(requests, status, () => this.#metrics.routeUpstreamRequests.child(routeName, upstream, status))
      .value++;
    if (behindMs !== undefined) seconds.observe(behindMs / 1000);
  }

  /** A stream or a tunnel is timed until it begins. Returns the time behind the gateway, where there was any. */
  #timed(
    { startedAtMs, forwardedAtMs, lastingSinceMs, durationMs, upstreamMs }: Exchange,
    metrics: RouteMetrics,
  ): number | undefined {
    const ms = lastingSinceMs === undefined ? durationMs : lastingSinceMs - startedAtMs;
    const behindMs =
      lastingSinceMs === undefined || forwardedAtMs === undefined
        ? upstreamMs
        : lastingSinceMs - forwardedAtMs;
    metrics.seconds.observe(ms / 1000);
    metrics.overhead.observe(Math.max(0, ms - (behindMs ?? 0)) / 1000);
    if (behindMs !== undefined) metrics.upstreamSeconds?.observe(behindMs / 1000);
    return behindMs;
  }

  #countFailure(route: string, { failures }: RouteMetrics, code: string): void {
    held(failures, code, () => this.#metrics.failures.child(route, code)).value++;
  }

  #limited(exchange: Exchange, limit: string): void {
    exchange.limit = limit;
    this.#seen?.overLimit(exchange, limit, 'enforced');
    held(this.#metricsOf(exchange).limited, limit, () =>
      this.#metrics.rateLimited.child(exchange.routeName, limit, 'enforced'),
    ).value++;
  }

  #detailed(exchange: Exchange, error: GatewayError): void {
    exchange.neededScope = error.challenge?.scope;
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
      own: new Map(),
      passedOn: new Map(),
      failures: new Map(),
      decisions: new Map(),
      limited: new Map(),
      upstreamSeconds:
        typeof route?.upstream === 'string' ? this.#metrics.upstreamSeconds.child(route.upstream) : undefined,
      byUpstream: new Map(),
    }));
  }
}

function held<K, T>(map: Map<K, T>, key: K, make: () => T): T {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

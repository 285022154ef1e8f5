/**
 * Forwards over HTTP/1.1: a keep-alive pool for each target, one request at a time on a connection.
 * Rules H10, H13, H15. docs/decisions/upstream-client.md tells why the client is our own.
 */
import type { Readable } from 'node:stream';
import type { AnswerHead, AnswerHeaders } from '../http/answer-head.ts';
import type { Clock } from '../clock.ts';
import { upstreamTimeout, upstreamUnreachable } from '../errors.ts';
import type { OutboundRequest } from '../stages/rewrite-headers.ts';
import { Balancer, type Balance, type Weighted } from './balancer.ts';
import { ConnectionPool, type Waiter } from './connection-pool.ts';
import type { AnswerSink, Forwarder, Forwarding, UpgradeSink } from './forwarder.ts';
import { HealthCheck, type HealthCheckPolicy } from './health-check.ts';
import { Patience, type Waiting } from './patience.ts';
import { TargetHealth, type EjectPolicy, type HealthChange } from './target-health.ts';
import { forwardUpgrade } from './upgrade.ts';
import type { ConnectionUser, UpstreamConnection, UpstreamTls } from './upstream-connection.ts';
import { isConnectionError, upstreamFailure } from './upstream-errors.ts';

export interface UpstreamOptions {
  readonly targets: readonly { readonly url: string; readonly weight: number }[];
  readonly balance: Balance;
  /** Per target. */
  readonly connections: number;
  readonly connectTimeoutMs: number;
  readonly tls: UpstreamTls;
  readonly health: HealthCheckPolicy | undefined;
  readonly eject: EjectPolicy | undefined;
}

/** What happens to upstreams, for metrics and logs. */
export interface UpstreamObserver {
  retried(upstream: string): void;
  healthChanged(upstream: string, target: string, change: HealthChange): void;
}

/** One server that requests go to. */
interface Target extends Weighted {
  /** Scheme, host and port. */
  readonly origin: string;
  /** Its own Host. */
  readonly host: string;
  readonly pool: ConnectionPool;
  readonly health: TargetHealth;
}

interface Upstream {
  readonly targets: readonly Target[];
  readonly balancer: Balancer<Target>;
  readonly options: UpstreamOptions;
  readonly countRetry: () => void;
}

/** How often idle connections are looked at. */
const SWEEP_MS = 500;

export class Http1Forwarder implements Forwarder {
  readonly #upstreams: ReadonlyMap<string, Upstream>;
  readonly #pools: ConnectionPool[] = [];
  readonly #checks: HealthCheck[] = [];
  readonly #patience: Patience;
  readonly #clock: Clock;
  #cancelSweep: () => void = () => undefined;
  #isRetired = false;

  constructor(upstreams: ReadonlyMap<string, UpstreamOptions>, clock: Clock, observer: UpstreamObserver) {
    this.#clock = clock;
    this.#patience = new Patience(clock);
    this.#upstreams = new Map(
      [...upstreams].map(([name, options]) => {
        const targets = this.#openTargets(name, options, observer);
        const balancer = new Balancer(targets, options.balance);
        return [name, { targets, balancer, options, countRetry: () => observer.retried(name) }];
      }),
    );
    this.#sweep();
  }

  forward(outbound: OutboundRequest, body: Readable | undefined, sink: AnswerSink): Forwarding {
    const upstream = this.#upstreams.get(outbound.route.upstream);
    if (!upstream) throw upstreamUnreachable();
    const dispatch = new Dispatch(outbound, body, sink, upstream, this.#patience);
    dispatch.send();
    return dispatch;
  }

  forwardUpgrade(outbound: OutboundRequest, sink: UpgradeSink): Forwarding {
    const upstream = this.#upstreams.get(outbound.route.upstream);
    if (!upstream) throw upstreamUnreachable();
    const target = upstream.balancer.next();
    sink.sentTo(target.origin);
    return forwardUpgrade(outbound, { ...upstream.options, ...target }, sink);
  }

  /** Of every target, whether it gets requests. */
  health(): { readonly upstream: string; readonly target: string; readonly available: boolean }[] {
    return [...this.#upstreams].flatMap(([upstream, { targets }]) =>
      targets.map(({ origin, available }) => ({ upstream, target: origin, available })),
    );
  }

  /** No request comes any more. It closes by itself once those under way have ended. */
  retire(): void {
    this.#isRetired = true;
    for (const check of this.#checks) check.close();
    for (const pool of this.#pools) pool.retire();
  }

  close(): void {
    this.#cancelSweep();
    this.#patience.stop();
    for (const check of this.#checks) check.close();
    for (const { targets } of this.#upstreams.values()) for (const { health } of targets) health.close();
    for (const pool of this.#pools) pool.close();
  }

  #openTargets(name: string, options: UpstreamOptions, observer: UpstreamObserver): Target[] {
    const { connections, connectTimeoutMs, tls, eject, health: checks } = options;
    return options.targets.map(({ url, weight }) => {
      const origin = new URL(url);
      const pool = new ConnectionPool({ origin, tls, connections, connectTimeoutMs }, this.#patience);
      this.#pools.push(pool);
      const health = new TargetHealth(eject, this.#clock, (change) =>
        observer.healthChanged(name, origin.origin, change),
      );
      if (checks) this.#checks.push(new HealthCheck(checks, origin, tls, health, this.#clock));
      return {
        origin: origin.origin,
        host: origin.host,
        weight,
        inFlight: 0,
        pool,
        health,
        get available() {
          return health.available;
        },
      };
    });
  }

  get #isIdle(): boolean {
    return [...this.#upstreams.values()].every(({ targets }) =>
      targets.every(({ inFlight }) => inFlight === 0),
    );
  }

  #sweep(): void {
    if (this.#isRetired && this.#isIdle) {
      this.close();
      return;
    }
    for (const pool of this.#pools) pool.sweep();
    this.#cancelSweep = this.#clock.after(SWEEP_MS, () => this.#sweep());
  }
}

/** RFC 9110 section 9.2.2, without TRACE, which is never forwarded. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** One request on its way, over as many tries as it takes. One object instead of a handful of closures. */
class Dispatch implements ConnectionUser, Waiter, Forwarding, Waiting {
  deadlineMs = Infinity;
  place = -1;
  readonly #outbound: OutboundRequest;
  readonly #body: Readable | undefined;
  readonly #sink: AnswerSink;
  readonly #upstream: Upstream;
  readonly #patience: Patience;
  #target: Target | undefined;
  #connection: UpstreamConnection | undefined;
  #triesLeft: number;
  /** A try is under way. */
  #trying = false;
  /** An answer has begun: from here on nothing is tried again. */
  #answering = false;

  constructor(
    outbound: OutboundRequest,
    body: Readable | undefined,
    sink: AnswerSink,
    upstream: Upstream,
    patience: Patience,
  ) {
    this.#outbound = outbound;
    this.#body = body;
    this.#sink = sink;
    this.#upstream = upstream;
    this.#patience = patience;
    const repeatable = !outbound.hasBody && IDEMPOTENT.has(outbound.method);
    this.#triesLeft = repeatable ? outbound.route.retryAttempts : 0;
  }

  send(): void {
    const target = this.#upstream.balancer.next(this.#target);
    this.#target = target;
    this.#trying = true;
    target.inFlight++;
    this.#sink.sentTo(target.origin);
    // The wait for a connection counts as a wait for the answer.
    this.deadlineMs = this.#patience.deadlineAfter(this.#outbound.route.responseTimeoutMs);
    this.#patience.begin(this);
    target.pool.acquire(this);
  }

  abort(): void {
    this.#letGo();
  }

  pause(): void {
    // It is the client now who takes its time.
    this.deadlineMs = Infinity;
    this.#connection?.pause();
  }

  resume(): void {
    this.#expectMore();
    this.#connection?.resume();
  }

  tooLate(): void {
    this.#target?.health.failed();
    this.#letGo();
    this.#sink.fail(upstreamTimeout());
  }

  connected(connection: UpstreamConnection): void {
    this.#connection = connection;
    const { method, contentLength } = this.#outbound;
    // While a body is on its way up, the wait for the answer has not begun.
    if (this.#body !== undefined) this.deadlineMs = Infinity;
    connection.send(
      {
        method,
        head: requestHead(this.#outbound, this.#target?.host ?? ''),
        body: this.#body,
        contentLength,
      },
      this,
    );
  }

  unconnected(error: Error): void {
    this.failed(error);
  }

  uploaded(): void {
    if (!this.#answering)
      this.deadlineMs = this.#patience.deadlineAfter(this.#outbound.route.responseTimeoutMs);
  }

  informational({ status, headers }: AnswerHead): void {
    this.#answering = true;
    this.#sink.informational(status, headers);
  }

  begin({ status, headers }: AnswerHead): void {
    this.#answering = true;
    this.#target?.health.answered();
    this.#expectMore();
    this.#sink.begin(status, headers);
  }

  data(chunk: Buffer): void {
    if (this.#sink.data(chunk)) this.#expectMore();
    else this.pause();
  }

  received(): void {
    this.#sink.received();
  }

  end(trailers: AnswerHeaders): void {
    this.#settle();
    this.#sink.end(trailers);
  }

  failed(error: Error): void {
    this.#target?.health.failed();
    this.#settle();
    if (this.#triesLeft > 0 && !this.#answering && isConnectionError(error)) {
      this.#triesLeft--;
      this.#upstream.countRetry();
      this.send();
      return;
    }
    this.#sink.fail(upstreamFailure(error));
  }

  #expectMore(): void {
    this.deadlineMs = this.#patience.deadlineAfter(this.#outbound.route.idleTimeoutMs);
  }

  /** Nobody waits any more: the upstream is told by closing its connection. */
  #letGo(): void {
    const connection = this.#connection;
    this.#target?.pool.leave(this);
    this.#settle();
    connection?.abandon();
  }

  /** This try is over. */
  #settle(): void {
    if (!this.#trying) return;
    this.#trying = false;
    this.#patience.end(this);
    this.#connection = undefined;
    if (this.#target) this.#target.inFlight--;
  }
}

/** Methods whose requests have a body as a rule: without one, they say so (RFC 9110 section 8.6). */
const WITH_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/** The head as it goes out: the same bytes that the decision was made on (rule H13). */
function requestHead(outbound: OutboundRequest, ownHost: string): string {
  const { method, target, host, headers } = outbound;
  let head = `${method} ${target} HTTP/1.1\r\nhost: ${host ?? ownHost}\r\n${framing(outbound)}`;
  for (let index = 0; index < headers.length; index += 2)
    head += `${headers[index]}: ${headers[index + 1]}\r\n`;
  return `${head}\r\n`;
}

/** RFC 9112 section 6: one framing, and none where there is no body. */
function framing({ method, hasBody, contentLength }: OutboundRequest): string {
  if (contentLength !== undefined) return `content-length: ${contentLength}\r\n`;
  if (hasBody) return 'transfer-encoding: chunked\r\n';
  return WITH_BODY.has(method) ? 'content-length: 0\r\n' : '';
}

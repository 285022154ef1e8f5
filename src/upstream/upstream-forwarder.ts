/**
 * Forwards over HTTP/1.1, one request at a time on a connection, or over HTTP/2, many on one: a pool for each target.
 * Rules H10, H13, H15. docs/decisions/upstream-client.md says why Sallyport has its own client.
 */
import type { Readable } from 'node:stream';
import type { Clock } from '../clock.ts';
import { upstreamUnreachable } from '../errors.ts';
import type { TargetUrl } from '../http/target-url.ts';
import type { OutboundRequest } from '../stages/rewrite-headers.ts';
import { Balancer, type Balance } from './balancer.ts';
import { ConnectionPool } from './connection-pool.ts';
import { Http2Pool } from './http2-pool.ts';
import { NegotiatedPool } from './negotiated-pool.ts';
import type { LinkPool, PoolOptions } from './upstream-link.ts';
import { Dispatch, type Target, type TryCount, type Upstream } from './dispatch.ts';
import type { ResponseSink, Forwarder, Forwarding } from './forwarder.ts';
import { HealthCheck, type HealthCheckPolicy } from './health-check.ts';
import { Deadlines } from './deadlines.ts';
import { TargetHealth, type EjectPolicy, type HealthChange } from './target-health.ts';
import type { TlsClient } from '../tls/client-options.ts';

export interface UpstreamOptions {
  readonly targets: readonly { readonly url: TargetUrl; readonly weight: number }[];
  readonly balance: Balance;
  /** Per target. */
  readonly connections: number;
  /** Of HTTP/2: at the same time on one connection. */
  readonly streams: number;
  /** Of HTTP/2: names of fields that are as secret as credentials. */
  readonly sensitive: readonly string[];
  readonly connectTimeoutMs: number;
  readonly tls: TlsClient;
  readonly health: HealthCheckPolicy | undefined;
  readonly eject: EjectPolicy | undefined;
}

/** Hears of retries and of changes in health, for metrics and logs. */
export interface UpstreamObserver {
  retried(upstream: string): void;
  /** Where tries at a target are counted. */
  triesOf(upstream: string, target: string): TryCount;
  /** @param cause what the deciding check has found out */
  healthChanged(upstream: string, target: string, change: HealthChange, cause: string | undefined): void;
}

/** How often idle connections are checked. */
const SWEEP_MS = 500;

export class UpstreamForwarder implements Forwarder {
  readonly #upstreams: ReadonlyMap<string, Upstream>;
  readonly #pools: LinkPool[] = [];
  readonly #checks: HealthCheck[] = [];
  readonly #deadlines: Deadlines;
  readonly #clock: Clock;
  #cancelSweep: () => void = () => undefined;
  #isRetired = false;

  /** @param revision returns another number after each change of the revocation list */
  constructor(
    upstreams: ReadonlyMap<string, UpstreamOptions>,
    clock: Clock,
    observer: UpstreamObserver,
    revision?: () => number,
  ) {
    this.#clock = clock;
    this.#deadlines = new Deadlines(clock, revision);
    this.#upstreams = new Map(
      [...upstreams].map(([name, options]) => {
        const targets = this.#openTargets(name, options, observer);
        const balancer = new Balancer(targets, options.balance);
        return [name, { targets, balancer, countRetry: () => observer.retried(name) }];
      }),
    );
    this.#sweep();
  }

  forward(outbound: OutboundRequest, body: Readable | undefined, sink: ResponseSink): Forwarding {
    const upstream = this.#upstreams.get(outbound.upstream);
    if (!upstream) throw upstreamUnreachable();
    const dispatch = new Dispatch(outbound, body, sink, upstream, this.#deadlines);
    dispatch.send();
    return dispatch;
  }

  /** Whether each target gets requests, and why not. */
  health(): {
    readonly upstream: string;
    readonly target: string;
    readonly available: boolean;
    readonly cause: string | undefined;
  }[] {
    return [...this.#upstreams].flatMap(([upstream, { targets }]) =>
      targets.map(({ origin, available, health: { cause } }) => ({
        ...{ upstream, available, cause },
        target: origin,
      })),
    );
  }

  /** Open connections to each target; one of HTTP/2 is a session. */
  connections(): {
    readonly upstream: string;
    readonly target: string;
    readonly protocol: string;
    readonly open: number;
  }[] {
    return [...this.#upstreams].flatMap(([upstream, { targets }]) =>
      targets.flatMap(({ origin, pool }) =>
        pool.open.map(({ protocol, count }) => ({ upstream, target: origin, protocol, open: count })),
      ),
    );
  }

  /** No more requests come. It closes by itself once those in flight have ended. */
  retire(): void {
    this.#isRetired = true;
    for (const check of this.#checks) check.close();
  }

  close(): void {
    this.#cancelSweep();
    this.#deadlines.stop();
    for (const check of this.#checks) check.close();
    for (const { targets } of this.#upstreams.values()) for (const { health } of targets) health.close();
    for (const pool of this.#pools) pool.close();
  }

  #openTargets(name: string, options: UpstreamOptions, observer: UpstreamObserver): Target[] {
    const { tls, eject, health: checks } = options;
    return options.targets.map(({ url, weight }) => {
      const { origin, text } = url;
      const pool = openPool(url, { ...options, origin }, this.#deadlines);
      this.#pools.push(pool);
      const health = new TargetHealth(eject, this.#clock, (change, cause) =>
        observer.healthChanged(name, text, change, cause),
      );
      if (checks) this.#checks.push(new HealthCheck(checks, url, tls, health, this.#clock));
      return {
        origin: text,
        host: origin.host,
        weight,
        inFlight: 0,
        pool,
        health,
        tries: observer.triesOf(name, text),
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

function openPool({ isHttp2, negotiates }: TargetUrl, options: PoolOptions, deadlines: Deadlines): LinkPool {
  if (negotiates === true) return new NegotiatedPool(options, deadlines);
  return isHttp2 ? new Http2Pool(options, deadlines) : new ConnectionPool(options, deadlines);
}

/** One address of a target: a server with connections, health and checks of its own. */
import type { Clock } from '../clock.ts';
import type { TargetUrl } from '../http/target-url.ts';
import type { TlsClient } from '../tls/client-options.ts';
import { ConnectionPool } from './connection-pool.ts';
import type { Deadlines } from './deadlines.ts';
import type { Target, TryCount } from './target.ts';
import { HealthCheck, type HealthCheckPolicy } from './health-check.ts';
import { Http2Pool } from './http2-pool.ts';
import { NegotiatedPool } from './negotiated-pool.ts';
import { openLink } from './open-link.ts';
import type { Endpoint } from './open-socket.ts';
import { Reachability } from './reachability.ts';
import { TargetHealth, type EjectPolicy, type HealthChange } from './target-health.ts';
import type { LinkPool, PoolOptions } from './upstream-link.ts';

/** What the configuration says of all targets of an upstream. */
export interface MemberOptions {
  /** Per member. */
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

/** What a member needs of its target. */
export interface MemberSite {
  readonly options: MemberOptions;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly tries: TryCount;
  readonly members: () => readonly Member[];
  /** @param cause what the deciding check has found out */
  readonly healthChanged: (member: Member, change: HealthChange, cause: string | undefined) => void;
}

export class Member implements Target {
  readonly origin: string;
  readonly host: string;
  readonly pool: LinkPool;
  readonly health: TargetHealth;
  readonly tries: TryCount;
  readonly endpoint: TargetUrl & Endpoint;
  weight = 1;
  /** Its part of the weight. */
  share = 1;
  priority = 0;
  inFlight = 0;
  // Plain fields, since every choice reads them.
  available = true;
  isDoubtful = false;
  /** When it came, or when `available` changed last. */
  sinceMs: number;
  readonly #site: MemberSite;
  readonly #reachability: Reachability;
  #check: HealthCheck | undefined;

  /** Health checks begin with join(). */
  constructor(endpoint: TargetUrl & Endpoint, site: MemberSite) {
    const { options, clock, deadlines, tries, members, healthChanged } = site;
    this.endpoint = endpoint;
    this.origin = endpoint.text;
    this.host = endpoint.origin.host;
    this.tries = tries;
    this.#site = site;
    this.sinceMs = clock.nowMs();
    this.#reachability = new Reachability({
      tryToConnect: (done) => this.#tryToConnect(done),
      isOneOfSeveral: () => members().length > 1,
      clock,
      changed: () => this.#reachabilityChanged(),
    });
    this.pool = openPool(endpoint, { ...options, endpoint, attempts: this.#reachability }, deadlines);
    this.health = new TargetHealth(options.eject, clock, (change, cause) => {
      this.update();
      healthChanged(this, change, cause);
    });
  }

  get hasOther(): boolean {
    return this.#site.members().some((member) => member !== this && member.available);
  }

  /** Whether it gets requests, and what keeps them away. */
  get state(): 'up' | 'unhealthy' | 'unreachable' {
    return this.available ? 'up' : this.health.available ? 'unreachable' : 'unhealthy';
  }

  /** The same for people; undefined while it gets requests. */
  get cause(): string | undefined {
    return this.available ? undefined : (this.health.cause ?? 'no connection to it can be opened');
  }

  suspect(): void {
    this.#reachability.suspect();
  }

  /** It gets requests from now on. */
  join(): void {
    const { health, tls } = this.#site.options;
    this.pool.revive();
    if (health && !this.#check)
      this.#check = new HealthCheck(health, this.endpoint, tls, this.health, this.#site.clock);
    this.update();
  }

  /** It gets no more requests, unless it joins again; those in flight end. */
  leave(): void {
    this.pool.drain();
  }

  /** As leave, for good. */
  retire(): void {
    this.#check?.close();
    this.leave();
  }

  close(): void {
    this.retire();
    this.#reachability.close();
    this.health.close();
    this.pool.close();
  }

  /** To be called when its health or the number of members has changed. */
  update(): void {
    const isSingle = this.#site.members().length < 2;
    const { isOut, isProven } = this.#reachability;
    const available = this.health.available && (isSingle || !isOut);
    if (available !== this.available) this.sinceMs = this.#site.clock.nowMs();
    this.available = available;
    this.isDoubtful = !isSingle && !isProven && !isOut;
  }

  #reachabilityChanged(): void {
    const wasOut = this.state === 'unreachable';
    this.update();
    const isOut = this.state === 'unreachable';
    if (isOut !== wasOut) this.#site.healthChanged(this, isOut ? 'unreachable' : 'reachable', undefined);
  }

  #tryToConnect(done: (success: boolean) => void): () => void {
    const { options, clock } = this.#site;
    let isDone = false;
    const finish = (success: boolean): void => {
      if (isDone) return;
      isDone = true;
      cancelTimeout();
      attempt.close(new Error('the attempt is over'));
      done(success);
    };
    const cancelTimeout = clock.after(options.connectTimeoutMs, () => finish(false));
    const attempt = openLink(this.endpoint, options.tls, {
      connected: () => finish(true),
      closed: () => finish(false),
    });
    return () => {
      isDone = true;
      cancelTimeout();
      attempt.close(new Error('the attempt is of no use any more'));
    };
  }
}

function openPool({ isHttp2, negotiates }: TargetUrl, options: PoolOptions, deadlines: Deadlines): LinkPool {
  if (negotiates === true) return new NegotiatedPool(options, deadlines);
  return isHttp2 ? new Http2Pool(options, deadlines) : new ConnectionPool(options, deadlines);
}

/**
 * Forwards over HTTP/1.1, one request at a time on a connection, or over HTTP/2, many on one: a pool for each address of each
 * target. Rules H10, H13, H15, G6. docs/decisions/upstream-client.md says why Sallyport has its own client.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Readable } from 'node:stream';
import type { Clock } from '../clock.ts';
import type { NameResolver } from '../dns/name-resolver.ts';
import { nameResolver } from '../dns/resolvers.ts';
import { upstreamUnreachable } from '../errors.ts';
import type { TargetUrl } from '../http/target-url.ts';
import type { OutboundRequest } from '../stages/rewrite-headers.ts';
import type { Balance } from './balancer.ts';
import { Deadlines } from './deadlines.ts';
import { Dispatch } from './dispatch.ts';
import type { ResponseSink, Forwarder, Forwarding } from './forwarder.ts';
import type { MemberOptions } from './member.ts';
import { RunningTarget, type TargetObserver } from './running-target.ts';
import { RunningUpstream } from './running-upstream.ts';
import { targetStatus, type TargetStatus } from './target-status.ts';

export interface UpstreamOptions extends MemberOptions {
  /** At least one. */
  readonly targets: readonly { readonly url: TargetUrl; readonly weight: number }[];
  readonly balance: Balance;
}

/** Hears of retries and of changes in health and membership, for metrics and logs. */
export interface UpstreamObserver extends TargetObserver {
  retried(upstream: string): void;
}

export interface ForwarderParts {
  readonly clock: Clock;
  readonly observer: UpstreamObserver;
  /** DNS servers; undefined: names resolve as the system does it. */
  readonly dnsServers: readonly string[] | undefined;
  /** Returns another number after each change of the revocation list. */
  readonly revision?: () => number;
  /** Whose targets are kept, with members, health and connections, where they are the same. */
  readonly previous?: UpstreamForwarder;
}

/** How often idle connections are checked. */
const SWEEP_MS = 500;

/** After it is retired, requests may still come for this long: those whose token was being verified. */
const LATE_MS = 60_000;

export class UpstreamForwarder implements Forwarder {
  readonly #parts: Omit<ForwarderParts, 'previous'>;
  readonly #resolver: NameResolver;
  readonly #deadlines: Deadlines;
  readonly #upstreams: ReadonlyMap<string, RunningUpstream>;
  /** Those of kept targets are in force once it serves. */
  readonly #weights = new Map<RunningTarget, number>();
  /** Those that it has to end. */
  #targets: readonly RunningTarget[];
  #cancelSweep: () => void = () => undefined;
  #endsAtMs = Infinity;

  constructor(upstreams: ReadonlyMap<string, UpstreamOptions>, { previous, ...parts }: ForwarderParts) {
    const { clock, dnsServers, revision } = parts;
    this.#parts = parts;
    // One for all generations, since it bounds what the process asks at a time.
    const hasSameServers = previous && isDeepStrictEqual(previous.#parts.dnsServers, dnsServers);
    this.#resolver = hasSameServers === true ? previous.#resolver : nameResolver(dnsServers, clock);
    this.#deadlines = previous ? previous.#deadlines : new Deadlines(clock, revision);
    const kept = previous ? [...previous.#targets] : [];
    this.#upstreams = new Map(
      [...upstreams].map(([name, options]) => [name, this.#openUpstream(name, options, kept)]),
    );
    this.#targets = [...this.#upstreams.values()].flatMap(({ targets }) => targets);
    this.#sweep();
  }

  forward(outbound: OutboundRequest, body: Readable | undefined, sink: ResponseSink): Forwarding {
    const upstream = this.#upstreams.get(outbound.upstream);
    if (!upstream) throw upstreamUnreachable();
    const dispatch = new Dispatch(outbound, body, sink, upstream, this.#deadlines);
    const { token, route } = outbound;
    if (token?.expiresAt !== undefined && route.streamsExpired === 'close')
      dispatch.endsAtMs = (token.expiresAt + token.clockSkewSeconds) * 1000;
    dispatch.send();
    return dispatch;
  }

  /** Settles when every name was tried to be resolved once. */
  async resolved(): Promise<void> {
    await Promise.all(this.#targets.map(({ first }) => first));
  }

  /** Whether each target gets requests, and its members. */
  health(): TargetStatus[] {
    return [...this.#upstreams].flatMap(([upstream, { targets }]) =>
      targets.map((target) => targetStatus(upstream, target)),
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
      targets.flatMap(({ text, connections }) =>
        connections.map(({ protocol, count }) => ({ upstream, target: text, protocol, open: count })),
      ),
    );
  }

  /**
   * Nearly no requests come any more. It closes by itself what the other does not use, once requests in flight have
   * ended.
   */
  retire(other: UpstreamForwarder): void {
    for (const [target, weight] of other.#weights) target.weight = weight;
    this.#leaveTo(other);
    for (const target of this.#targets) target.retire();
    this.#endsAtMs = this.#parts.clock.monotonicMs() + LATE_MS;
  }

  /** It never served, and does not end what the other uses. */
  discard(other: UpstreamForwarder): void {
    this.#leaveTo(other);
    this.#end();
  }

  /** Of all generations, since they share what measures time. */
  close(): void {
    this.#deadlines.stop();
    this.#end();
  }

  #leaveTo(other: UpstreamForwarder): void {
    const kept = new Set(other.#targets);
    this.#targets = this.#targets.filter((target) => !kept.has(target));
  }

  #end(): void {
    this.#cancelSweep();
    for (const upstream of this.#upstreams.values()) upstream.close();
    for (const target of this.#targets) target.close();
  }

  /** @param kept targets of the generation before; those that are used here are taken out */
  #openUpstream(name: string, options: UpstreamOptions, kept: RunningTarget[]): RunningUpstream {
    const { clock, observer } = this.#parts;
    const targets = options.targets.map(({ url, weight }) => {
      const parts = { upstream: name, url, options, resolver: this.#resolver };
      const at = kept.findIndex((candidate) => candidate.isAs(parts));
      const [before] = at < 0 ? [] : kept.splice(at, 1);
      const target = before ?? new RunningTarget({ ...parts, clock, observer, deadlines: this.#deadlines });
      this.#weights.set(target, weight);
      if (!before) target.weight = weight;
      return target;
    });
    return new RunningUpstream({
      targets,
      balance: options.balance,
      connectTimeoutMs: options.connectTimeoutMs,
      countRetry: () => observer.retried(name),
      triesOf: (target) => observer.triesOf(name, target),
      clock,
      deadlines: this.#deadlines,
    });
  }

  #sweep(): void {
    const isOver = this.#parts.clock.monotonicMs() >= this.#endsAtMs;
    if (isOver && this.#targets.every(({ isIdle }) => isIdle)) {
      this.#end();
      return;
    }
    for (const target of this.#targets) target.sweep();
    this.#cancelSweep = this.#parts.clock.after(SWEEP_MS, () => this.#sweep());
  }
}

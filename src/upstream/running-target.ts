/**
 * A target of the configuration at work: its members, which are the addresses of its name. New ones join; those that have
 * vanished leave once their requests have ended. A reload that does not change the target keeps it, with all connections.
 */
import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../clock.ts';
import type { NameResolver } from '../dns/name-resolver.ts';
import type { TargetUrl } from '../http/target-url.ts';
import type { Deadlines } from './deadlines.ts';
import { Member, type MemberOptions, type MemberSite } from './member.ts';
import { NameWatch } from './name-watch.ts';
import { isAddress, ServerFinder, serverKey, type FoundServers } from './server-finder.ts';
import type { HealthChange } from './target-health.ts';
import type { TryCount } from './target.ts';
import type { OpenConnections } from './upstream-link.ts';

/** Hears of what happens to a target, for metrics and logs. */
export interface TargetObserver {
  /** Where tries at a target are counted. */
  triesOf(upstream: string, target: string): TryCount;
  healthChanged(upstream: string, target: string, report: HealthReport): void;
  membersChanged(upstream: string, target: string, change: MembersChange): void;
  /** @param error undefined: its name resolves */
  resolved(upstream: string, target: string, error: Error | undefined): void;
}

export interface HealthReport {
  readonly change: HealthChange;
  /** Undefined where the target is one. */
  readonly address: string | undefined;
  /** What the deciding check has found out. */
  readonly cause: string | undefined;
}

export interface MembersChange {
  readonly joined: readonly string[];
  readonly left: readonly string[];
  readonly members: number;
  /** Addresses beyond the limit. */
  readonly leftOut: number;
}

export interface TargetParts {
  readonly upstream: string;
  readonly url: TargetUrl;
  readonly options: MemberOptions;
  readonly resolver: NameResolver;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly observer: TargetObserver;
}

/** How a target's name resolves. */
export interface Resolution {
  readonly error: Error | undefined;
  /** When it last changed between resolving and failing. */
  readonly sinceMs: number;
}

const PROTOCOLS = ['h2', 'http/1.1'] as const;

export class RunningTarget {
  readonly #parts: TargetParts;
  readonly #site: MemberSite;
  readonly #watch: NameWatch | undefined;
  readonly #leaving = new Map<string, Member>();
  readonly #listeners = new Set<() => void>();
  #members = new Map<string, Member>();
  #list: readonly Member[] = [];
  #weight = 1;
  #leftOut = 0;
  #resolution: Resolution | undefined;
  #isRetired = false;

  /** Begins to resolve the name, and to check the members. */
  constructor(parts: TargetParts) {
    const { upstream, url, options, resolver, clock, deadlines, observer } = parts;
    this.#parts = parts;
    this.#site = {
      options,
      clock,
      deadlines,
      tries: observer.triesOf(upstream, url.text),
      members: () => this.#list,
      healthChanged: ({ endpoint: { address, port } }, change, cause) =>
        observer.healthChanged(upstream, url.text, { change, address: addressText(address, port), cause }),
    };
    if (isAddress(url)) {
      this.#members.set('', new Member(url, this.#site));
      this.#list = [...this.#members.values()];
      for (const member of this.#list) member.join();
      return;
    }
    const finder = new ServerFinder(url, resolver);
    this.#watch = new NameWatch(
      () => finder.find(),
      { found: (found) => this.#found(found), failed: (error) => this.#resolved(error) },
      clock,
    );
  }

  /** Does it do what a target with these parts would do? */
  isAs({ upstream, url, options, resolver }: Omit<TargetParts, 'clock' | 'deadlines' | 'observer'>): boolean {
    const mine = this.#parts;
    return (
      upstream === mine.upstream &&
      url.text === mine.url.text &&
      url.negotiates === mine.url.negotiates &&
      resolver === mine.resolver &&
      isDeepStrictEqual(memberOptions(options), memberOptions(mine.options))
    );
  }

  get text(): string {
    return this.#parts.url.text;
  }

  /** Empty until its name has resolved once. */
  get members(): readonly Member[] {
    return this.#list;
  }

  /** To all addresses, also those that get no more requests; for each protocol that it may speak. */
  get connections(): OpenConnections[] {
    const { isHttp2, negotiates } = this.#parts.url;
    const protocols = negotiates === true ? PROTOCOLS : ([isHttp2 ? 'h2' : 'http/1.1'] as const);
    const open = [...this.#list, ...this.#leaving.values()].flatMap(({ pool }) => pool.open);
    return protocols.map((protocol) => ({
      protocol,
      count: open.reduce((sum, { protocol: spoken, count }) => (spoken === protocol ? sum + count : sum), 0),
    }));
  }

  get leftOut(): number {
    return this.#leftOut;
  }

  /** Undefined for an address, and before the first attempt is over. */
  get resolution(): Resolution | undefined {
    return this.#resolution;
  }

  /** Settles when its name was tried to be resolved once. */
  get first(): Promise<void> {
    return this.#watch?.first ?? Promise.resolve();
  }

  /** @param weight of each member */
  set weight(weight: number) {
    this.#weight = weight;
    for (const member of this.#list) member.weight = weight * member.share;
  }

  /** Calls back after each change of the members, and after each attempt that has failed. Returns a function that ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Requests that have passed the gates already may still come, but no others: nothing idle is kept. */
  retire(): void {
    this.#isRetired = true;
    for (const member of this.#list) member.retire();
  }

  /** Closes what has been idle for too long, and members that have left. */
  sweep(): void {
    for (const member of this.#list) member.pool.sweep();
    for (const [key, member] of this.#leaving) {
      if (member.inFlight > 0) {
        member.pool.sweep();
        continue;
      }
      this.#leaving.delete(key);
      member.close();
    }
  }

  get isIdle(): boolean {
    return this.#leaving.size === 0 && this.#list.every(({ inFlight }) => inFlight === 0);
  }

  close(): void {
    this.#watch?.close();
    for (const member of [...this.#list, ...this.#leaving.values()]) member.close();
    this.#leaving.clear();
  }

  #found({ servers, leftOut }: FoundServers): void {
    const before = this.#members;
    const joined: Member[] = [];
    this.#members = new Map();
    for (const { address, port, priority, share } of servers) {
      const key = serverKey(address, port);
      const member = before.get(key) ?? this.#newcomer(key, address, port, joined);
      member.share = share;
      member.weight = this.#weight * share;
      member.priority = priority;
      this.#members.set(key, member);
    }
    this.#list = [...this.#members.values()];
    this.#leftOut = leftOut;
    this.#resolved(undefined);
    const left = [...before].filter(([key]) => !this.#members.has(key));
    for (const [key, member] of left) this.#leaving.set(key, member);
    // First the choice is among the new ones, then those that wait for the others choose again.
    for (const member of joined) if (!this.#isRetired) member.join();
    if (joined.length + left.length === 0) return;
    for (const member of this.#list) member.update();
    this.#tell();
    for (const [, member] of left) member.leave();
    this.#report(
      joined,
      left.map(([, member]) => member),
    );
  }

  /** One that has just left, and still has requests, comes back with what it has. */
  #newcomer(key: string, address: string, port: number | undefined, joined: Member[]): Member {
    const { url } = this.#parts;
    const known = this.#leaving.get(key);
    this.#leaving.delete(key);
    const endpoint = { ...url, address, ...(port !== undefined && { port }) };
    const member = known ?? new Member(endpoint, this.#site);
    joined.push(member);
    return member;
  }

  #report(joined: readonly Member[], left: readonly Member[]): void {
    const { upstream, url, observer } = this.#parts;
    const texts = (members: readonly Member[]): string[] =>
      members.map(({ endpoint: { address, port } }) => addressText(address, port) ?? '');
    observer.membersChanged(upstream, url.text, {
      joined: texts(joined),
      left: texts(left),
      members: this.#list.length,
      leftOut: this.#leftOut,
    });
  }

  #resolved(error: Error | undefined): void {
    const { upstream, url, clock, observer } = this.#parts;
    const before = this.#resolution;
    const isSame = before !== undefined && (before.error === undefined) === (error === undefined);
    this.#resolution = { error, sinceMs: isSame ? before.sinceMs : clock.nowMs() };
    observer.resolved(upstream, url.text, error);
    if (error) this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

function memberOptions(options: MemberOptions): MemberOptions {
  const { connections, streams, sensitive, connectTimeoutMs, tls, health, eject } = options;
  return { connections, streams, sensitive, connectTimeoutMs, tls, health, eject };
}

/** As in a URL; undefined where there is no address. */
export function addressText(address: string | undefined, port: number | undefined): string | undefined {
  if (address === undefined || port === undefined) return address;
  return isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}

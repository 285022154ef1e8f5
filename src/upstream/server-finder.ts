/**
 * Finds the servers of a target: every address of its name, or those of each server that its SRV records name (RFC 2782).
 * What the names resolved to last is kept where they resolve to nothing (rule G6).
 */
import { BlockList, isIP, isIPv4 } from 'node:net';
import type { NameResolver, ResolvedName, ServiceRecord } from '../dns/name-resolver.ts';
import type { TargetUrl } from '../http/target-url.ts';

export interface ServerAddress {
  readonly address: string;
  /** Undefined: that of the target. */
  readonly port: number | undefined;
  /** 0 first; the next only if none of those before gets requests. */
  readonly priority: number;
  /** Of the requests, where 1 is the mean. */
  readonly share: number;
}

export interface FoundServers {
  /** At least one, in an order that does not depend on that of the response. */
  readonly servers: readonly ServerAddress[];
  /** How many more there were than are used. */
  readonly leftOut: number;
  /** Undefined where no source has said how long this holds. */
  readonly ttlMs: number | undefined;
}

/** A response of DNS over TCP holds thousands, and each gets connections and health checks. */
const MAX_SERVERS = 256;

/** Node tells no TTL of SRV records; that of their servers' addresses may be far longer. */
const LONGEST_RECORDS_MS = 5_000;

/** RFC 2782: of weight 0, "a very small chance". */
const SHARE_OF_ZERO = 0.01;

/** No server has such an address: this host (RFC 1122 section 3.2.1.3), groups. All others are as the operator's DNS says. */
const NEVER = new BlockList();
NEVER.addSubnet('0.0.0.0', 8, 'ipv4');
NEVER.addSubnet('224.0.0.0', 4, 'ipv4');
NEVER.addAddress('255.255.255.255', 'ipv4');
NEVER.addAddress('::', 'ipv6');
NEVER.addSubnet('ff00::', 8, 'ipv6');

function canBeServer(address: string): boolean {
  return !NEVER.check(address.replace(/%.*/, ''), isIPv4(address) ? 'ipv4' : 'ipv6');
}

/** There is nothing to resolve. */
export function isAddress({ origin, service }: TargetUrl): boolean {
  return service === undefined && isIP(origin.hostname.replace(/^\[|\]$/g, '')) > 0;
}

export class ServerFinder {
  readonly #hostName: string;
  readonly #service: string | undefined;
  readonly #resolver: NameResolver;
  /** What each name resolved to last. */
  #known: ReadonlyMap<string, readonly string[]> = new Map();

  constructor({ origin, rooted, service }: TargetUrl, resolver: NameResolver) {
    this.#hostName = rooted ?? origin.hostname;
    this.#service = service;
    this.#resolver = resolver;
  }

  /** @throws UnresolvedName where there is none */
  async find(): Promise<FoundServers> {
    const records = this.#service === undefined ? undefined : await this.#records(this.#service);
    const names = records ? [...new Set(records.map(({ name }) => name))] : [this.#hostName];
    const { addresses, ttlMs } = await this.#resolve(names);
    const servers = records
      ? serversOf(records, addresses)
      : (addresses.get(this.#hostName) ?? []).map((address) => ({
          address,
          port: undefined,
          priority: 0,
          share: 1,
        }));
    return {
      servers: servers.slice(0, MAX_SERVERS),
      leftOut: Math.max(0, servers.length - MAX_SERVERS),
      ttlMs: records && ttlMs !== undefined ? Math.min(ttlMs, LONGEST_RECORDS_MS) : ttlMs,
    };
  }

  async #records(service: string): Promise<readonly ServiceRecord[]> {
    const records = await this.#resolver.services(service);
    return records
      .toSorted((a, b) => a.priority - b.priority || compare(a.name, b.name) || a.port - b.port)
      .slice(0, MAX_SERVERS);
  }

  /** @throws what the first name failed with, where no name has an address */
  async #resolve(names: readonly string[]): Promise<{
    readonly addresses: ReadonlyMap<string, readonly string[]>;
    readonly ttlMs: number | undefined;
  }> {
    const results = await Promise.allSettled(names.map((name) => this.#resolver.addresses(name)));
    const ttls: number[] = [];
    const addresses = new Map<string, readonly string[]>();
    for (const [index, name] of names.entries()) {
      const result = results[index];
      const known = this.#known.get(name) ?? [];
      const now = result?.status === 'fulfilled' ? withKnown(result.value, known) : known;
      if (now.length > 0) addresses.set(name, now);
      if (result?.status !== 'fulfilled') continue;
      if (result.value.ttlMs !== undefined && result.value.unknown === undefined)
        ttls.push(result.value.ttlMs);
    }
    const failed = results.find((result) => result.status === 'rejected');
    // Of one name, the caller has to hear that it failed; of many, those that resolve serve.
    if (failed && (addresses.size === 0 || names.length === 1)) throw failed.reason;
    if (addresses.size === 0) throw new NoServer(names[0] ?? '');
    this.#known = addresses;
    return { addresses, ttlMs: ttls.length === names.length ? Math.min(...ttls) : undefined };
  }
}

/** The name has addresses, but none that a server can have. Has a `code` like errors of the system. */
class NoServer extends Error {
  override readonly name = 'NoServer';
  readonly code = 'ENOTFOUND';

  constructor(hostName: string) {
    super(`the name ${hostName} has no address of a server`);
  }
}

/** With the last addresses of a family that is unknown. */
function withKnown({ addresses, unknown }: ResolvedName, known: readonly string[]): string[] {
  const kept = known.filter((address) => unknown === (isIPv4(address) ? 4 : 6));
  return [...new Set([...addresses.filter(canBeServer), ...kept])].toSorted(compare);
}

function serversOf(
  records: readonly ServiceRecord[],
  addresses: ReadonlyMap<string, readonly string[]>,
): ServerAddress[] {
  const usable = records.filter(({ name }) => addresses.has(name));
  const priorities = [...new Set(usable.map(({ priority }) => priority))];
  const servers = new Map<string, ServerAddress>();
  for (const { name, port, priority, weight } of usable) {
    const equals = usable.filter((record) => record.priority === priority);
    const mean = equals.reduce((sum, record) => sum + record.weight, 0) / equals.length;
    const ofName = addresses.get(name) ?? [];
    const share = (mean === 0 ? 1 : Math.max(weight / mean, SHARE_OF_ZERO)) / ofName.length;
    for (const address of ofName) {
      const key = serverKey(address, port);
      if (!servers.has(key))
        servers.set(key, { address, port, priority: priorities.indexOf(priority), share });
    }
  }
  return [...servers.values()];
}

export function serverKey(address: string, port: number | undefined): string {
  return `${address} ${port}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

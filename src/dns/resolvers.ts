/**
 * The two sources of addresses: the system, as every other program of this host resolves names, or DNS servers of one's own.
 */
import { readFile } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import { DnsQueries } from './dns-queries.ts';
import { UnresolvedName, type NameResolver, type ResolvedName, type ServiceRecord } from './name-resolver.ts';
import { SystemLookup } from './system-lookup.ts';

/** Names that never leave the host (RFC 6761 section 6.3). */
const LOCALHOST = /^(?:.+\.)?localhost\.?$/i;

/**
 * getaddrinfo says which addresses a name has. DNS is asked for the same name, for the TTL alone: it counts where both
 * have an address in common, and not for short names that a search domain completes.
 */
export class SystemResolver implements NameResolver {
  readonly #lookup: SystemLookup;
  readonly #queries: DnsQueries;
  readonly #hostsFile: string;

  constructor(
    clock: Clock,
    lookup = new SystemLookup(clock),
    queries = new DnsQueries(undefined, clock),
    hostsFile = '/etc/hosts',
  ) {
    this.#lookup = lookup;
    this.#queries = queries;
    this.#hostsFile = hostsFile;
  }

  async addresses(name: string): Promise<ResolvedName> {
    const asked = (await this.#isLocal(name)) ? undefined : await this.#ask(name);
    const addresses = await this.#lookup.addresses(name, asked === 'unanswered');
    const dns = typeof asked === 'object' ? asked : undefined;
    const isSame = dns?.addresses.some((address) => addresses.includes(address)) === true;
    return { addresses, ttlMs: isSame ? dns.ttlMs : undefined, unknown: undefined };
  }

  services(name: string): Promise<readonly ServiceRecord[]> {
    return this.#queries.services(name);
  }

  async #ask(name: string): Promise<ResolvedName | 'absent' | 'unanswered'> {
    try {
      return await this.#queries.addresses(name);
    } catch (error) {
      return error instanceof UnresolvedName && error.code === 'ENOTFOUND' ? 'absent' : 'unanswered';
    }
  }

  /** Such a name needs no DNS server, and must not wait for one. */
  async #isLocal(name: string): Promise<boolean> {
    if (LOCALHOST.test(name)) return true;
    try {
      const wanted = name.toLowerCase().replace(/\.$/, '');
      return (await readFile(this.#hostsFile, 'utf8'))
        .split('\n')
        .some((line) => line.replace(/#.*/, '').toLowerCase().trim().split(/\s+/).slice(1).includes(wanted));
    } catch {
      return false;
    }
  }
}

/** Names are asked for as they are written: no search domains, no /etc/hosts. */
export class ServerResolver implements NameResolver {
  readonly #queries: DnsQueries;
  readonly #lookup: SystemLookup;

  /** @param servers addresses, with a port where it is not 53 */
  constructor(servers: readonly string[], clock: Clock) {
    this.#queries = new DnsQueries(servers, clock);
    this.#lookup = new SystemLookup(clock);
  }

  async addresses(name: string): Promise<ResolvedName> {
    if (!LOCALHOST.test(name)) return this.#queries.addresses(name);
    return { addresses: await this.#lookup.addresses(name, false), ttlMs: undefined, unknown: undefined };
  }

  services(name: string): Promise<readonly ServiceRecord[]> {
    return this.#queries.services(name);
  }
}

/** @param servers undefined: as the system does */
export function nameResolver(servers: readonly string[] | undefined, clock: Clock): NameResolver {
  return servers === undefined ? new SystemResolver(clock) : new ServerResolver(servers, clock);
}

/**
 * Questions to DNS servers about exactly one name: no search domains, no /etc/hosts. Node's resolver (c-ares) asks without
 * a thread, from a random port, and over TCP where a response was truncated. It takes every address in the answer section
 * for an address of the name, whatever the owner of the record. Nothing is kept, so that no response concerns another name.
 */
import { Resolver } from 'node:dns/promises';
import type { Clock } from '../clock.ts';
import { codeOf, UnresolvedName, type ResolvedName, type ServiceRecord } from './name-resolver.ts';

/** How long one server may take, and how often it is asked. */
const QUERY = { timeout: 1_000, tries: 2 };
/** All servers together. */
const LIMIT_MS = 4_000;

/** The server has responded: there is no such name, or no record of this type. */
const ABSENT: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA']);

export class DnsQueries {
  readonly #servers: readonly string[] | undefined;
  readonly #clock: Clock;

  /** @param servers undefined: those of the system */
  constructor(servers: readonly string[] | undefined, clock: Clock) {
    this.#servers = servers;
    this.#clock = clock;
  }

  /** @throws UnresolvedName */
  async addresses(name: string): Promise<ResolvedName> {
    return this.#ask(async (resolver) => {
      const [v4, v6] = await Promise.allSettled([
        resolver.resolve4(name, { ttl: true }),
        resolver.resolve6(name, { ttl: true }),
      ]);
      const failures = [v4, v6].map((result) =>
        result.status === 'rejected' ? codeOf(result.reason) : undefined,
      );
      const unknown = failures.map((code) => code !== undefined && !ABSENT.has(code));
      const records = [v4, v6].flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
      if (unknown[0] && unknown[1]) throw new UnresolvedName(name, failures[0] ?? '');
      if (records.length === 0 && !unknown[0] && !unknown[1]) throw new UnresolvedName(name, 'ENOTFOUND');
      return {
        addresses: [...new Set(records.map(({ address }) => address))],
        ttlMs: records.length === 0 ? undefined : Math.min(...records.map(({ ttl }) => ttl)) * 1000,
        unknown: unknown[0] ? 4 : unknown[1] ? 6 : undefined,
      };
    });
  }

  /** @throws UnresolvedName */
  async services(name: string): Promise<readonly ServiceRecord[]> {
    return this.#ask(async (resolver) => {
      try {
        const records = await resolver.resolveSrv(name);
        // A single "." says that the service is decidedly not available (RFC 2782).
        const servers = records.filter((record) => record.name !== '' && record.name !== '.');
        if (servers.length > 0) return servers;
      } catch (error) {
        throw new UnresolvedName(name, ABSENT.has(codeOf(error)) ? 'ENOTFOUND' : codeOf(error));
      }
      throw new UnresolvedName(name, 'ENOTFOUND');
    });
  }

  /** A resolver of its own for each question: it reads /etc/resolv.conf as it is now, and takes another port. */
  async #ask<T>(question: (resolver: Resolver) => Promise<T>): Promise<T> {
    const resolver = new Resolver(QUERY);
    if (this.#servers) resolver.setServers(this.#servers);
    const cancel = this.#clock.after(LIMIT_MS, () => resolver.cancel());
    try {
      return await question(resolver);
    } finally {
      cancel();
    }
  }
}

/** From a name to addresses, and from the name of a service (RFC 2782) to its servers. */

/** What a name stands for. */
export interface ResolvedName {
  /** IPv4 and IPv6, each once. Empty only where a family is unknown. */
  readonly addresses: readonly string[];
  /** How long this holds; undefined where the source does not say. */
  readonly ttlMs: number | undefined;
  /** No response came for this family, so that its addresses are unknown, rather than none. */
  readonly unknown: 4 | 6 | undefined;
}

/** A record of a service (SRV). */
export interface ServiceRecord {
  readonly name: string;
  readonly port: number;
  /** Lower is asked first. */
  readonly priority: number;
  /** Share among those of the same priority. */
  readonly weight: number;
}

export interface NameResolver {
  /** @throws UnresolvedName where the name has no address, or no response came */
  addresses(name: string): Promise<ResolvedName>;
  /** @throws UnresolvedName where the service has no server, or no response came */
  services(name: string): Promise<readonly ServiceRecord[]>;
}

/** Has a `code` like errors of the system: ENOTFOUND where there is no such name, otherwise why there is no response. */
export class UnresolvedName extends Error {
  override readonly name = 'UnresolvedName';
  readonly code: string;

  constructor(hostName: string, code: string) {
    super(`the name ${hostName} does not resolve (${code})`);
    this.code = code;
  }
}

/** The code of an error of Node's resolvers. */
export function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : 'EUNKNOWN';
}

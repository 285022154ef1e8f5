/**
 * Who the client is, seen through trusted proxies. Pure.
 */
import ipaddr from 'ipaddr.js';

/** Is this an address that all readers understand alike? The short and octal IPv4 forms of inet_aton are not. */
export function isAddress(text: string): boolean {
  return text.includes(':') ? ipaddr.IPv6.isValid(text) : ipaddr.IPv4.isValidFourPartDecimal(text);
}

/** An address, or a network in CIDR. */
export function isNetwork(text: string): boolean {
  const [address = '', bits] = text.split('/', 2);
  return isAddress(address) && (bits === undefined || ipaddr.isValidCIDR(text));
}

/** A set of addresses and networks. */
export class TrustedPeers {
  readonly #networks: readonly [ipaddr.IPv4 | ipaddr.IPv6, number][];

  /** @param networks addresses or CIDR; the configuration has validated them. */
  constructor(networks: readonly string[]) {
    this.#networks = networks.map((network) => {
      if (network.includes('/')) return ipaddr.parseCIDR(network);
      const address = ipaddr.process(network);
      return [address, address.kind() === 'ipv4' ? 32 : 128];
    });
  }

  /** @param address in normal form (see normalAddress). */
  has(address: string): boolean {
    if (this.#networks.length === 0 || !isAddress(address)) return false;
    const parsed = ipaddr.process(address);
    return this.#networks.some(
      ([network, bits]) => network.kind() === parsed.kind() && parsed.match(network, bits),
    );
  }
}

/** IPv4-mapped IPv6 counts as IPv4; anything that is no address is returned as it is. */
export function normalAddress(address: string): string {
  return address.startsWith('::') && isAddress(address) ? ipaddr.process(address).toString() : address;
}

/** IPv6 addresses of one client come from one /64 (RFC 6177): their first half stands for all of them. */
export function clientNetwork(address: string): string {
  if (!address.includes(':') || !isAddress(address)) return address;
  const parsed = ipaddr.process(address);
  return parsed instanceof ipaddr.IPv6
    ? `${parsed.parts
        .slice(0, 4)
        .map((part) => part.toString(16))
        .join(':')}::/64`
    : parsed.toString();
}

/**
 * The rightmost address of X-Forwarded-For that is no trusted proxy; the peer if there is none.
 *
 * @param chain the header's values joined by commas, leftmost first
 */
export function clientAddress(peer: string, chain: string | undefined, trusted: TrustedPeers): string {
  if (chain === undefined || !trusted.has(peer)) return peer;
  let client = peer;
  for (const hop of chain.split(',').reverse()) {
    const address = normalAddress(
      hop
        .trim()
        .replace(/^\[([^\]]*)\](?::\d+)?$/, '$1')
        .replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1'),
    );
    // A trusted proxy writes addresses only: the hop that wrote anything else is the last one known.
    if (!isAddress(address)) return client;
    client = address;
    if (!trusted.has(address)) return client;
  }
  return client;
}

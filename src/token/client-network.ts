/**
 * Which client an address stands for where clients are bounded. Pure.
 *
 * One IPv6 client commonly has a whole /64 (RFC 6177): bounded by address, it could take every place for itself.
 */
import ipaddr from 'ipaddr.js';

const IPV6_NETWORK_GROUPS = 4;

/**
 * IPv4: the address. IPv6: its /64.
 *
 * @param clientIp in normal form (see normalAddress); text that is no address stands for itself
 */
export function clientNetwork(clientIp: string): string {
  if (!clientIp.includes(':') || !ipaddr.IPv6.isValid(clientIp)) return clientIp;
  const address = ipaddr.IPv6.parse(clientIp);
  if (address.isIPv4MappedAddress()) return address.toIPv4Address().toString();
  const groups = address.parts.slice(0, IPV6_NETWORK_GROUPS);
  return `${groups.map((group) => group.toString(16)).join(':')}::/64`;
}

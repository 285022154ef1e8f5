/** Which servers NO_PROXY leaves out, as curl, Go and Python read it. Pure. */
import ipaddr from 'ipaddr.js';
import { isAddress } from '../http/client-address.ts';

/**
 * @param noProxy names, addresses and networks (CIDR), separated by commas or spaces. A name stands for itself and
 *                all names below it, `*` for everything; a port may follow a name or an address.
 * @param hostname of a URL; an IPv6 address may be in brackets
 */
export function isLeftOut(noProxy: string, hostname: string, port: number): boolean {
  const host = plainName(hostname.replace(/^\[|\]$/g, ''));
  return noProxy
    .split(/[,\s]+/)
    .filter((entry) => entry !== '')
    .some((entry) => matches(entry, host, port));
}

function matches(entry: string, host: string, port: number): boolean {
  if (entry === '*') return true;
  if (entry.includes('/')) return isInNetwork(entry, host);
  const [, bracketed, plain, portText] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(entry) ?? [];
  if (portText !== undefined && Number(portText) !== port) return false;
  // Several colons without brackets: an IPv6 address.
  const name = plainName(bracketed ?? plain ?? entry);
  if (isAddress(name))
    return isAddress(host) && ipaddr.process(name).toString() === ipaddr.process(host).toString();
  const suffix = name.replace(/^\*?\./, '');
  return (host === suffix && !name.startsWith('*')) || host.endsWith(`.${suffix}`);
}

function isInNetwork(network: string, host: string): boolean {
  if (!isAddress(host) || !ipaddr.isValidCIDR(network)) return false;
  const [base, bits] = ipaddr.parseCIDR(network);
  const address = ipaddr.process(host);
  return address.kind() === base.kind() && address.match(base, bits);
}

/** Names are the same in any case, and with the dot of the root. */
function plainName(name: string): string {
  return name.toLowerCase().replace(/(?<=.)\.$/, '');
}

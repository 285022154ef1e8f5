/** Names and addresses of this very machine. Pure. */
import ipaddr from 'ipaddr.js';
import { isAddress } from './client-address.ts';

/** @param hostname of a URL or of a listener; an IPv6 address may be in brackets */
export function isLoopback(hostname: string): boolean {
  const bare = hostname.replace(/^\[|\]$/g, '');
  return bare === 'localhost' || (isAddress(bare) && ipaddr.process(bare).range() === 'loopback');
}

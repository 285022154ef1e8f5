/**
 * One name, one reading of a host. Each spelling that some reader takes for the same host is brought to one form, or
 * it is refused; so a route that guards a host guards every spelling of it. Pure.
 *
 * RFC 9110 sections 4.2.3 and 7.2, RFC 3986 section 3.2.2, WHATWG URL section 3.5. Rules H6, C12, C22.
 *
 * | spelling                                | reading                                                |
 * | --------------------------------------- | ------------------------------------------------------ |
 * | capital letters                         | lower case                                             |
 * | one dot at the end: the DNS root        | removed                                                |
 * | the default port of the scheme          | removed; any other port loses its leading zeros        |
 * | IPv6                                    | its shortest form (RFC 5952)                           |
 * | IPv4                                    | four decimal parts; octal, hex and short forms: refused|
 * | IPv6 zone id, IPvFuture                 | refused: they mean something on one machine only       |
 * | empty label: two dots, a dot in front   | refused                                                |
 * | percent-encoding                        | refused: some readers decode it, some do not           |
 * | non-ASCII                               | refused: clients send A-labels (`xn--`)                |
 * | `xn--` before ASCII alone (`xn--api-`)  | refused: a reader that decodes it takes it for `api`   |
 * | userinfo, other marks, an empty port    | refused                                                |
 */
import { isAddress } from './client-address.ts';
import { RecentReadings } from './recent-readings.ts';

/** A host that has one reading. */
export interface HostReading {
  /** The name and, where it is not the default of the scheme, the port. */
  readonly authority: string;
  /** The name alone; an IPv6 address in brackets. */
  readonly hostname: string;
}

const HOST = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9_.-]{1,255})(?::([0-9]{1,5}))?$/i;
const LABELS = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;
/** What WHATWG URL calls "ends in a number": such a name is an IPv4 address or none at all. */
const ENDS_IN_NUMBER = /(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$/;
/** Punycode that encodes nothing (RFC 3492 section 6.3); no A-label is written so (RFC 5890 section 2.3.2.1). */
const ASCII_ALABEL = /(?:^|\.)xn--(?:[^.]*-)?(?:\.|$)/;
const DEFAULT_PORTS = { http: 80, https: 443 } as const;

const recent = { http: new RecentReadings<HostReading>(), https: new RecentReadings<HostReading>() } as const;

/**
 * Reads a host as it stands in Host, `:authority` or a URL.
 *
 * @param text as it came; nothing of it is trusted
 * @param scheme whose default port is left out
 * @returns undefined if it is refused
 */
export function readHost(text: string, scheme: 'http' | 'https'): HostReading | undefined {
  const known = recent[scheme].get(text);
  if (known) return known;
  const reading = readClosely(text, scheme);
  if (reading) recent[scheme].add(text, reading);
  return reading;
}

/** Do both texts name one host, and can both be read? */
export function isSameHost(one: string, other: string, scheme: 'http' | 'https'): boolean {
  const reading = readHost(one, scheme);
  return reading !== undefined && reading.authority === readHost(other, scheme)?.authority;
}

function readClosely(text: string, scheme: 'http' | 'https'): HostReading | undefined {
  const [, name = '', port] = HOST.exec(text) ?? [];
  const hostname = name.startsWith('[') ? shortestAddress(name) : readName(name.toLowerCase());
  if (hostname === undefined) return undefined;
  const number = port === undefined ? DEFAULT_PORTS[scheme] : Number(port);
  if (number > 65_535) return undefined;
  return { authority: number === DEFAULT_PORTS[scheme] ? hostname : `${hostname}:${number}`, hostname };
}

function shortestAddress(literal: string): string | undefined {
  return URL.parse(`http://${literal}/`)?.hostname;
}

function readName(text: string): string | undefined {
  const name = text.endsWith('.') ? text.slice(0, -1) : text;
  if (!LABELS.test(name)) return undefined;
  if (ENDS_IN_NUMBER.test(name)) return isAddress(name) ? name : undefined;
  return ASCII_ALABEL.test(name) ? undefined : name;
}

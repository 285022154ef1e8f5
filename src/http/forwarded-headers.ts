/**
 * X-Forwarded-For, -Proto, -Host and -Prefix for the upstream (rules F1, F2). Pure.
 */
import { HeaderKind } from './header-names.ts';
import { readHost } from './host-name.ts';
import { valuesOf, type RequestHead } from './request-head.ts';

/**
 * What X-Forwarded-Proto says, in any case of letters. Proxies that pass on a WebSocket handshake may write ws or wss
 * (Traefik): RFC 6455 section 3 makes these http and https.
 *
 * @returns undefined for anything else
 */
export function forwardedScheme(value: string): 'http' | 'https' | undefined {
  switch (value.toLowerCase()) {
    case 'https':
    case 'wss':
      return 'https';
    case 'http':
    case 'ws':
      return 'http';
    default:
      return undefined;
  }
}

/** Every X-Forwarded-For value of the request, joined as one list; undefined if there is none. */
export function forwardedForChain(head: RequestHead): string | undefined {
  const values = valuesOf(head, HeaderKind.forwardedFor).filter((value) => value !== '');
  return values.length === 0 ? undefined : values.join(', ');
}

/**
 * Adds the three headers for the upstream. For a trusted peer it extends the chain and keeps Proto and Host if they are
 * single and valid, in their one form. For any other peer the gateway writes all three.
 *
 * @param headers names and values in turn
 */
export function pushForwardedHeaders(
  headers: string[],
  head: RequestHead,
  peer: string,
  peerIsTrusted: boolean,
): void {
  if (!peerIsTrusted) {
    headers.push(
      'x-forwarded-for',
      peer,
      'x-forwarded-proto',
      head.scheme,
      'x-forwarded-host',
      head.authority,
    );
    return;
  }
  const chain = forwardedForChain(head);
  const scheme = forwardedSchemeOf(head) ?? head.scheme;
  headers.push(
    'x-forwarded-for',
    chain === undefined ? peer : `${chain}, ${peer}`,
    'x-forwarded-proto',
    scheme,
    'x-forwarded-host',
    forwardedHostOf(head, scheme) ?? head.authority,
  );
}

/** What a trusted peer says in X-Forwarded-Proto, if it is single and valid. */
export function forwardedSchemeOf(head: RequestHead): 'http' | 'https' | undefined {
  const proto = single(valuesOf(head, HeaderKind.forwardedProto));
  return proto === undefined ? undefined : forwardedScheme(proto);
}

/** What a trusted peer says in X-Forwarded-Host, in its one form, if it is single and valid. */
export function forwardedHostOf(head: RequestHead, scheme: 'http' | 'https'): string | undefined {
  const host = single(valuesOf(head, HeaderKind.forwardedHost));
  return host === undefined ? undefined : readHost(host, scheme)?.authority;
}

/** Whole segments of a path, nothing that a reader could take for another host or for a way up. */
const PREFIX = /^(?:\/(?!\.{1,2}(?:\/|$))(?:[A-Za-z0-9._~!$&'()*+;=:@-]|%(?:20|2C|[89A-F][0-9A-F]))+)+$/i;

/**
 * Adds X-Forwarded-Prefix: what was taken from the front of the path, which a service needs for links to itself. A
 * prefix that proxies in front of us took comes first, from a trusted peer and if valid; else it is dropped.
 *
 * @param headers names and values in turn
 * @param stripped what this gateway took, without `/` at its end; empty: nothing
 */
export function pushForwardedPrefix(
  headers: string[],
  head: RequestHead,
  peerIsTrusted: boolean,
  stripped: string,
): void {
  const outer =
    peerIsTrusted && head.kinds.includes(HeaderKind.forwardedPrefix)
      ? outerPrefix(valuesOf(head, HeaderKind.forwardedPrefix))
      : '';
  if (outer !== '' || stripped !== '') headers.push('x-forwarded-prefix', outer + stripped);
}

/** One path of the prefixes that several proxies took, each in a line or a member of its own; empty if one is invalid. */
function outerPrefix(values: readonly string[]): string {
  const prefixes = values
    .flatMap((value) => value.split(','))
    .map((member) => member.trim().replace(/\/$/, ''))
    .filter((member) => member !== '');
  return prefixes.every((member) => PREFIX.test(member)) ? prefixes.join('') : '';
}

function single(values: readonly string[]): string | undefined {
  return values.length === 1 ? values[0] : undefined;
}

/**
 * The URL by which clients reach a listener or a route, and that of a request as its client has written it. Pure.
 * RFC 9449 section 4.3, RFC 9728 section 3.
 */
import { forwardedHostOf, forwardedSchemeOf } from './forwarded-headers.ts';
import { readHost } from './host-name.ts';
import { hasOneReading } from './path-policy.ts';
import type { RequestHead } from './request-head.ts';

export interface PublicUrl {
  readonly scheme: 'http' | 'https';
  /** In its one form (see readHost), without a default port. */
  readonly authority: string;
  /** Without port. */
  readonly hostname: string;
  /** Without `/` at its end; empty where there is none. */
  readonly path: string;
  /** The whole URL in its one form. It is the identifier of a protected resource. */
  readonly href: string;
}

const PUBLIC_URL = /^(https?):\/\/([^/?#\\@]+)(\/[^?#\\]*)?$/i;

/** @returns undefined for a text that is no such URL: with credentials, a query or a fragment, or with several readings */
export function readPublicUrl(text: string): PublicUrl | undefined {
  const [, schemeText = '', host = '', pathText = ''] = PUBLIC_URL.exec(text) ?? [];
  const scheme = schemeText.toLowerCase();
  if (scheme !== 'http' && scheme !== 'https') return undefined;
  const reading = readHost(host, scheme);
  if (!reading || (pathText !== '' && !hasOneReading(pathText))) return undefined;
  const { authority, hostname } = reading;
  const href = `${scheme}://${authority}${pathText === '/' ? '' : pathText}`;
  return { scheme, authority, hostname, path: pathText.replace(/\/$/, ''), href };
}

/**
 * The URL of a request as its client has written it, before proxies in front and this gateway changed the path; without
 * the query. Of the client's own headers only Host counts, and only where the configuration names no URL: then the route names
 * its hosts. X-Forwarded-Prefix does not count, since many proxies pass on what a client says there.
 *
 * @param route its public URL, of which the path is part of the request's own
 * @param listener its public URL, of which a proxy in front has taken the path
 * @param peerIsTrusted its X-Forwarded-Proto and -Host are believed
 */
export function urlOfRequest(
  head: RequestHead,
  route: PublicUrl | undefined,
  listener: PublicUrl | undefined,
  peerIsTrusted: boolean,
): string {
  const known = route ?? listener;
  const scheme = known?.scheme ?? ((peerIsTrusted && forwardedSchemeOf(head)) || head.scheme);
  const authority = known?.authority ?? ((peerIsTrusted && forwardedHostOf(head, scheme)) || head.authority);
  return `${scheme}://${authority}${listener?.path ?? ''}${head.path}`;
}

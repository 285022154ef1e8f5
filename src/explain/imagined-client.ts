/** The client of an imagined request, as far as it shows what it holds; by which URL it reaches the gateway; and what of a request it can. */
import { METHODS } from 'node:http';
import type { LoadedConfiguration } from '../config/load.ts';
import { clientCertificateOf, type ClientCertificate } from '../http/client-cert-header.ts';
import { TrustedPeers } from '../http/client-address.ts';
import { fieldPairs } from '../http/field-list.ts';
import { readHost } from '../http/host-name.ts';
import type { PublicUrl } from '../http/public-url.ts';
import type { RawHead, RequestHead } from '../http/request-head.ts';

/**
 * A dry run has no listener and no connection: a peer's header is believed where any listener believes it.
 *
 * @param given the thumbprint of the certificate that the request is to come with
 */
export function imaginedCertificate(
  { configuration }: LoadedConfiguration,
  head: RequestHead,
  peer: string,
  given: string | undefined,
): ClientCertificate {
  const believed = new TrustedPeers(
    configuration.listeners.flatMap((listener) => listener.client_cert_header?.peers ?? []),
  );
  return clientCertificateOf(head, believed.has(peer), () => given);
}

/** That of the listener which has the place of the request; else of the only one that forwards. */
export function imaginedPublicUrl(
  { configuration: { listeners } }: LoadedConfiguration,
  { scheme, authority }: Pick<RequestHead, 'scheme' | 'authority'>,
): PublicUrl | undefined {
  const own = readHost(authority, scheme)?.authority;
  const fitting = listeners.find(
    ({ public_url: url, serve }) => serve !== 'redirect' && url?.scheme === scheme && url.authority === own,
  );
  const [only, second] = listeners.filter(({ serve }) => serve === undefined);
  return fitting?.public_url ?? (second === undefined ? only?.public_url : undefined);
}

/** What Node's parser lets pass of a head: everything else never reaches the gateway. */
export function parserTakes({ method, target, rawHeaders }: RawHead): boolean {
  return (
    METHODS.includes(method) &&
    /^[\x21-\x7e\x80-\xff]+$/.test(target) &&
    fieldPairs(rawHeaders).every(
      ([name, value]) =>
        /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) && /^[\t\x20-\x7e\x80-\xff]*$/.test(value),
    )
  );
}

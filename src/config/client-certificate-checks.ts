/** What is wrong, risky or good to know about client certificates of listeners, and of the proxies that pass them on. Pure. */
import { isNetwork } from '../http/client-address.ts';
import type { Problem } from './problem.ts';
import { listOf, rawOf, type Raw } from './raw-document.ts';
import type { Configuration } from './schema.ts';

type Listener = Configuration['listeners'][number];

/** Of any document. */
export function clientCertHeaderProblems(raw: Raw): Problem[] {
  return listOf(raw['listeners']).flatMap((listener, index): Problem[] => {
    const { client_cert_header, serve } = rawOf(listener);
    if (client_cert_header === undefined) return [];
    const path = ['listeners', index, 'client_cert_header'];
    return [
      ...(serve === 'redirect'
        ? [
            {
              path,
              atKey: true,
              message: 'has no meaning with serve: redirect, which takes no token; remove it',
            },
          ]
        : []),
      ...listOf(rawOf(client_cert_header)['peers']).flatMap((network, at) =>
        typeof network !== 'string' || isNetwork(network)
          ? []
          : [
              {
                path: [...path, 'peers', at],
                message: 'must be an address or a network such as 10.0.0.0/8; correct it',
              },
            ],
      ),
    ];
  });
}

/** @param isEveryAddress whether a network is all of IPv4 or of IPv6 */
export function clientCertificateWarnings(
  { listeners }: Configuration,
  isEveryAddress: (network: string) => boolean,
): string[] {
  return listeners.flatMap((listener) =>
    (listener.client_cert_header?.peers ?? [])
      .filter(isEveryAddress)
      .map(
        (network) =>
          `${nameOf(listener)} has client_cert_header.peers ${network}: every client names its certificate itself, so that a stolen token that is bound to one passes; name the proxies`,
      ),
  );
}

/** What the configuration alone cannot tell to be safe. */
export function clientCertificateNotes({ listeners }: Configuration): string[] {
  return listeners.flatMap((listener) => {
    const { client_cert_header, tls, serve } = listener;
    const peers = client_cert_header?.peers.join(', ');
    return [
      ...(peers === undefined
        ? []
        : [
            `${nameOf(listener)} believes Client-Cert from ${peers}: the proxy there must overwrite it in every request, and remove it where the client has no certificate`,
          ]),
      ...(peers !== undefined && tls?.client_ca !== undefined && serve !== 'decisions'
        ? [
            `${nameOf(listener)} has client_ca and client_cert_header: tokens from ${peers} are compared with Client-Cert alone, and never with the certificate of the connection`,
          ]
        : []),
      ...(tls?.client_certificates === 'unverified'
        ? [
            `${nameOf(listener)} has client_certificates: unverified: it keeps no client out; only tokens that are bound to a certificate depend on it`,
          ]
        : []),
    ];
  });
}

const nameOf = ({ host, port }: Listener): string => `listeners: ${host}:${port}`;

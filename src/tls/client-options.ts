/** TLS options for connections to a server, in Node's form: PEM. Node's defaults apply to absent parts. */
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';

export interface TlsClient {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** Sent as SNI, and what the certificate must be for. Empty: none is sent, and checkServerIdentity is there. */
  readonly servername?: string;
  readonly checkServerIdentity?: CheckIdentity;
}

type CheckIdentity = (host: string, certificate: PeerCertificate) => Error | undefined;

/** One function for an address, so that options with the same one are equal. */
const byAddress = new Map<string, CheckIdentity>();

/**
 * The server's certificate must be for this name. RFC 6066 section 3: SNI has neither addresses nor the dot of the DNS root.
 *
 * @param name a host name or an address
 */
export function serverNamed(name: string): Pick<TlsClient, 'servername' | 'checkServerIdentity'> {
  if (isIP(name) === 0) return { servername: name.replace(/\.$/, '') };
  let check = byAddress.get(name);
  if (!check) {
    check = (_, certificate) => checkServerIdentity(name, certificate);
    byAddress.set(name, check);
  }
  return { servername: '', checkServerIdentity: check };
}

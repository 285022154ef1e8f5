/** May a client of this listener show a certificate, so that a token can be bound to it (RFC 8705)? Pure. */
import type { Configuration } from './schema.ts';

export function takesCertificates({ tls, client_cert_header }: Configuration['listeners'][number]): boolean {
  return (
    tls?.client_ca !== undefined || tls?.client_certificates !== undefined || client_cert_header !== undefined
  );
}

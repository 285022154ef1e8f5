/** The shape of `tls`, where the gateway is a TLS client and where it is a server. Certificates and keys are PEM. Pure. */
import { createSecureContext } from 'node:tls';
import { z } from 'zod';
import {
  ListenerCertificates,
  PROTOCOLS,
  type ListenerTls,
  type Protocol,
} from '../tls/server-certificates.ts';
import { serverNamed, type TlsClient } from '../tls/client-options.ts';
import { positiveDuration, text } from './scalars.ts';

export const tlsClient = z.strictObject({
  ca: text
    .optional()
    .describe(
      'Certificates of the authorities that are trusted instead of the usual ones (PEM). Set it if the server has a certificate of your own authority.',
    ),
  ca_file: text.optional().describe('File that contains the authorities (PEM).'),
  cert: text
    .optional()
    .describe('Client certificate with its chain (PEM). Set it if the server asks for one (mutual TLS).'),
  cert_file: text.optional().describe('File that contains the client certificate with its chain (PEM).'),
  key: text
    .optional()
    .describe(
      'Private key of the client certificate (PEM). Prefer key_file, which keeps it out of this file.',
    ),
  key_file: text.optional().describe('File that contains the private key of the client certificate (PEM).'),
  server_name: text
    .optional()
    .describe(
      'Name that the certificate of the server must be for; it is also sent as SNI, unless it is an address. Default: the host of the URL. Set it if you connect by an address or another name.',
    ),
});
export type TlsClientConfiguration = z.output<typeof tlsClient>;

const certificate = {
  cert: text.optional().describe('Certificate with its chain (PEM).'),
  cert_file: text.optional().describe('File that contains the certificate with its chain (PEM).'),
  key: text
    .optional()
    .describe('Private key of the certificate (PEM). Prefer key_file, which keeps it out of this file.'),
  key_file: text.optional().describe('File that contains the private key (PEM).'),
};

/** What a server of any kind needs. */
export const tlsServer = z.strictObject({
  ...certificate,
  certificates: z
    .array(z.strictObject(certificate))
    .prefault([])
    .describe('Further certificates. A client gets the one for the host that it names (SNI), or the first.'),
  min_version: z
    .enum(['TLSv1.2', 'TLSv1.3'], 'must be TLSv1.2 or TLSv1.3')
    .prefault('TLSv1.2')
    .describe('Oldest TLS version that is accepted.'),
  client_ca: text
    .optional()
    .describe(
      'Certificates of the authorities of client certificates (PEM). If set, clients are asked for a certificate (mutual TLS).',
    ),
  client_ca_file: text
    .optional()
    .describe('File that contains the authorities of client certificates (PEM).'),
  client_certificates: z
    .enum(['required', 'optional'], 'must be required or optional')
    .optional()
    .describe(
      'What happens to a client without a valid certificate. required (the default with client_ca): its connection is refused. optional: it is accepted.',
    ),
});
export type TlsServerConfiguration = Omit<z.output<typeof tlsServer>, 'client_certificates'> & {
  readonly client_certificates?: 'required' | 'optional' | 'unverified' | undefined;
};

const hsts = z
  .strictObject({
    max_age: positiveDuration
      .prefault('365d')
      .describe('How long browsers remember it. Begin with a short time, such as 5m.'),
    include_subdomains: z
      .boolean()
      .prefault(false)
      .describe('Applies it to all names below this host, too. Set it only if all of them serve https.'),
    preload: z
      .boolean()
      .prefault(false)
      .describe('Consents to the preload lists of browsers. It is hard to undo.'),
  })
  .describe('Tells browsers to use only https for this host (Strict-Transport-Security, RFC 6797).');

/** Of a public listener. */
export const tlsListener = tlsServer.extend({
  client_certificates: z
    .enum(['required', 'optional', 'unverified'], 'must be required, optional or unverified')
    .optional()
    .describe(
      'What happens to a client without a valid certificate. required (the default with client_ca): its connection is refused. optional: it is accepted, and a certificate that is not valid counts as none. ' +
        'unverified: clients are asked for a certificate, and each one counts, also one that no authority has signed or that has expired, but only for tokens that are bound to it (cnf, RFC 8705); it needs no client_ca. Set it if your clients have self-signed certificates.',
    ),
  protocols: z
    .array(z.enum(PROTOCOLS, 'must be h2 or http/1.1'))
    .min(1)
    .optional()
    .describe('The same as protocols beside tls, by its older name; use that one.'),
  http2_strict_fields: z
    .boolean()
    .prefault(true)
    .describe(
      'Counts the fields of each HTTP/2 request as they arrive, and refuses a request with CR, LF, NUL or another byte that no field may have. ' +
        'false: such a field is dropped and the rest of the request is served. This saves a tenth to a quarter of the CPU of HTTP/2; ' +
        'set it only if each client connects directly, and not through a proxy that speaks HTTP/2 to the gateway.',
    ),
  hsts: hsts.optional(),
});
export type TlsListenerConfiguration = z.output<typeof tlsListener>;

/** The value of Strict-Transport-Security. */
export function strictTransportSecurity({ hsts }: TlsListenerConfiguration): string | undefined {
  return (
    hsts &&
    [
      `max-age=${Math.floor(hsts.max_age / 1000)}`,
      ...(hsts.include_subdomains ? ['includeSubDomains'] : []),
      ...(hsts.preload ? ['preload'] : []),
    ].join('; ')
  );
}

/** As a listener takes it. Whatever is a file has been read. */
export function listenerTls(
  tls: TlsServerConfiguration,
  protocols: readonly Protocol[] = ['http/1.1'],
): ListenerTls {
  const pair = ({
    cert = '',
    key = '',
  }: {
    readonly cert?: string | undefined;
    readonly key?: string | undefined;
  }) => ({
    cert,
    key,
  });
  return {
    certificates: [pair(tls), ...tls.certificates.map(pair)],
    protocols,
    minVersion: tls.min_version,
    clientCa: tls.client_ca,
    clientCertificates: tls.client_certificates ?? (tls.client_ca === undefined ? 'none' : 'required'),
  };
}

/** What is wrong with the certificates and keys of a listener; undefined where nothing is. */
export function tlsServerProblem(tls: TlsServerConfiguration): string | undefined {
  if ([tls, ...tls.certificates].some(({ cert, key }) => cert === undefined || key === undefined))
    return 'a certificate or its key is missing; add cert_file and key_file';
  const { client_certificates, client_ca } = tls;
  if (client_certificates === 'unverified' && client_ca !== undefined)
    return 'client_certificates: unverified verifies nothing, so client_ca_file has no meaning; write optional, or remove client_ca_file';
  if (client_certificates !== undefined && client_certificates !== 'unverified' && client_ca === undefined)
    return 'client_certificates has no meaning without client_ca_file; add that, or remove it';
  try {
    new ListenerCertificates(listenerTls(tls));
    return undefined;
  } catch (error) {
    return unusable(error);
  }
}

function unusable(error: unknown): string {
  const what = error instanceof Error ? error.message : String(error);
  return `these certificates cannot be used (${what}); give PEM files that belong together`;
}

/** Which of its keys can be files. */
export const TLS_FILES = ['ca', 'cert', 'key'] as const;

export function tlsClientOptions({ ca, cert, key, server_name }: TlsClientConfiguration): TlsClient {
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(server_name !== undefined && serverNamed(server_name)),
  };
}

/** What is wrong with certificates and keys that were read; undefined where nothing is. */
export function tlsClientProblem(tls: TlsClientConfiguration): string | undefined {
  if ((tls.cert === undefined) !== (tls.key === undefined))
    return 'a client certificate needs its key, and a key its certificate; add cert_file and key_file, or remove both';
  try {
    createSecureContext(tlsClientOptions(tls));
    return undefined;
  } catch (error) {
    return unusable(error);
  }
}

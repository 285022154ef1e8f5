/** The shape of `tls` wherever the gateway is a TLS client. Certificates and keys are PEM. Pure. */
import { createSecureContext } from 'node:tls';
import { z } from 'zod';
import { text } from './scalars.ts';

export const tlsClient = z.strictObject({
  ca: text.optional().describe('Certificates of the authorities that are trusted instead of the usual ones.'),
  ca_file: text.optional().describe('File with them.'),
  cert: text.optional().describe('Client certificate, with its chain.'),
  cert_file: text.optional().describe('File with it.'),
  key: text.optional().describe('Its private key; key_file keeps it out of this file.'),
  key_file: text.optional().describe('File with it.'),
  server_name: text
    .optional()
    .describe(
      "The name that the server's certificate must be for, and that is asked for by SNI. Default: its host.",
    ),
});
export type TlsClientConfiguration = z.output<typeof tlsClient>;

/** Which of its keys can be files. */
export const TLS_FILES = ['ca', 'cert', 'key'] as const;

/** As Node takes it. */
export interface TlsClientOptions {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
}

export function tlsClientOptions({ ca, cert, key, server_name }: TlsClientConfiguration): TlsClientOptions {
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(server_name !== undefined && { servername: server_name }),
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
    const what = error instanceof Error ? error.message : String(error);
    return `these certificates cannot be used (${what}); give PEM files that belong together`;
  }
}

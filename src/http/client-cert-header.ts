/**
 * Which client certificate a request comes with, where a token may be bound to it (RFC 8705 section 3): that of the connection,
 * or that in the header `Client-Cert` of a proxy that ends TLS in front (RFC 9440). Pure. Rule M1.
 *
 * A certificate is known by its thumbprint, as in `cnf["x5t#S256"]`: base64url of the SHA-256 of its DER, 43 characters. Proof of
 * possession is the TLS handshake, here or at the proxy; nothing is verified here but that the bytes are one certificate.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { HeaderKind } from './header-names.ts';
import { RecentReadings } from './recent-readings.ts';
import { valuesOf, type RequestHead } from './request-head.ts';

/**
 * The thumbprint; undefined where there is none; null where a believed proxy says something that is not exactly one
 * certificate, and a request that needs one must be refused.
 */
export type ClientCertificate = string | null | undefined;

/** Of DER. Real certificates have 1 to 4 KiB; those with hundreds of names, more. */
const MAX_CERTIFICATE_BYTES = 16 * 1024;
const MAX_BASE64_CHARACTERS = 4 * Math.ceil(MAX_CERTIFICATE_BYTES / 3);

/** @param der of a whole certificate */
export function certificateThumbprint(der: Uint8Array): string {
  return createHash('sha256').update(der).digest('base64url');
}

/**
 * The certificate that a request comes with.
 *
 * @param isBelieved the peer is one of `client_cert_header.peers`. Then its header alone counts, and never the certificate of
 *                   the connection, which is that of the proxy. From all other peers the header counts for nothing.
 * @param seen what the listener itself has seen of the client's certificate
 */
export function clientCertificateOf(
  head: RequestHead,
  isBelieved: boolean,
  seen: () => ClientCertificate,
): ClientCertificate {
  return isBelieved ? readClientCert(valuesOf(head, HeaderKind.clientCert)) : seen();
}

/**
 * Reads the header of a believed proxy: one line with one byte sequence, without parameters (RFC 8941 section 3.3.5), in the one
 * spelling that its base64 has, so that two readers cannot see two certificates.
 *
 * @param values of all lines of the header
 */
export function readClientCert(values: readonly string[]): ClientCertificate {
  const [value] = values;
  if (value === undefined) return undefined;
  const isSequence = values.length === 1 && value.length >= 2 && value.startsWith(':') && value.endsWith(':');
  return isSequence ? ofBase64(value.slice(1, -1)) : null;
}

/** One PEM block with one line break, or none, behind its last line. */
const PEM = /^-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=\n]+)\n-----END CERTIFICATE-----\n?$/;
/** Percent-encoding makes three characters of one, and PEM has a line break for 64. */
const MAX_ESCAPED_CHARACTERS = 4 * MAX_BASE64_CHARACTERS;

/**
 * Reads the certificate in an attribute of ext_authz: percent-encoded PEM, which Envoy writes itself.
 *
 * @param escaped empty: the client has none
 */
export function readEscapedPem(escaped: string): ClientCertificate {
  if (escaped === '') return undefined;
  if (escaped.length > MAX_ESCAPED_CHARACTERS) return null;
  const [, lines] = PEM.exec(unescaped(escaped)) ?? [];
  return lines === undefined ? null : ofBase64(lines.replaceAll('\n', ''));
}

/** Empty where it is no percent-encoding. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

/** Certificates by their spelling: to read one costs more than all else about a request, and a client sends its own each time. */
const recentCertificates = new RecentReadings<string>({ most: 250, mostCharacters: MAX_BASE64_CHARACTERS });

function ofBase64(base64: string): ClientCertificate {
  const known = recentCertificates.get(base64);
  if (known !== undefined) return known;
  const read = readBase64(base64);
  if (typeof read !== 'string') return read;
  // Only what is well-formed is kept.
  recentCertificates.add(base64, read);
  return read;
}

function readBase64(base64: string): ClientCertificate {
  if (base64 === '' || base64.length > MAX_BASE64_CHARACTERS) return null;
  // Node also decodes base64url, missing padding, white space and bits behind the last byte: none of these comes out again.
  const der = Buffer.from(base64, 'base64');
  return der.toString('base64') === base64 && isOneCertificate(der) ? certificateThumbprint(der) : null;
}

/** Exactly one certificate, in DER: the reader also takes PEM, and ignores what is behind the certificate. */
function isOneCertificate(der: Buffer): boolean {
  try {
    return der.equals(new X509Certificate(der).raw);
  } catch {
    return false;
  }
}

/**
 * TLS of a listener: which certificate a client gets, and whether it must present its own. RFC 8446, RFC 6066 section 3.
 */
import { constants, X509Certificate } from 'node:crypto';
import {
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  type TlsOptions,
} from 'node:tls';

/** PEM, the chain included. */
export interface ServerCertificate {
  readonly cert: string;
  readonly key: string;
}

export interface ListenerTls {
  /** The first is for clients that name no host, or a host without a certificate. */
  readonly certificates: readonly [ServerCertificate, ...ServerCertificate[]];
  readonly protocols: readonly Protocol[];
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Authorities of client certificates, PEM; undefined without a client certificate, or where none is verified. */
  readonly clientCa: string | undefined;
  readonly clientCertificates: ClientCertificates;
}

/**
 * What a listener asks of its clients. `none`: nothing. `required`: a certificate of its authorities. `optional`: the same, or
 * none, or another, which counts as none. `unverified`: any or none; the handshake proves that the client has its key, and
 * that alone is known of it.
 */
export type ClientCertificates = 'none' | 'required' | 'optional' | 'unverified';

/** Names of ALPN (RFC 7301), the preferred one first. */
export const PROTOCOLS = ['h2', 'http/1.1'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** Chooses certificates by the name that a client asks for. They can be replaced while the listener runs. */
export class ListenerCertificates {
  #tls: ListenerTls;
  #byName: readonly { readonly certificate: X509Certificate; readonly context: SecureContext }[];

  /** @throws Error if a certificate or a key is unusable */
  constructor(tls: ListenerTls) {
    this.#tls = tls;
    this.#byName = contextsOf(tls);
  }

  /** For the server's construction. */
  options(handshakeTimeoutMs: number): TlsOptions {
    const { clientCertificates } = this.#tls;
    return {
      ...this.contextOptions,
      handshakeTimeout: handshakeTimeoutMs,
      ALPNProtocols: [...this.#tls.protocols],
      requestCert: clientCertificates !== 'none',
      rejectUnauthorized: clientCertificates === 'required',
      SNICallback: (name, done) => done(null, this.#contextFor(name)),
    };
  }

  /** The certificate of clients that name no host. */
  get contextOptions(): SecureContextOptions {
    return contextOptionsOf(this.#tls, this.#tls.certificates[0]);
  }

  /** @throws Error if a certificate or a key is unusable; then nothing has changed */
  update(tls: ListenerTls): void {
    this.#byName = contextsOf(tls);
    this.#tls = tls;
  }

  #contextFor(name: string): SecureContext | undefined {
    const found = this.#byName.find(({ certificate }) => certificate.checkHost(name) !== undefined);
    return (found ?? this.#byName[0])?.context;
  }
}

function contextsOf(tls: ListenerTls) {
  return tls.certificates.map((pair) => ({
    certificate: new X509Certificate(pair.cert),
    context: createSecureContext(contextOptionsOf(tls, pair)),
  }));
}

function contextOptionsOf(
  { minVersion, clientCa }: ListenerTls,
  { cert, key }: ServerCertificate,
): SecureContextOptions {
  return {
    cert,
    key,
    minVersion,
    // A client could change its certificate in the middle of a connection (RFC 5246 section 7.4.1.1), and cost handshakes.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    ...(clientCa !== undefined && { ca: clientCa }),
  };
}

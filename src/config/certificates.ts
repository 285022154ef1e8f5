/** The certificates of a configuration, and until when they serve. Whatever is a file has been read. Pure. */
import { X509Certificate } from 'node:crypto';
import type { TlsServerConfiguration } from './tls-schema.ts';
import type { Configuration } from './schema.ts';

/** How long before its end a certificate is warned of. */
const SOON_MS = 14 * 24 * 3_600_000;

/** What stands at one key: a certificate with its chain, or the authorities that are trusted. */
export interface ConfiguredCertificate {
  /** `listeners[0].tls.cert`. There are as many as the configuration names, whatever clients send. */
  readonly key: string;
  readonly kind: 'chain' | 'authorities';
  readonly members: readonly CertificateDates[];
}

interface CertificateDates {
  readonly subject: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export type CertificateState = 'valid' | 'expiring' | 'expired' | 'not_yet_valid';

/** Every certificate that the configuration names. PEM blocks that cannot be read are left out. */
export function configuredCertificates(configuration: Configuration): ConfiguredCertificate[] {
  const { listeners, admin, revocation, issuers, upstreams } = configuration;
  return [
    ...listeners.flatMap(({ tls }, index) => ofServer(`listeners[${index}].tls`, tls)),
    ...ofServer('admin.tls', admin.tls),
    ...ofClient('revocation.tls', revocation.tls),
    ...Object.entries(issuers).flatMap(([name, { http }]) => ofClient(`issuers.${name}.http.tls`, http?.tls)),
    ...Object.entries(upstreams).flatMap(([name, { tls }]) => ofClient(`upstreams.${name}.tls`, tls)),
  ].filter(({ members }) => members.length > 0);
}

function ofServer(key: string, tls: TlsServerConfiguration | undefined): ConfiguredCertificate[] {
  if (!tls) return [];
  return [
    chain(`${key}.cert`, tls.cert),
    ...tls.certificates.map(({ cert }, at) => chain(`${key}.certificates[${at}].cert`, cert)),
    authorities(`${key}.client_ca`, tls.client_ca),
  ];
}

function ofClient(key: string, tls: Configuration['revocation']['tls']): ConfiguredCertificate[] {
  return tls ? [chain(`${key}.cert`, tls.cert), authorities(`${key}.ca`, tls.ca)] : [];
}

const chain = (key: string, pem?: string): ConfiguredCertificate => ({
  key,
  kind: 'chain',
  members: datesOf(pem),
});
const authorities = (key: string, pem?: string): ConfiguredCertificate => ({
  key,
  kind: 'authorities',
  members: datesOf(pem),
});

const PEM_BLOCK = /-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----[^]*?-----END \1-----/g;

function datesOf(pem = ''): CertificateDates[] {
  return [...pem.matchAll(PEM_BLOCK)].flatMap(([block]) => {
    try {
      const { subject, validFromDate, validToDate } = new X509Certificate(block);
      return [
        {
          // A certificate may have no subject; its names are elsewhere then.
          subject: subject?.split('\n').join(', ') ?? 'a certificate without a subject',
          notBeforeMs: validFromDate.getTime(),
          notAfterMs: validToDate.getTime(),
        },
      ];
    } catch {
      return [];
    }
  });
}

/**
 * The moment, in milliseconds since 1970, from which this key serves less than now: a chain is broken by its first
 * certificate that ends; authorities lose one at a time, and are past only when the last one is.
 */
export function endsAtMs({ kind, members }: ConfiguredCertificate, nowMs: number): number {
  const ends = members.map(({ notAfterMs }) => notAfterMs);
  const ahead = ends.filter((end) => end > nowMs);
  if (kind === 'chain') return Math.min(...ends);
  return ahead.length > 0 ? Math.min(...ahead) : Math.max(...ends);
}

export function certificateState(certificate: ConfiguredCertificate, nowMs: number): CertificateState {
  const end = endsAtMs(certificate, nowMs);
  if (end <= nowMs) return 'expired';
  const early = certificate.members.map(({ notBeforeMs }) => notBeforeMs > nowMs);
  if (certificate.kind === 'chain' ? early.includes(true) : !early.includes(false)) return 'not_yet_valid';
  return end - nowMs < SOON_MS ? 'expiring' : 'valid';
}

export interface CertificateFinding {
  readonly key: string;
  readonly state: Exclude<CertificateState, 'valid'>;
  /** What is wrong, and one remedy. */
  readonly message: string;
}

/** What an operator must know of the certificates now. `expired` is an error, all else a warning. */
export function certificateFindings(
  certificates: readonly ConfiguredCertificate[],
  nowMs: number,
): CertificateFinding[] {
  return certificates.flatMap((certificate) => {
    const { key, kind, members } = certificate;
    const state = certificateState(certificate, nowMs);
    if (state === 'valid') return expiredMembers(certificate, nowMs);
    const end = endsAtMs(certificate, nowMs);
    const start = Math.max(...members.map(({ notBeforeMs }) => notBeforeMs));
    const subject =
      members.find(({ notAfterMs, notBeforeMs }) =>
        state === 'not_yet_valid' ? notBeforeMs === start : notAfterMs === end,
      )?.subject ?? '';
    const what = kind === 'chain' ? 'certificate' : 'authority';
    const message = {
      expired: `the ${what} "${subject}" expired at ${dateText(end)}; put a new one there`,
      expiring: `the ${what} "${subject}" expires at ${dateText(end)}; renew it before`,
      not_yet_valid: `the ${what} "${subject}" is valid only from ${dateText(start)}; use the one before, or correct the clock`,
    }[state];
    return [
      { key, state, message: `${key}: ${message}` },
      ...(state === 'expired' ? [] : expiredMembers(certificate, nowMs)),
    ];
  });
}

/** One of several authorities has expired: what it signed is refused, what others signed is not. */
function expiredMembers({ key, members }: ConfiguredCertificate, nowMs: number): CertificateFinding[] {
  return members
    .filter(({ notAfterMs }) => notAfterMs <= nowMs)
    .map(({ subject, notAfterMs }) => ({
      key,
      state: 'expiring',
      message: `${key}: one of the authorities, "${subject}", expired at ${dateText(notAfterMs)}; remove it`,
    }));
}

function dateText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19) + 'Z';
}

/** Tells of certificates that end, or have ended: when they are loaded, and once a day from then on. */
import type { Clock } from '../clock.ts';
import {
  certificateFindings,
  certificateState,
  configuredCertificates,
  endsAtMs,
  type CertificateState,
  type ConfiguredCertificate,
} from '../config/certificates.ts';
import type { Configuration } from '../config/schema.ts';
import type { Logger } from '../telemetry/logger.ts';

const DAY_MS = 24 * 3_600_000;

export interface CertificateStatus {
  readonly key: string;
  readonly state: CertificateState;
  /** RFC 3339. */
  readonly expires_at: string;
  /** Negative once it has expired. */
  readonly expires_in_seconds: number;
}

export class CertificateWatch {
  readonly #clock: Clock;
  readonly #logger: Logger;
  #certificates: readonly ConfiguredCertificate[] = [];
  #cancel: () => void = () => undefined;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** These are in use from now on; tells of them at once. */
  use(configuration: Configuration): void {
    this.#certificates = configuredCertificates(configuration);
    this.#tell();
  }

  stop(): void {
    this.#cancel();
  }

  /** For the admin API. */
  get status(): CertificateStatus[] {
    const nowMs = this.#clock.nowMs();
    return this.#certificates.map((certificate) => {
      const end = endsAtMs(certificate, nowMs);
      return {
        key: certificate.key,
        state: certificateState(certificate, nowMs),
        expires_at: new Date(end).toISOString(),
        expires_in_seconds: Math.floor((end - nowMs) / 1000),
      };
    });
  }

  /** For the metrics: by key, in seconds since 1970. */
  ends(set: (seconds: number, key: string) => void): void {
    const nowMs = this.#clock.nowMs();
    for (const certificate of this.#certificates) set(endsAtMs(certificate, nowMs) / 1000, certificate.key);
  }

  #tell(): void {
    this.#cancel();
    for (const { key, state, message } of certificateFindings(this.#certificates, this.#clock.nowMs()))
      this.#logger[state === 'expired' ? 'error' : 'warn']({ certificate: key, state }, message);
    if (this.#certificates.length > 0) this.#cancel = this.#clock.after(DAY_MS, () => this.#tell());
  }
}

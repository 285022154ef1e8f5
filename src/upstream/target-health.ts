/**
 * Whether a target should get requests, by its health checks and by the results of the requests that it got.
 */
import type { Clock } from '../clock.ts';
import { describeError } from '../telemetry/logger.ts';

/** Passive health check: after this many failures in a row a target gets no requests for a while. */
export interface EjectPolicy {
  readonly errors: number;
  readonly forMs: number;
}

/** Why a target's availability has changed. */
export type HealthChange =
  'check_failed' | 'check_passed' | 'ejected' | 'readmitted' | 'unreachable' | 'reachable';

export class TargetHealth {
  readonly #eject: EjectPolicy | undefined;
  readonly #clock: Clock;
  readonly #changed: (change: HealthChange, cause: string | undefined) => void;
  #passesChecks = true;
  #finding = '';
  #isEjected = false;
  /** What the request said that ejected it. */
  #lastFailure = '';
  /** Failed requests in a row. */
  #failures = 0;
  #cancelReadmission: () => void = () => undefined;

  /** @param changed gets what the deciding check, or request, has found out, too */
  constructor(
    eject: EjectPolicy | undefined,
    clock: Clock,
    changed: (change: HealthChange, cause: string | undefined) => void,
  ) {
    this.#eject = eject;
    this.#clock = clock;
    this.#changed = changed;
  }

  get available(): boolean {
    return this.#passesChecks && !this.#isEjected;
  }

  /** A response has begun. */
  responded(): void {
    this.#failures = 0;
  }

  /** A connection error, a timeout, or a response that broke the protocol or was cut off. */
  failed(error: unknown): void {
    if (!this.#eject || ++this.#failures < this.#eject.errors || this.#isEjected) return;
    this.#isEjected = true;
    this.#lastFailure = describeError(error);
    this.#changed('ejected', this.#lastFailure);
    this.#cancelReadmission = this.#clock.after(this.#eject.forMs, () => this.#readmit());
  }

  /** Why it gets no requests; undefined while it does. */
  get cause(): string | undefined {
    if (!this.#passesChecks) return `health check: ${this.#finding}`;
    return this.#isEjected
      ? `too many requests failed in a row, the last one by: ${this.#lastFailure}`
      : undefined;
  }

  /**
   * The health checks have reached a result.
   *
   * @param finding what the last of them has found out
   */
  checked(passes: boolean, finding: string): void {
    if (passes === this.#passesChecks) return;
    this.#passesChecks = passes;
    this.#finding = finding;
    this.#changed(passes ? 'check_passed' : 'check_failed', finding);
  }

  close(): void {
    this.#cancelReadmission();
  }

  #readmit(): void {
    this.#isEjected = false;
    // On probation: one more failure is enough.
    this.#failures = (this.#eject?.errors ?? 1) - 1;
    this.#changed('readmitted', undefined);
  }
}

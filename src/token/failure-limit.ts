/**
 * How many refused credentials an address may send. Beyond it nothing that it sends is verified: who tries tokens, or floods with made-up
 * ones, costs neither cryptography nor calls to a server. What a cache knows as good is spared, so that those who share the address and
 * were there before go on. Knows addresses alone (rule L3).
 */
import type { Clock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import type { LocalLimiter } from '../limits/local-limiter.ts';
import { orElse, whenReady, type MaybePromise } from '../maybe-promise.ts';
import type { PlacedLimit } from './placed-limits.ts';

export class FailureLimit {
  readonly #placed: PlacedLimit;
  readonly #limiter: LocalLimiter;
  readonly #clock: Clock;

  constructor(placed: PlacedLimit, limiter: LocalLimiter, clock: Clock) {
    this.#placed = placed;
    this.#limiter = limiter;
    this.#clock = clock;
  }

  get name(): string {
    return this.#placed.limit.name;
  }

  get reportOnly(): boolean {
    return this.#placed.limit.reportOnly;
  }

  /** @returns undefined: its credentials are looked at */
  refusalOf(address: string): GatewayError | undefined {
    const verdict = this.#limiter.look(this.#placed.keys.ofAddress(address), this.#clock.monotonicMs());
    return verdict.allowed ? undefined : this.#placed.refusals.of(verdict);
  }

  /** What the steps come to that look at a credential of this address, counted. */
  counting<T>(address: string, line: () => MaybePromise<T>): MaybePromise<T> {
    const settled = orElse(line, (error) => {
      this.#count(address, error);
      throw error;
    });
    return whenReady(settled, (outcome) => {
      this.#count(address, outcome);
      return outcome;
    });
  }

  #count(address: string, outcome: unknown): void {
    if (outcome instanceof GatewayError && isFailure(outcome))
      this.#limiter.take(this.#placed.keys.ofAddress(address), this.#clock.monotonicMs());
  }
}

/**
 * A credential that is not good. Not: none at all, or a server that cannot be asked; nor what a good client meets: a
 * nonce that it must use from now on, and a login that is too old for one route.
 */
function isFailure({ status, reason, challenge }: GatewayError): boolean {
  return (
    status === 401 &&
    reason !== undefined &&
    reason !== 'missing' &&
    reason !== 'step_up' &&
    challenge?.error !== 'use_dpop_nonce'
  );
}

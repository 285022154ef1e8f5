/** Load shedding: a request above `limits.in_flight` is refused before the gateway works on it. */
import { OVERLOADED } from '../errors.ts';

/** How many requests this process serves now, on all listeners. It outlives a reload. */
export class InFlight {
  count = 0;
}

/** Refuses requests above a limit. Each generation has its own limit over the same count. */
export class InFlightLimiter {
  readonly #inFlight: InFlight;
  readonly #limit: number;

  /** @param limit 0 = no limit */
  constructor(inFlight: InFlight, limit: number) {
    this.#inFlight = inFlight;
    this.#limit = limit;
  }

  /** A request has begun. Each call needs one call of `leave`. */
  enter(): void {
    this.#inFlight.count++;
  }

  /** A request has ended. */
  leave(): void {
    this.#inFlight.count--;
  }

  /** @throws GatewayError 503 OVERLOADED where more requests are in flight than the limit; the caller's own request counts */
  check(): void {
    if (this.#limit > 0 && this.#inFlight.count > this.#limit) throw OVERLOADED;
  }
}

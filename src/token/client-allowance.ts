/**
 * How much of an authorization server one client may use: calls in flight, and calls in a second. Pure but for the
 * clock.
 *
 * Without it one client with made-up tokens uses up the limit that the authorization server sets for the gateway, and
 * with it the tokens of all others. Rule C23.
 */
import type { Clock } from '../clock.ts';

export interface ClientLimits {
  /** 0: no limit. */
  readonly inFlight: number;
  /** 0: no limit. */
  readonly perSecond: number;
}

const WINDOW_MS = 1_000;

/** Its memory is bounded by the calls in flight and by those of one second. */
export class ClientAllowance {
  readonly #limits: ClientLimits;
  readonly #clock: Clock;
  readonly #inFlight = new Map<string, number>();
  readonly #inWindow = new Map<string, number>();
  #windowEndsAtMs = -Infinity;

  constructor(limits: ClientLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /**
   * Claims one call; leave() must follow.
   *
   * @param client its address, or its network
   * @returns false, and nothing is claimed, where the client has as many as it may
   */
  enter(client: string): boolean {
    const { inFlight, perSecond } = this.#limits;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs >= this.#windowEndsAtMs) {
      this.#inWindow.clear();
      this.#windowEndsAtMs = nowMs + WINDOW_MS;
    }
    const flying = this.#inFlight.get(client) ?? 0;
    const asked = this.#inWindow.get(client) ?? 0;
    if ((inFlight > 0 && flying >= inFlight) || (perSecond > 0 && asked >= perSecond)) return false;
    this.#inFlight.set(client, flying + 1);
    if (perSecond > 0) this.#inWindow.set(client, asked + 1);
    return true;
  }

  leave(client: string): void {
    const flying = (this.#inFlight.get(client) ?? 0) - 1;
    if (flying > 0) this.#inFlight.set(client, flying);
    else this.#inFlight.delete(client);
  }
}

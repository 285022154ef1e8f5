/** The buckets of limits as a worker has them: it asks the primary, which says with each reply how many count together. Rule L2. */
import { RESPONSE_MS, type LeaseAsk, type LeaseReply, type LeaseStore } from '../limits/lease-store.ts';
import type { RateLimit } from '../limits/rate-limit.ts';
import type { PrimaryCalls } from './calls.ts';
import type { Channel } from './channel.ts';

/** The store of the primary has its own limit; a primary that says nothing for longer is stuck. */
const TIMEOUT_MS = RESPONSE_MS + 500;

export class AskedLeaseStore implements LeaseStore {
  readonly #primary: Channel<PrimaryCalls>;
  readonly #scope: RateLimit['scope'];
  readonly #onGateways: (gateways: number) => void;

  /** @param onGateways told how many processes of the fleet count together */
  constructor(
    primary: Channel<PrimaryCalls>,
    scope: RateLimit['scope'],
    onGateways: (gateways: number) => void,
  ) {
    this.#primary = primary;
    this.#scope = scope;
    this.#onGateways = onGateways;
  }

  async ask(asks: readonly LeaseAsk[]): Promise<readonly LeaseReply[]> {
    const question = { scope: this.#scope, asks };
    const outcome = await this.#primary.call('leases', question, TIMEOUT_MS);
    this.#onGateways(outcome.gateways);
    if ('replies' in outcome) return outcome.replies;
    const { failed, code } = outcome;
    throw Object.assign(new Error(failed), code !== undefined && { code });
  }

  async close(): Promise<void> {
    // The channel is the process's, and the store the primary's.
  }
}

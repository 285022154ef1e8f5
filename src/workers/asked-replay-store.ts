/** The memory of used proofs as a worker has it: it asks the primary, once for all proofs of a turn. Rule D14. */
import { Batch, type Outcome } from '../replay/batch.ts';
import { restoredError, type ReplayStore } from '../replay/replay-store.ts';
import { keptMs, RESPONSE_MS } from '../replay/used-proofs.ts';
import type { PrimaryCalls, ProofUse } from './calls.ts';
import type { Channel } from './channel.ts';

/** The store of the primary has its own limit; a primary that says nothing for longer is stuck. */
const TIMEOUT_MS = RESPONSE_MS + 500;

export class AskedReplayStore implements ReplayStore {
  readonly #primary: Channel<PrimaryCalls>;
  readonly #batch = new Batch<ProofUse, boolean>((uses) => this.#ask(uses));

  constructor(primary: Channel<PrimaryCalls>) {
    this.#primary = primary;
  }

  async firstUse(namespace: string, id: string, ttlMs: number): Promise<boolean> {
    // Checked here: the way to the primary loses what is no number.
    return this.#batch.ask({ namespace, id, ttlMs: keptMs(ttlMs) });
  }

  isUsed(namespace: string, id: string): Promise<boolean> {
    return this.#primary.call('isUsed', { namespace, id }, TIMEOUT_MS);
  }

  resize(): void {
    // The primary has the same configuration.
  }

  async close(): Promise<void> {
    // The channel is the process's.
  }

  async #ask(uses: readonly ProofUse[]): Promise<readonly Outcome<boolean>[]> {
    const outcomes = await this.#primary.call('firstUses', uses, TIMEOUT_MS);
    return outcomes.map((outcome) =>
      typeof outcome === 'boolean'
        ? { value: outcome }
        : { error: restoredError(outcome.failed, outcome.code) },
    );
  }
}

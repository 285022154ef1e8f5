/**
 * The memory of used proofs of a gateway with workers, at the primary: no two workers accept one proof. It alone has a connection
 * to the store. Rule D14.
 */
import type { ReplayStore } from '../replay/replay-store.ts';
import type { PrimaryCalls, ProofOutcome, ProofUse } from './calls.ts';
import type { Handlers } from './channel.ts';

export class SharedReplay {
  readonly store: ReplayStore;

  constructor(store: ReplayStore) {
    this.store = store;
  }

  /** What workers may ask. */
  get handlers(): Handlers<Pick<PrimaryCalls, 'firstUses' | 'isUsed'>> {
    return {
      firstUses: (uses) => Promise.all(uses.map((use) => this.#outcomeOf(use))),
      isUsed: ({ namespace, id }) => this.store.isUsed(namespace, id),
    };
  }

  async #outcomeOf({ namespace, id, ttlMs }: ProofUse): Promise<ProofOutcome> {
    try {
      return await this.store.firstUse(namespace, id, ttlMs);
    } catch (error) {
      const { message, code } = error as NodeJS.ErrnoException;
      return { failed: message, code };
    }
  }
}

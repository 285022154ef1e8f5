/**
 * How many proofs of one key may pass within a time. Pure but for the clock.
 *
 * Without it one client fills the memory of used proofs, which forgets none early and then refuses the proofs of all others.
 * Each process counts for itself. Rule D14.
 */
import type { Clock } from '../clock.ts';

export interface ProofLimits {
  /** Proofs of one key within any time of this length. 0: no limit. */
  readonly perKey: number;
  readonly windowMs: number;
  /** Keys that are remembered. Beyond it the one that was silent for longest is forgotten, and begins from none. */
  readonly keys?: number;
}

/** The window is counted in slots: so many, and the one that has begun. A proof counts for up to an eighth longer. */
const SLOTS = 8;
const COUNTED_SLOTS = SLOTS + 1;
/** Some 250 bytes each. */
const MAX_KEYS = 100_000;

/** The slot in which a proof was counted. */
export type Claim = number;

interface Count {
  /** By the number of the slot, modulo their number. */
  readonly bySlot: number[];
  total: number;
  slot: number;
}

export class ProofAllowance {
  readonly #limits: ProofLimits;
  readonly #clock: Clock;
  readonly #maxKeys: number;
  readonly #slotMs: number;
  /** The one that was silent for longest first. */
  readonly #counts = new Map<string, Count>();

  constructor(limits: ProofLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#maxKeys = limits.keys ?? MAX_KEYS;
    this.#slotMs = Math.max(1, limits.windowMs / SLOTS);
  }

  /** Keys that it remembers. */
  get size(): number {
    return this.#counts.size;
  }

  /**
   * Counts a proof, before the store is asked. Where the store does not take it, release() must follow: who replays the proof of
   * another must not use up what that key may have.
   *
   * @param thumbprint of the key of a proof that is valid
   * @returns undefined, and nothing is counted, where the key has had as many as it may
   */
  claim(thumbprint: string): Claim | undefined {
    const { perKey } = this.#limits;
    const slot = Math.floor(this.#clock.monotonicMs() / this.#slotMs);
    if (perKey === 0) return slot;
    const count = this.#countOf(thumbprint, slot);
    if (count.total >= perKey) return undefined;
    count.bySlot[slot % COUNTED_SLOTS] = (count.bySlot[slot % COUNTED_SLOTS] ?? 0) + 1;
    count.total++;
    return slot;
  }

  /** The proof was not accepted. */
  release(thumbprint: string, claim: Claim): void {
    const count = this.#counts.get(thumbprint);
    if (!count || claim <= count.slot - COUNTED_SLOTS) return;
    const counted = count.bySlot[claim % COUNTED_SLOTS] ?? 0;
    if (counted === 0) return;
    count.bySlot[claim % COUNTED_SLOTS] = counted - 1;
    count.total--;
  }

  /** Without what is too old to count. */
  #countOf(thumbprint: string, slot: number): Count {
    const count = this.#counts.get(thumbprint) ?? {
      bySlot: new Array<number>(COUNTED_SLOTS).fill(0),
      total: 0,
      slot,
    };
    for (let old = Math.max(count.slot + 1, slot - SLOTS); old <= slot; old++) {
      count.total -= count.bySlot[old % COUNTED_SLOTS] ?? 0;
      count.bySlot[old % COUNTED_SLOTS] = 0;
    }
    count.slot = slot;
    this.#counts.delete(thumbprint);
    this.#counts.set(thumbprint, count);
    if (this.#counts.size > this.#maxKeys) this.#forgetOldest();
    return count;
  }

  #forgetOldest(): void {
    for (const oldest of this.#counts.keys()) {
      this.#counts.delete(oldest);
      return;
    }
  }
}

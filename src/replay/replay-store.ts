/**
 * Where used proofs are remembered, and other things that count once. Three adapters stand behind this interface (memory, SQLite, Redis), and one suite of tests
 * runs over all of them. docs/revocation.md. Rule D14.
 */

export interface ReplayStore {
  /**
   * Remembers an id, unless it is remembered already. Of all callers of a fleet with the same id exactly one gets true, until
   * the time is over; the memory of it may last somewhat longer.
   *
   * It rejects where it cannot know, and never hangs. What it rejects may have been remembered all the same.
   *
   * @param namespace a fixed word: what kind of thing is used once
   * @param ttlMs how long the id is remembered; at least MIN_KEPT_MS
   * @throws ReplayStoreFull; any other Error when the store is unavailable; RangeError where ttlMs is no number
   */
  firstUse(namespace: string, id: string, ttlMs: number): Promise<boolean>;
  /**
   * Is the id remembered? It remembers nothing by this.
   *
   * @throws an Error when the store is unavailable
   */
  isUsed(namespace: string, id: string): Promise<boolean>;
  /** How many it may hold from now on, where it counts them. Redis has a limit of its own (`maxmemory`). */
  resize(entries: number): void;
  close(): Promise<void>;
}

const FULL = 'REPLAY_STORE_FULL';

/** There is no room for another id, and to forget one early would let its proof pass again. */
export class ReplayStoreFull extends Error {
  override readonly name = 'ReplayStoreFull';
  readonly code = FULL;

  constructor(options?: ErrorOptions) {
    super('the memory of used proofs is full', options);
  }
}

/** An error as it was before it came from another process, which keeps its message and code only. */
export function restoredError(message: string, code: string | undefined): Error {
  return code === FULL ? new ReplayStoreFull() : Object.assign(new Error(message), { code });
}

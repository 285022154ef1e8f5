/**
 * Where gateways count together: a bucket for each key. Three adapters stand behind this interface (memory, SQLite, Redis), and one
 * suite of tests runs over all of them. lease.ts says what an ask comes to. Rules L1, L2.
 */
import type { Rate } from './gcra.ts';

/** What a gateway tells and asks of one key. */
export interface LeaseAsk {
  /** Keys of one kind take no room of another's: addresses, which need no token, never that of callers. */
  readonly kind: string;
  /** A digest. */
  readonly key: string;
  readonly rate: Rate;
  /** Requests that have passed already: counted whatever the bucket holds. Below 0: given back. */
  readonly passed: number;
  /** Requests that wait: as many are granted as the bucket holds. With both 0 nothing changes: a look. */
  readonly wanted: number;
  /** What the gateway knows: the bucket is full again in so many milliseconds, at least. */
  readonly aheadMs: number;
  /** The bucket is full again in so many milliseconds, at most. */
  readonly maxAheadMs: number;
}

export interface LeaseReply {
  /** Of those that wait: as many may pass, and are counted. */
  readonly granted: number;
  /** The bucket is full again in so many milliseconds, by the clock of the store; 0: it is full. */
  readonly aheadMs: number;
}

export interface LeaseStore {
  /**
   * Counts. Gives a reply to each ask, in their order. Two asks of a call may have the same key.
   *
   * It rejects where it does not know, and never hangs. What it rejects may have been counted all the same.
   */
  ask(asks: readonly LeaseAsk[]): Promise<readonly LeaseReply[]>;
  close(): Promise<void>;
}

/** The store decides within this time, or counts as unavailable. */
export const RESPONSE_MS = 1_000;

/** What `audit verify` tells of a log: its chains, and what is wrong with them. Pure. */
import type { OrderFault } from './chain-order.ts';

export type FaultKind =
  | OrderFault
  | 'not_json'
  | 'no_chain'
  | 'changed'
  | 'bad_checkpoint'
  | 'unknown_key'
  | 'bad_signature'
  | 'contradicts'
  | 'after_end'
  | 'not_proven'
  | 'overdue'
  | 'no_beginning'
  | 'no_end';

export interface Fault {
  /** The number of the line in the file, from 1; 0: none. */
  readonly line: number;
  readonly kind: FaultKind;
  readonly chain: string | null;
  /** What is wrong, for people. */
  readonly message: string;
}

/** What is known of one chain. */
export interface ChainReport {
  readonly chain: string;
  /** What its checkpoints call the gateway; null where none does. */
  readonly gateway: string | null;
  readonly version: string | null;
  readonly lines: number;
  readonly first_seq: number;
  readonly last_seq: number;
  /** As the lines have it; null where they have none. */
  readonly first_time: string | null;
  readonly last_time: string | null;
  /** Those without a fault. Their signatures were verified where keys are given. */
  readonly checkpoints: number;
  /** The last line that such a checkpoint covers; 0: none. */
  readonly covered_seq: number;
  /** Lines after the last such checkpoint: an attacker who can write the file can have changed them. */
  readonly uncovered_lines: number;
  /** The process stopped in good order, and this is all it wrote. */
  readonly closed: boolean;
}

export interface LogReport {
  readonly ok: boolean;
  readonly lines: number;
  readonly audit_lines: number;
  /** Were signatures verified? */
  readonly signatures: boolean;
  readonly chains: readonly ChainReport[];
  readonly faults: readonly Fault[];
  /** There are more than are told. */
  readonly more_faults: number;
}

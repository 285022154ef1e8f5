/**
 * Checkpoints that were kept apart from the log. They show what the log alone cannot: that its last lines, or all lines of a
 * chain, were removed. Pure.
 */
import type { ChainLink } from './audit-chain.ts';
import { readCheckpoint, type Checkpoint, type CheckpointFault } from './checkpoint.ts';
import { isJsonObject } from '../token/claims.ts';
import { parseStrictJson } from '../token/strict-json.ts';
import type { VerificationKey } from '../token/verification-key.ts';

export class KeptCheckpoints {
  /** By chain and seq. */
  readonly #hashes = new Map<string, Map<number, string>>();

  /**
   * Takes a line of a log, of which only checkpoints count.
   *
   * @param keys that it is verified with; undefined: it is not
   * @returns what is wrong with a checkpoint
   */
  add(text: string, keys: readonly VerificationKey[] | undefined): CheckpointFault | undefined {
    const read = checkpointIn(text, keys);
    if (!read || 'kind' in read) return read;
    const { id, seq, hash } = read;
    const ofChain = this.#hashes.get(id) ?? new Map<number, string>();
    this.#hashes.set(id, ofChain.set(seq, hash));
    return undefined;
  }

  get size(): number {
    return [...this.#hashes.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** @param hash of the line as it stands in the file */
  compare({ id, seq }: ChainLink, hash: string, tell: (message: string) => void): void {
    const kept = this.#hashes.get(id)?.get(seq);
    if (kept !== undefined && kept !== hash)
      tell(`seq ${seq} is not the line that a kept checkpoint covers: lines were replaced`);
  }

  /** @param spans of the chains in the file: their first and last lines */
  end(
    spans: ReadonlyMap<string, readonly [first: number, last: number]>,
    tell: (chain: string, message: string) => void,
  ): void {
    for (const [id, ofChain] of this.#hashes) {
      const keptSeq = [...ofChain.keys()].reduce((most, seq) => Math.max(most, seq), 0);
      const [first = 1, last] = spans.get(id) ?? [];
      if (last === undefined)
        tell(id, `the whole chain is missing: a kept checkpoint covers ${keptSeq} lines of it`);
      else if (last < keptSeq)
        tell(id, `seq ${last + 1} to ${keptSeq} are missing at the end: a kept checkpoint covers them`);
      if (last !== undefined && first > 1)
        tell(
          id,
          `seq 1 to ${Math.min(first - 1, keptSeq)} are missing at the beginning: a kept checkpoint covers them`,
        );
    }
  }
}

function checkpointIn(
  text: string,
  keys: readonly VerificationKey[] | undefined,
): Checkpoint | CheckpointFault | undefined {
  if (!text.includes('checkpoint')) return undefined;
  try {
    const line = parseStrictJson(Buffer.from(text, 'utf8'));
    const audit = isJsonObject(line) ? line['audit'] : undefined;
    if (!isJsonObject(audit) || audit['action'] !== 'checkpoint') return undefined;
    return readCheckpoint(audit['jws'], keys);
  } catch {
    return { kind: 'bad_checkpoint', what: 'is no strict JSON' };
  }
}

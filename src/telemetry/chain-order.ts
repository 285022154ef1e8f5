/**
 * Are the lines of one chain all there, once each, in their order, and does each follow from the one before it? What comes late
 * fills a gap, so that lines that were swapped are not told as missing. Pure.
 */
import type { ChainLink } from './audit-chain.ts';

export type OrderFault = 'missing' | 'out_of_order' | 'repeated' | 'not_linked';

/** Lines that have not come, between two that have. */
interface Gap {
  readonly from: number;
  readonly to: number;
  /** The hashes that the first of them may name as the one before it. */
  readonly before: readonly string[];
  /** The hash that the last of them must have. */
  readonly after: string;
  /** Where the line that follows them stands. */
  readonly line: number;
  /** The same of the line before them. */
  readonly priorLine: number;
}

/** Lines that stand behind later ones of their chain. */
interface Disorder {
  readonly line: number;
  readonly seq: number;
  readonly behind: number;
  count: number;
}

/** @param line the number of the line in the file */
type Tell = (fault: OrderFault, line: number, message: string) => void;

export class ChainOrder {
  readonly #tell: Tell;
  /** Lines before the first one of the file are no fault: they may be in an earlier file. */
  #begin: Gap | undefined;
  /** In their order. */
  readonly #gaps: Gap[] = [];
  #disorder: Disorder | undefined;
  #last: { readonly seq: number; readonly hashes: readonly string[]; readonly line: number };

  /** @param id of the chain: what its first line names as the one before it */
  constructor(id: string, tell: Tell) {
    this.#tell = tell;
    this.#last = { seq: 0, hashes: [id], line: 0 };
  }

  /** Does a line that names this hash as the one before it come next? */
  isNext(prev: string): boolean {
    return this.#last.hashes.includes(prev);
  }

  /** The first line of the chain in this file. */
  get firstSeq(): number {
    return this.#begin ? this.#begin.to + 1 : 1;
  }

  get lastSeq(): number {
    return this.#last.seq;
  }

  /**
   * Takes the next line of the file.
   *
   * @param hashes the hash that it states and the one that it has: one that was changed is told elsewhere, and once is enough
   * @param isFirst no line of this chain came before it
   */
  add({ seq, prev }: ChainLink, hashes: readonly string[], line: number, isFirst: boolean): void {
    const { seq: lastSeq, hashes: before, line: priorLine } = this.#last;
    if (seq <= lastSeq) return this.#addLate(seq, prev, hashes, line);
    this.#tellDisorder();
    if (seq === lastSeq + 1) {
      if (!before.includes(prev)) this.#notLinked(seq, line, priorLine);
    } else {
      const gap = { from: lastSeq + 1, to: seq - 1, before, after: prev, line, priorLine };
      if (isFirst) this.#begin = gap;
      else this.#gaps.push(gap);
    }
    this.#last = { seq, hashes, line };
  }

  /** No more lines come. */
  end(): void {
    this.#tellDisorder();
    for (const { from, to, line, priorLine } of this.#gaps) {
      const which = from === to ? `seq ${from} is` : `seq ${from} to ${to} (${to - from + 1} lines) are`;
      this.#tell('missing', line, `${which} missing between line ${priorLine} and this one`);
    }
  }

  #addLate(seq: number, prev: string, hashes: readonly string[], line: number): void {
    const isBegin = this.#begin !== undefined && seq <= this.#begin.to;
    const at = isBegin ? 0 : this.#gapAt(seq);
    const gap = isBegin ? this.#begin : this.#gaps[at];
    if (!gap || seq < gap.from) return this.#tell('repeated', line, `seq ${seq} stands here once more`);
    const parts = this.#split(gap, seq, prev, hashes, line);
    if (isBegin) [this.#begin] = parts;
    const rest = (isBegin ? parts.slice(1) : parts).filter(({ from, to }) => from <= to);
    this.#gaps.splice(at, isBegin ? 0 : 1, ...rest);
    if (this.#disorder) this.#disorder.count++;
    else this.#disorder = { line, seq, behind: this.#last.seq, count: 1 };
  }

  /** The place of the first gap that ends at this line or after it. */
  #gapAt(seq: number): number {
    let [low, high] = [0, this.#gaps.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#gaps[middle]?.to ?? 0) < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** What is still not there once this line is: before it, and after it. */
  #split(gap: Gap, seq: number, prev: string, hashes: readonly string[], line: number): [Gap, Gap] {
    const { from, to, before, after } = gap;
    if (seq === from && !before.includes(prev)) this.#notLinked(seq, line, gap.priorLine);
    if (seq === to && !hashes.includes(after)) this.#notLinked(seq + 1, gap.line, line);
    return [
      { ...gap, to: seq - 1, after: prev, line },
      { ...gap, from: seq + 1, before: hashes, priorLine: line },
    ];
  }

  #notLinked(seq: number, line: number, priorLine: number): void {
    const prior = seq === 1 ? 'from the start of its chain' : `from seq ${seq - 1} on line ${priorLine}`;
    this.#tell('not_linked', line, `seq ${seq} does not follow ${prior}: a line was replaced`);
  }

  #tellDisorder(): void {
    const { line, seq, behind, count } = this.#disorder ?? {};
    if (line === undefined) return;
    const more = count === 1 ? '' : `, and ${(count ?? 0) - 1} more of the chain after it`;
    this.#tell('out_of_order', line, `seq ${seq} stands after seq ${behind}${more}: lines were swapped`);
    this.#disorder = undefined;
  }
}

/** Marks of changes that this gateway has made and the log of the store has not brought yet. In force at once. */
import { MarkTable } from './mark-table.ts';
import type { RevocationMark } from './mark.ts';

export class OwnMarks extends MarkTable {
  /** When they were made, by id, on the monotonic clock. */
  readonly #madeAtMs = new Map<string, number>();

  add(mark: RevocationMark, nowMs: number): void {
    this.set(mark);
    this.#madeAtMs.set(mark.id, nowMs);
  }

  override delete(id: string): void {
    super.delete(id);
    this.#madeAtMs.delete(id);
  }

  /** Was each of them made then, or later? */
  areAllMadeSince(sinceMs: number): boolean {
    return [...this.#madeAtMs.values()].every((madeAtMs) => madeAtMs >= sinceMs);
  }
}

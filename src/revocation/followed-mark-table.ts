/** A table of marks that tells of each change, for those that keep a copy of it. */
import type { RevocationMark } from './mark.ts';
import { MarkTable } from './mark-table.ts';

export class FollowedMarkTable extends MarkTable {
  /** @param mark as it is now, or was when it was dropped */
  changed: (mark: RevocationMark, isDropped: boolean) => void = () => undefined;

  override set(mark: RevocationMark): void {
    super.set(mark);
    this.changed(mark, false);
  }

  override delete(id: string): void {
    const mark = this.get(id);
    super.delete(id);
    if (mark) this.changed(mark, true);
  }
}

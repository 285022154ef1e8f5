/** A clock that the test moves, with whole milliseconds, as hosts give them: SQLite takes no others. */
import { ManualClock } from './manual-clock.ts';

export class WholeClock extends ManualClock {
  override nowMs(): number {
    return Math.floor(super.nowMs());
  }
}

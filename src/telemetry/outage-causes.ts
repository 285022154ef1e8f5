/**
 * The causes of one outage, each told once: what has lost its connection may find the door locked when it comes back, and
 * only that tells what to repair. Few, so that a store that fails in ever new words does not fill the log. Pure.
 */
import { describeError } from './logger.ts';

const MAX_CAUSES = 8;

export class OutageCauses {
  readonly #told = new Set<string>();

  /** An outage has begun. Returns its cause for the log. */
  begin(error: unknown): string {
    const cause = describeError(error);
    this.#told.clear();
    this.#told.add(cause);
    return cause;
  }

  /** It goes on. Returns the cause where it is another one than those that were told; else undefined. */
  another(error: unknown): string | undefined {
    if (this.#told.size >= MAX_CAUSES) return undefined;
    const cause = describeError(error);
    if (this.#told.has(cause)) return undefined;
    this.#told.add(cause);
    return cause;
  }
}

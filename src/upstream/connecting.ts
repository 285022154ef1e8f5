/** The attempts of a pool to connect that have not ended, each with its deadline. */
import { ConnectDeadline } from './connect-deadline.ts';
import type { Deadlines } from './deadlines.ts';

export class Connecting<T extends { close(error: Error): void }> {
  readonly #deadlines: Deadlines;
  readonly #attempts = new Map<T, ConnectDeadline>();

  constructor(deadlines: Deadlines) {
    this.#deadlines = deadlines;
  }

  get size(): number {
    return this.#attempts.size;
  }

  /** A copy: an attempt that is closed ends. */
  get all(): readonly T[] {
    return [...this.#attempts.keys()];
  }

  has(attempt: T): boolean {
    return this.#attempts.has(attempt);
  }

  /** It is closed unless it ends within this time. */
  begin(attempt: T, timeoutMs: number): void {
    const deadline = new ConnectDeadline(attempt, this.#deadlines.deadlineAfter(timeoutMs));
    this.#attempts.set(attempt, deadline);
    this.#deadlines.begin(deadline);
  }

  /** It has succeeded or failed; nothing happens where it had ended before. */
  end(attempt: T): void {
    const deadline = this.#attempts.get(attempt);
    if (!deadline) return;
    this.#attempts.delete(attempt);
    this.#deadlines.end(deadline);
  }
}

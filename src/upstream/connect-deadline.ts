/** Ends an attempt to connect that takes too long. */
import type { Deadline } from './deadlines.ts';
import { ConnectTimeout } from './upstream-errors.ts';

export class ConnectDeadline implements Deadline {
  readonly deadlineMs: number;
  index = -1;
  readonly #attempt: { close(error: Error): void };

  constructor(attempt: { close(error: Error): void }, deadlineMs: number) {
    this.#attempt = attempt;
    this.deadlineMs = deadlineMs;
  }

  onTimeout(): void {
    this.#attempt.close(new ConnectTimeout());
  }

  /** A connection serves any token. */
  reconsider(): void {
    return undefined;
  }
}

/**
 * Stands in for the members of an upstream while no name of it has ever resolved. Requests wait for the first attempt to
 * resolve, as long as a connection may take to open; once it has failed, none waits (rule G6).
 */
import type { Clock } from '../clock.ts';
import { ConnectDeadline } from './connect-deadline.ts';
import type { Deadlines } from './deadlines.ts';
import type { Target, TryCount } from './target.ts';
import { TargetsChanged } from './stream-errors.ts';
import { TargetHealth } from './target-health.ts';
import type { LinkPool, OpenConnections, Waiter } from './upstream-link.ts';

/** Has a `code` like errors of the system. */
class NotYetResolved extends Error {
  override readonly name = 'NotYetResolved';
  readonly code = 'EAI_AGAIN';
}

class WaitingRoom implements LinkPool {
  readonly open: readonly OpenConnections[] = [];
  readonly #deadlines: Deadlines;
  readonly #limitMs: number;
  readonly #waiters = new Map<Waiter, ConnectDeadline>();
  #error: Error | undefined;

  constructor(deadlines: Deadlines, limitMs: number) {
    this.#deadlines = deadlines;
    this.#limitMs = limitMs;
  }

  acquire(waiter: Waiter): void {
    const close = (): void => this.#tell(waiter, new NotYetResolved('the name has not resolved in time'));
    const deadline = new ConnectDeadline({ close }, this.#deadlines.deadlineAfter(this.#limitMs));
    this.#waiters.set(waiter, deadline);
    this.#deadlines.begin(deadline);
    // The sender is not ready to hear of it before this call is over.
    const error = this.#error;
    if (error) setImmediate(() => this.#tell(waiter, error));
  }

  acquireAlone(waiter: Waiter): void {
    this.acquire(waiter);
  }

  leave(waiter: Waiter): void {
    const deadline = this.#waiters.get(waiter);
    if (!deadline) return;
    this.#waiters.delete(waiter);
    this.#deadlines.end(deadline);
  }

  sweep(): void {
    return undefined;
  }

  /** There are members now. */
  drain(): void {
    this.#tellAll(new TargetsChanged());
  }

  revive(): void {
    return undefined;
  }

  close(): void {
    this.fail(new NotYetResolved('the gateway stops'));
  }

  /** Every attempt has failed so far. */
  fail(error: Error): void {
    this.#error = error;
    this.#tellAll(error);
  }

  #tellAll(error: Error): void {
    for (const waiter of [...this.#waiters.keys()]) this.#tell(waiter, error);
  }

  #tell(waiter: Waiter, error: Error): void {
    if (!this.#waiters.has(waiter)) return;
    this.leave(waiter);
    waiter.unconnected(error);
  }
}

export interface UnresolvedParts {
  readonly connectTimeoutMs: number;
  readonly triesOf: (target: string) => TryCount;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
}

export class UnresolvedTarget implements Target {
  readonly origin: string;
  readonly host = '';
  readonly pool: WaitingRoom;
  readonly health: TargetHealth;
  readonly tries: TryCount;
  readonly weight = 1;
  readonly priority = 0;
  readonly available = true;
  readonly isDoubtful = false;
  readonly hasOther = false;
  inFlight = 0;

  /** @param origin one of the targets that it stands for, for metrics and logs */
  constructor(origin: string, { connectTimeoutMs, triesOf, clock, deadlines }: UnresolvedParts) {
    this.origin = origin;
    this.pool = new WaitingRoom(deadlines, connectTimeoutMs);
    this.tries = triesOf(origin);
    this.health = new TargetHealth(undefined, clock, () => undefined);
  }

  suspect(): void {
    return undefined;
  }
}

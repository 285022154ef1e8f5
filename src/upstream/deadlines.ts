/**
 * How long responses may take: one coarse timer for all requests in flight, instead of two exact ones for each, which
 * every request would pay for although nearly none fires. The same timer finds requests whose token has been revoked
 * in the meantime, at no cost per request (rule V15).
 */
import type { Clock } from '../clock.ts';

/** A timeout fires late by at most this. */
const STEP_MS = 200;

/** Something that may take only so long. */
export interface Deadline {
  /** On the coarse clock of Deadlines; Infinity while nothing is awaited. */
  deadlineMs: number;
  /** When its token ends, in wall-clock time: it may have to end with it. Absent or Infinity: never. */
  readonly endsAtMs?: number;
  /** The place of this in Deadlines; -1 while it is not there, and at first. */
  index: number;
  /** It has left Deadlines. */
  onTimeout(): void;
  /** Tokens have been revoked, or its own has expired: may it still wait? Asked again and again while the latter holds. */
  reconsider(): void;
}

export class Deadlines {
  readonly #clock: Clock;
  // Not a Set: V8 chains the tables that a Set outgrows, and once one of them has moved to the old generation, it
  // keeps all that follow from being collected with the young one, and every request in them.
  readonly #pending: Deadline[] = [];
  #nowMs: number;
  #cancel: () => void = () => undefined;
  /** Returns another number after each change of the revocation list. */
  readonly #revision: () => number;
  #seenRevision: number;

  constructor(clock: Clock, revision: () => number = () => 0) {
    this.#clock = clock;
    this.#revision = revision;
    this.#seenRevision = revision();
    this.#nowMs = clock.monotonicMs();
    this.#step();
  }

  /** Monotonic, and behind the real time by at most a step. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** When something that begins now exceeds its limit. */
  deadlineAfter(limitMs: number): number {
    return this.#nowMs + limitMs + STEP_MS;
  }

  begin(deadline: Deadline): void {
    deadline.index = this.#pending.length;
    this.#pending.push(deadline);
  }

  end(deadline: Deadline): void {
    const { index } = deadline;
    if (index < 0) return;
    deadline.index = -1;
    const last = this.#pending.pop();
    if (last === undefined || last === deadline) return;
    this.#pending[index] = last;
    last.index = index;
  }

  stop(): void {
    this.#cancel();
  }

  #step(): void {
    this.#nowMs = this.#clock.monotonicMs();
    const late = this.#pending.filter(({ deadlineMs }) => deadlineMs <= this.#nowMs);
    for (const deadline of late) {
      // What one of them has ended or restarted is not late any more.
      if (deadline.index < 0 || deadline.deadlineMs > this.#nowMs) continue;
      this.end(deadline);
      deadline.onTimeout();
    }
    const revision = this.#revision();
    const wallMs = this.#clock.nowMs();
    const isChanged = revision !== this.#seenRevision;
    this.#seenRevision = revision;
    // A copy: those that may not wait any more leave the list during the loop.
    const doubtful = this.#pending.filter(({ endsAtMs = Infinity }) => isChanged || endsAtMs <= wallMs);
    for (const deadline of doubtful) if (deadline.index >= 0) deadline.reconsider();
    this.#cancel = this.#clock.after(STEP_MS, () => this.#step());
  }
}

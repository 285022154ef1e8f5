/**
 * Who leaves an authority alone that asks for a pause (429, or 503 with Retry-After). Pure but for the clock. Rule C23.
 *
 * What one client sends must never shut the authority for another: a rate that one client alone exceeds pauses that client
 * alone. The pause holds for all where the authority still limits others although that client is silent.
 */
import type { Clock } from '../clock.ts';
import type { AuthorizationServerCall } from './circuit-breaker.ts';

/** How long an authority may need to see that a client is silent: rates are mostly counted by the second. */
const SILENCE_MS = 1_000;
/** Pauses that are remembered. Beyond it the oldest is forgotten, and its client asks once more. */
const MAX_CLIENTS = 10_000;

/** On the monotonic clock. */
interface Pause {
  readonly sinceMs: number;
  readonly untilMs: number;
  /** Calls of its client in the second in which the pause began. */
  readonly calls: number;
}

export class BusyPauses {
  readonly #clock: Clock;
  /** By client, the oldest first. */
  readonly #clients = new Map<string, Pause>();
  #everyoneUntilMs = -Infinity;
  /** Calls by client since #secondMs, for a second. */
  readonly #calls = new Map<string, number>();
  #secondMs = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Seconds that this client has to wait, rounded up; 0 or less where it may ask. */
  secondsLeft(client: string): number {
    const nowMs = this.#clock.monotonicMs();
    const pause = this.#clients.size > 0 ? this.#clients.get(client) : undefined;
    const untilMs = Math.max(this.#everyoneUntilMs, pause?.untilMs ?? -Infinity);
    return untilMs > nowMs ? Math.ceil((untilMs - nowMs) / 1000) : 0;
  }

  /** A call to the authority begins. */
  begin(client: string): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#secondMs >= SILENCE_MS) {
      this.#calls.clear();
      this.#secondMs = nowMs;
    }
    if (this.#calls.size < MAX_CLIENTS) this.#calls.set(client, (this.#calls.get(client) ?? 0) + 1);
  }

  /**
   * The authority asks for a pause in its response to this call.
   *
   * @param seconds how long; 0 is no pause
   * @returns how long this client waits, in seconds, rounded up
   */
  add({ client, startedAtMs }: AuthorizationServerCall, seconds: number): number {
    if (seconds <= 0) return 0;
    const nowMs = this.#clock.monotonicMs();
    const askedMs = nowMs + seconds * 1000;
    const calls = this.#calls.get(client) ?? 0;
    let untilMs = askedMs;
    for (const [other, pause] of this.#clients) {
      if (pause.untilMs <= nowMs) this.#clients.delete(other);
      else if (other === client) continue;
      else if (startedAtMs - pause.sinceMs > SILENCE_MS) this.#everyoneUntilMs = askedMs;
      // Another client, who called more, is the likely cause: this one waits until it has been silent for long enough.
      else if (pause.calls > calls) untilMs = Math.min(untilMs, pause.sinceMs + SILENCE_MS + 1);
    }
    this.#pause(client, nowMs, untilMs, calls);
    return Math.max(1, this.secondsLeft(client));
  }

  #pause(client: string, nowMs: number, untilMs: number, calls: number): void {
    const before = this.#clients.get(client);
    this.#clients.delete(client);
    this.#clients.set(client, {
      sinceMs: before?.sinceMs ?? nowMs,
      untilMs: Math.max(untilMs, before?.untilMs ?? -Infinity),
      calls: Math.max(calls, before?.calls ?? 0),
    });
    for (const oldest of this.#clients.keys()) {
      if (this.#clients.size <= MAX_CLIENTS) break;
      this.#clients.delete(oldest);
    }
  }
}

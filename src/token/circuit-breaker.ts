/**
 * Stops asking an authorization server that gives no response, so that requests fail in milliseconds instead of waiting
 * for its timeout. Pure but for the clock. Rules I11, C23.
 *
 * What one client sends must never shut the authorization server for another. So a response of any kind, to any token,
 * is proof that the authorization server is up; a failure that the token itself may have caused counts for its client
 * alone, until tokens of a second client fail as well; and a client whose probe failed lets others probe first.
 */
import type { Clock } from '../clock.ts';

const FAILURES_TO_OPEN = 3;
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 10_000;
const FAILED_PROBER_WAITS_MS = 1_000;
/** Failures that are remembered between two responses: far more than it takes to open. */
const MAX_FAILURES = 256;

/** One call to the authorization server. */
export interface AuthorizationServerCall {
  /** Stands for the token. */
  readonly token: string;
  /** Stands for the client: its address, or its network. */
  readonly client: string;
  /** On the monotonic clock. */
  readonly startedAtMs: number;
}

/** No calls for a while, then one probe. */
class Pause {
  #sinceMs: number;
  #untilMs: number;
  #lengthMs = FIRST_PAUSE_MS;
  #failedProber: string | undefined;

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
    this.#untilMs = nowMs + FIRST_PAUSE_MS;
  }

  /** Milliseconds until this client may probe; 0 or less where it may. */
  leftMs(nowMs: number, client: string): number {
    // The others go first: else a client with a token that always fails could keep the circuit open.
    return this.#untilMs - nowMs + (this.#failedProber === client ? FAILED_PROBER_WAITS_MS : 0);
  }

  /** The probe is made now; another one, where this one does not come back, a while later. */
  claim(nowMs: number): void {
    this.#untilMs = nowMs + FIRST_PAUSE_MS;
  }

  /** A call failed: a probe, or one that began before the pause and says nothing new. */
  failed(call: AuthorizationServerCall, nowMs: number): void {
    if (call.startedAtMs <= this.#sinceMs) return;
    this.#failedProber = call.client;
    this.#lengthMs = Math.min(2 * this.#lengthMs, MAX_PAUSE_MS);
    this.#sinceMs = nowMs;
    this.#untilMs = nowMs + this.#lengthMs;
  }
}

export class CircuitBreaker {
  readonly #clock: Clock;
  #respondedAtMs = -Infinity;
  /** Since the last response: the client of each token that failed. */
  readonly #failures = new Map<string, string>();
  /** Connections that could not be made since the last response. */
  #unreachable = 0;
  #everyone: Pause | undefined;
  readonly #clients = new Map<string, Pause>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * May this client ask? After a pause the first one that may is the probe, and the others wait for it.
   *
   * @returns seconds to wait, rounded up; 0: ask now
   */
  enter(client: string): number {
    const pause = this.#everyone ?? this.#clients.get(client);
    if (pause === undefined) return 0;
    const nowMs = this.#clock.monotonicMs();
    const leftMs = pause.leftMs(nowMs, client);
    if (leftMs > 0) return Math.ceil(leftMs / 1000);
    pause.claim(nowMs);
    return 0;
  }

  /** Seconds that this client has to wait, rounded up; 0 where it may ask. */
  pauseSeconds(client: string): number {
    const pause = this.#everyone ?? this.#clients.get(client);
    return Math.max(0, Math.ceil((pause?.leftMs(this.#clock.monotonicMs(), client) ?? 0) / 1000));
  }

  /** A response arrived, whatever it said. */
  responded(): void {
    this.#respondedAtMs = this.#clock.monotonicMs();
    if (this.#failures.size > 0) this.#failures.clear();
    this.#unreachable = 0;
    this.#everyone = undefined;
    if (this.#clients.size > 0) this.#clients.clear();
  }

  /**
   * No response arrived.
   *
   * @param unreachable no connection could be made, which no token can cause
   */
  failed(call: AuthorizationServerCall, unreachable: boolean): void {
    const { token, client, startedAtMs } = call;
    // It responded to others meanwhile: it is up, and this token is what it cannot digest.
    if (startedAtMs <= this.#respondedAtMs) return;
    if (unreachable) this.#unreachable++;
    else if (this.#failures.size < MAX_FAILURES) this.#failures.set(token, client);
    const nowMs = this.#clock.monotonicMs();
    const paused = this.#everyone ?? this.#clients.get(client);
    if (paused) paused.failed(call, nowMs);
    if (this.#everyone) return;
    if (this.#failsEveryone()) this.#everyone = new Pause(nowMs);
    else if (!paused && this.#failuresOf(client) >= FAILURES_TO_OPEN)
      this.#clients.set(client, new Pause(nowMs));
  }

  #failsEveryone(): boolean {
    if (this.#unreachable >= FAILURES_TO_OPEN) return true;
    return this.#failures.size >= FAILURES_TO_OPEN && new Set(this.#failures.values()).size > 1;
  }

  #failuresOf(client: string): number {
    let count = 0;
    for (const each of this.#failures.values()) if (each === client) count++;
    return count;
  }
}

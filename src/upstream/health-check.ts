/**
 * Checks a target again and again. Several equal results in a row decide, so that one lost packet does not.
 */
import type { Clock } from '../clock.ts';
import type { TargetUrl } from '../http/target-url.ts';
import type { TlsClient } from '../tls/client-options.ts';
import { askHealth, type HealthQuestion } from './ask-health.ts';
import type { Finding } from './grpc-health.ts';
import type { TargetHealth } from './target-health.ts';
import type { Endpoint } from './open-socket.ts';

export interface HealthCheckPolicy {
  readonly question: HealthQuestion;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly healthyAfter: number;
  readonly unhealthyAfter: number;
}

/** Gateways that started together must not check together. */
const JITTER = 0.1;

export class HealthCheck {
  readonly #policy: HealthCheckPolicy;
  readonly #target: TargetUrl & Endpoint;
  readonly #tls: TlsClient;
  readonly #health: TargetHealth;
  readonly #clock: Clock;
  #passed = true;
  /** Results in a row that differ from the target's present state. */
  #others = 0;
  #cancelNext: () => void = () => undefined;
  /** The check in flight. */
  #asked: ReturnType<typeof askHealth> | undefined;
  #isClosed = false;

  /** Begins to check. */
  constructor(
    policy: HealthCheckPolicy,
    target: TargetUrl & Endpoint,
    tls: TlsClient,
    health: TargetHealth,
    clock: Clock,
  ) {
    this.#policy = policy;
    this.#target = target;
    this.#tls = tls;
    this.#health = health;
    this.#clock = clock;
    void this.#check();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelNext();
    this.#asked?.close();
  }

  async #check(): Promise<void> {
    const { question, timeoutMs, intervalMs } = this.#policy;
    this.#asked = askHealth(question, this.#target, this.#tls, timeoutMs, this.#clock);
    const finding = await this.#asked.finding;
    this.#asked = undefined;
    if (this.#isClosed) return;
    this.#count(finding);
    const delayMs = intervalMs * (1 - JITTER * Math.random());
    this.#cancelNext = this.#clock.after(delayMs, () => void this.#check());
  }

  #count({ passes, says }: Finding): void {
    const { healthyAfter, unhealthyAfter } = this.#policy;
    this.#others = passes === this.#passed ? 0 : this.#others + 1;
    if (this.#others < (passes ? healthyAfter : unhealthyAfter)) return;
    this.#others = 0;
    this.#passed = passes;
    this.#health.checked(passes, says);
  }
}

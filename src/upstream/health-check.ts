/**
 * Asks a target again and again whether it is well. Several answers in a row decide, so that one lost packet does
 * not.
 */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Clock } from '../clock.ts';
import type { TlsClient } from '../tls-client.ts';
import type { TargetHealth } from './target-health.ts';

export interface HealthCheckPolicy {
  readonly path: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly healthyAfter: number;
  readonly unhealthyAfter: number;
}

/** Gateways that started together must not ask together. */
const JITTER = 0.1;

export class HealthCheck {
  readonly #policy: HealthCheckPolicy;
  readonly #origin: URL;
  readonly #tls: TlsClient;
  readonly #health: TargetHealth;
  readonly #clock: Clock;
  readonly #stopping = new AbortController();
  #passed = true;
  /** Results in a row that are not as the target is taken for. */
  #others = 0;
  #cancelNext: () => void = () => undefined;

  /** Begins to ask. */
  constructor(policy: HealthCheckPolicy, origin: URL, tls: TlsClient, health: TargetHealth, clock: Clock) {
    this.#policy = policy;
    this.#origin = origin;
    this.#tls = tls;
    this.#health = health;
    this.#clock = clock;
    void this.#check();
  }

  close(): void {
    this.#stopping.abort();
    this.#cancelNext();
  }

  async #check(): Promise<void> {
    const passes = await this.#ask();
    if (this.#stopping.signal.aborted) return;
    this.#count(passes);
    const { intervalMs } = this.#policy;
    const delayMs = intervalMs * (1 - JITTER * Math.random());
    this.#cancelNext = this.#clock.after(delayMs, () => void this.#check());
  }

  #count(passes: boolean): void {
    const { healthyAfter, unhealthyAfter } = this.#policy;
    this.#others = passes === this.#passed ? 0 : this.#others + 1;
    if (this.#others < (passes ? healthyAfter : unhealthyAfter)) return;
    this.#others = 0;
    this.#passed = passes;
    this.#health.checked(passes);
  }

  /** 2xx and 3xx are well. */
  async #ask(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const send = this.#origin.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = send(new URL(this.#policy.path, this.#origin), {
      ...this.#tls,
      agent: false,
      headers: { 'user-agent': 'sallyport-health', connection: 'close' },
      signal: this.#stopping.signal,
    });
    const cancel = this.#clock.after(this.#policy.timeoutMs, () =>
      request.destroy(new Error('no answer in time')),
    );
    request.on('response', (response) => {
      const { statusCode = 500 } = response;
      resolve(statusCode >= 200 && statusCode < 400);
      response.destroy();
    });
    request.on('error', () => resolve(false));
    request.end();
    const passes = await promise;
    cancel();
    return passes;
  }
}

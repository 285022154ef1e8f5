/**
 * Checks a target again and again. Several equal results in a row decide, so that one lost packet does not.
 */
import type { Clock } from '../clock.ts';
import type { TargetUrl } from '../http/target-url.ts';
import type { TlsClient } from '../tls/client-options.ts';
import type { TargetHealth } from './target-health.ts';
import { openLink } from './open-link.ts';
import type { LinkUser, UpstreamLink, UpstreamRequest } from './upstream-link.ts';

export interface HealthCheckPolicy {
  readonly path: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly healthyAfter: number;
  readonly unhealthyAfter: number;
}

/** Gateways that started together must not check together. */
const JITTER = 0.1;

export class HealthCheck {
  readonly #policy: HealthCheckPolicy;
  readonly #target: TargetUrl;
  readonly #tls: TlsClient;
  readonly #health: TargetHealth;
  readonly #clock: Clock;
  #passed = true;
  /** Results in a row that differ from the target's present state. */
  #others = 0;
  #cancelNext: () => void = () => undefined;
  /** The connection of the check in flight. */
  #attempt: ReturnType<typeof openLink> | undefined;
  #isClosed = false;

  /** Begins to check. */
  constructor(
    policy: HealthCheckPolicy,
    target: TargetUrl,
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
    this.#attempt?.close(new Error('the gateway stops'));
  }

  async #check(): Promise<void> {
    const passes = await this.#ask();
    if (this.#isClosed) return;
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

  /** 2xx and 3xx pass. The reader is that of requests: what is no valid response to them fails here, too. */
  async #ask(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const user: LinkUser = {
      ...IGNORED,
      begin: ({ status }) => resolve(status < 400),
      failed: () => resolve(false),
    };
    let link: UpstreamLink | undefined;
    const attempt = openLink(this.#target, this.#tls, {
      connected: (made) => {
        link = made;
        made.send(this.#request(), user);
      },
      closed: () => resolve(false),
    });
    this.#attempt = attempt;
    const cancel = this.#clock.after(this.#policy.timeoutMs, () => resolve(false));
    const passes = await promise;
    cancel();
    this.#attempt = undefined;
    link?.abandon();
    attempt.close(new Error('the check is over'));
    return passes;
  }

  #request(): UpstreamRequest {
    const { pathname, search } = new URL(this.#policy.path, this.#target.origin);
    return {
      host: this.#target.origin.host,
      body: undefined,
      replay: [],
      outbound: {
        method: 'GET',
        target: `${pathname}${search}`,
        headers: ['user-agent', 'sallyport-health', 'connection', 'close'],
        hasBody: false,
        contentLength: undefined,
        upgrade: undefined,
      },
    };
  }
}

const nothing = (): void => undefined;
/** Of a response only the status counts. */
const IGNORED = {
  informational: nothing,
  data: nothing,
  end: nothing,
  switched: nothing,
  uploading: nothing,
  uploaded: nothing,
  received: nothing,
};

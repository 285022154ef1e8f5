/** One worker, as the primary sees it: a process and the channel to it. */
import type { Clock } from '../clock.ts';
import type { SocketHandle } from '../server/shared-sockets.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { MetricsSnapshot } from '../telemetry/metric-snapshots.ts';
import type { PrimaryCalls, WorkerCalls } from './calls.ts';
import { Channel, type Handlers, type Pipe } from './channel.ts';

/** A process that was started. */
export interface WorkerProcess {
  readonly pid: number;
  readonly pipe: Pipe;
  /** Ends it at once. */
  kill(): void;
  /** Resolves when it has ended and its output was read: its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
}

/** A worker may take this long to do what it has to do before a revocation, or a configuration, is in force. */
const RESPONSE_MS = 5_000;
const METRICS_MS = 2_000;

export class WorkerLink {
  /** Counted from 1; the one that takes its place has the same one. */
  readonly id: number;
  readonly child: WorkerProcess;
  readonly startedAtMs: number;
  readonly channel: Channel<WorkerCalls>;
  readonly #logger: Logger;
  readonly #clock: Clock;
  /** It has been given its configuration. */
  hasBegun = false;
  /** It has been given its sockets. */
  serves = false;
  /** It can serve. */
  isReady = false;
  onReady: () => void = () => undefined;
  hasEnded = false;
  /** As it told them last; and whether it told them when it was last asked. */
  metrics: MetricsSnapshot = [];
  tellsMetrics = true;

  constructor(
    id: number,
    child: WorkerProcess,
    handlers: (link: WorkerLink) => Handlers<PrimaryCalls>,
    logger: Logger,
    clock: Clock,
  ) {
    this.id = id;
    this.child = child;
    this.startedAtMs = clock.monotonicMs();
    this.#logger = logger;
    this.#clock = clock;
    this.channel = new Channel<WorkerCalls>(child.pipe, clock, handlers(this));
    void child.ended.then(() => {
      this.hasEnded = true;
      this.channel.close();
    });
  }

  get livedMs(): number {
    return this.#clock.monotonicMs() - this.startedAtMs;
  }

  /**
   * Resolves once it has done it, or has ended. One that serves and does not respond is ended: it must not serve by what is
   * in force no more.
   */
  async mustDo<Name extends 'refuse' | 'keys' | 'apiKeys' | 'commit'>(
    name: Name,
    argument: WorkerCalls[Name]['takes'],
  ): Promise<void> {
    if (!this.hasBegun || this.hasEnded) return;
    const done = this.channel.call<Name>(name, argument as never, this.serves ? RESPONSE_MS : 0);
    // One that does not serve yet does it before it serves: the message that lets it comes later.
    if (!this.serves) {
      done.catch(() => undefined);
      return;
    }
    try {
      await done;
    } catch {
      await this.end(`it did not respond to ${name}`);
    }
  }

  /** Tells it something that it need not confirm. */
  tell(name: 'changes' | 'discard', argument: unknown): void {
    if (this.hasBegun && !this.hasEnded) this.channel.call(name, argument as never).catch(() => undefined);
  }

  async serve(sockets: readonly SocketHandle[]): Promise<void> {
    this.serves = true;
    await Promise.all(sockets.map((socket, index) => this.channel.call('listen', index, 0, socket)));
  }

  /** What it has counted; what it told last where it does not say it in time. */
  async latestMetrics(): Promise<MetricsSnapshot> {
    // One that does not serve yet has counted nothing, and is too busy with its start to say so.
    if (!this.serves) return this.metrics;
    try {
      this.metrics = await this.channel.call('metrics', undefined, METRICS_MS);
      this.tellsMetrics = true;
    } catch {
      if (this.tellsMetrics && !this.hasEnded)
        this.#logger.warn(
          { worker: this.id, pid: this.child.pid },
          'a worker does not tell its metrics: its last ones stand',
        );
      this.tellsMetrics = false;
    }
    return this.metrics;
  }

  /** Ends the process at once, and resolves when it has ended. */
  async end(why: string): Promise<void> {
    if (this.hasEnded) return;
    this.#logger.error({ worker: this.id, pid: this.child.pid, why }, 'a worker is ended');
    this.child.kill();
    await this.child.ended;
  }
}

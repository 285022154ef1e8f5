/** The workers of a gateway: starts them, replaces those that end, drains them. */
import type { Clock } from '../clock.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import type { SocketHandle } from '../server/shared-sockets.ts';
import { describeError, type Logger } from '../telemetry/logger.ts';
import { mergedSnapshot, totalsOf, type MetricsSnapshot } from '../telemetry/metric-snapshots.ts';
import type { PrimaryCalls } from './calls.ts';
import type { Handlers } from './channel.ts';
import { WorkerLink, type WorkerProcess } from './worker-link.ts';

export interface WorkerPoolParts {
  readonly count: number;
  readonly startProcess: (id: number) => WorkerProcess;
  /** What each may ask of the primary; `ready` is the pool's. */
  readonly handlers: Handlers<Omit<PrimaryCalls, 'ready'>>;
  /** What this worker serves by, as configured now. */
  readonly configuration: (id: number) => LoadedConfiguration;
  /** Resolves when no reload is on its way. */
  readonly settled: () => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** One that lived for less is replaced later each time. */
const SOUND_LIFE_MS = 60_000;
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;
/** A worker that takes another's place serves when it can, and at the latest after this time. */
const READY_MS = 5_000;
/** A worker may take this long to take its configuration in. */
const BEGIN_MS = 30_000;
/** What a worker may take beyond the drain itself. */
const DRAIN_SLACK_MS = 5_000;

export class WorkerPool {
  readonly #parts: WorkerPoolParts;
  /** By id. */
  readonly #links = new Map<number, WorkerLink>();
  /** By id: how often in a row it ended soon. */
  readonly #failures = new Map<number, number>();
  readonly #ready = Promise.withResolvers<void>();
  #sockets: readonly (readonly SocketHandle[])[] = [];
  /** What those that have ended had counted, as far as it is known. */
  #ended: MetricsSnapshot = [];
  #isDraining = false;
  #wereAllReady = false;
  restarts = 0;

  constructor(parts: WorkerPoolParts) {
    this.#parts = parts;
  }

  /** The workers that live, in the order of their ids. */
  get links(): readonly WorkerLink[] {
    return [...this.#links.values()].filter(({ hasEnded }) => !hasEnded).sort((a, b) => a.id - b.id);
  }

  get count(): number {
    return this.#parts.count;
  }

  /** Have all been ready at the same time? */
  get wereAllReady(): boolean {
    return this.#wereAllReady;
  }

  /**
   * Starts all, and gives each its sockets.
   *
   * @param sockets by listener, one for each worker
   * @throws Error where one cannot start
   */
  async start(sockets: readonly (readonly SocketHandle[])[]): Promise<void> {
    this.#sockets = sockets;
    const ids = Array.from({ length: this.#parts.count }, (_, index) => index + 1);
    await Promise.all(
      ids.map(async (id) => {
        const link = this.#launch(id);
        const early = link.child.ended.then((how) => {
          throw new Error(`worker ${id} ended as it started (${how}); its output says why`);
        });
        early.catch(() => undefined);
        await Promise.race([this.#begin(link).then(() => link.serve(this.#socketsOf(id))), early]);
        void link.child.ended.then((how) => this.#replace(link, how));
      }),
    );
  }

  /** Resolves when all have been ready at the same time. */
  ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** What all have counted, those that have ended too. */
  async metrics(): Promise<MetricsSnapshot> {
    const told = await Promise.all(this.links.map((link) => link.latestMetrics()));
    return mergedSnapshot([this.#ended, ...told]);
  }

  /** Resolves when all have ended, after `drainMs` and some slack at the latest. */
  async drain(drainMs: number): Promise<void> {
    this.#isDraining = true;
    await Promise.all(
      this.links.map(async (link) => {
        // One that does not serve yet has nothing to drain.
        if (!link.serves) link.child.kill();
        else await link.channel.call('drain', undefined, drainMs + DRAIN_SLACK_MS).catch(() => undefined);
        const { promise: late, resolve } = Promise.withResolvers<void>();
        const cancel = this.#parts.clock.after(DRAIN_SLACK_MS, resolve);
        await Promise.race([link.child.ended, late.then(() => link.end('it did not end with its drain'))]);
        cancel();
      }),
    );
  }

  #launch(id: number): WorkerLink {
    const { startProcess, handlers, logger, clock } = this.#parts;
    const link = new WorkerLink(
      id,
      startProcess(id),
      (own) => ({ ...handlers, ready: () => this.#isReady(own) }),
      logger,
      clock,
    );
    this.#links.set(id, link);
    return link;
  }

  /** @throws Error where the configuration does not fit any more: a file that it names has changed */
  async #begin(link: WorkerLink): Promise<void> {
    await this.#parts.settled();
    link.hasBegun = true;
    const problems = await link.channel.call('begin', this.#parts.configuration(link.id), BEGIN_MS);
    if (problems.length > 0) throw new Error(problems.join('; '));
  }

  #isReady(link: WorkerLink): void {
    link.isReady = true;
    link.onReady();
    if (this.links.filter(({ isReady }) => isReady).length < this.#parts.count) return;
    this.#wereAllReady = true;
    this.#ready.resolve();
  }

  #socketsOf(id: number): readonly SocketHandle[] {
    return this.#sockets.flatMap((sockets) => sockets[id - 1] ?? []);
  }

  /** Its connections wait in its sockets for the one that takes its place. */
  #replace(link: WorkerLink, how: number | string): void {
    this.#ended = totalsOf(mergedSnapshot([this.#ended, totalsOf(link.metrics)]));
    if (this.#isDraining) return;
    const { id, livedMs, child } = link;
    const failures = livedMs < SOUND_LIFE_MS ? (this.#failures.get(id) ?? 0) + 1 : 1;
    this.#failures.set(id, failures);
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), MAX_PAUSE_MS);
    this.restarts++;
    this.#parts.logger.error(
      {
        worker: id,
        pid: child.pid,
        ended: how,
        lived_seconds: Math.round(livedMs / 1000),
        pause_ms: pauseMs,
      },
      'a worker has ended, and another takes its place',
    );
    this.#parts.clock.after(pauseMs, () => void this.#relaunch(id));
  }

  async #relaunch(id: number): Promise<void> {
    if (this.#isDraining) return;
    const link = this.#launch(id);
    const { clock, logger } = this.#parts;
    void link.child.ended.then((how) => this.#replace(link, how));
    try {
      await this.#begin(link);
      await this.#readyOrLate(link, clock);
      await link.serve(this.#socketsOf(id));
      logger.info({ worker: id, pid: link.child.pid }, 'the new worker serves');
    } catch (error) {
      await link.end(describeError(error));
    }
  }

  async #readyOrLate(link: WorkerLink, clock: Clock): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = clock.after(READY_MS, resolve);
    link.onReady = resolve;
    if (link.isReady) resolve();
    await promise;
    cancel();
  }
}

/** A worker: serves as the primary tells it to. */
import { CopiedKeys } from '../api-keys/copied-keys.ts';
import { Instance } from '../assembly/instance.ts';
import { LeasedLimits } from '../assembly/leased-limits.ts';
import type { Place } from '../assembly/place.ts';
import type { PreparedReload } from '../assembly/reloader.ts';
import type { Clock } from '../clock.ts';
import { ConfigurationError, type LoadedConfiguration } from '../config/load.ts';
import { workerCount } from '../config/worker-count.ts';
import type { RateLimit } from '../limits/rate-limit.ts';
import type { SocketHandle } from '../server/shared-sockets.ts';
import { describeError, type Log } from '../telemetry/logger.ts';
import { offerMetrics, type Tracing } from '../telemetry/trace-context.ts';
import { AskedLeaseStore } from './asked-lease-store.ts';
import { AskedReplayStore } from './asked-replay-store.ts';
import type { PrimaryCalls, UpstreamReport, WorkerCalls, WorkerReport } from './calls.ts';
import { Channel, type Handlers, type Pipe } from './channel.ts';
import { CopiedKeySet } from './copied-key-set.ts';
import { CopiedStore } from './copied-store.ts';

export interface WorkerParts {
  readonly pipe: Pipe;
  readonly log: Log;
  readonly clock: Clock;
  readonly tracing: Tracing;
}

const NOTHING_SEEN = { found: [], silent: [] };

export class Worker {
  readonly #parts: WorkerParts;
  readonly #primary: Channel<PrimaryCalls>;
  readonly #keySets = new Map<string, CopiedKeySet>();
  /** By listener: the socket, once it is there. */
  readonly #sockets = new Map<number, PromiseWithResolvers<SocketHandle>>();
  readonly #drained = Promise.withResolvers<void>();
  readonly #apiKeys = new CopiedKeys(() => this.#primary.call('allApiKeys', undefined));
  #store: CopiedStore | undefined;
  #instance: Instance | undefined;
  #prepared: PreparedReload | undefined;

  constructor(parts: WorkerParts) {
    this.#parts = parts;
    this.#primary = new Channel(parts.pipe, parts.clock, this.#handlers());
  }

  /** Resolves when it was told to drain, and has. */
  get drained(): Promise<void> {
    return this.#drained.promise;
  }

  #handlers(): Handlers<WorkerCalls> {
    return {
      begin: (loaded) => problemsOf(() => this.#begin(loaded)),
      listen: (index, socket) => {
        if (socket) this.#socket(index).resolve(socket);
      },
      refuse: (marks) => this.#instance?.view.apply(marks),
      changes: (changes) => this.#store?.changed(changes),
      canary: (digest) => this.#instance?.generation.lasting.canaries.watch(digest),
      apiKeys: (told) => this.#apiKeys.told(told),
      keys: ({ source, news }) => this.#keySets.get(source)?.take(news),
      prepare: (loaded) =>
        problemsOf(async () => {
          this.#prepared = await this.#instance?.prepare(loaded);
        }),
      commit: () => this.#takePrepared()?.commit(),
      discard: () => this.#takePrepared()?.discard(),
      metrics: async () => (await this.#instance?.metrics.snapshot()) ?? [],
      report: () => this.#report(),
      history: async () => (await this.#instance?.generation.seen.localHistory()) ?? [],
      refusals: async (query) => (await this.#instance?.generation.seen.localRefusals(query)) ?? NOTHING_SEEN,
      limited: async (limit) => (await this.#instance?.generation.seen.localLimited(limit)) ?? NOTHING_SEEN,
      reported: async (limit) => (await this.#instance?.generation.seen.localReported(limit)) ?? NOTHING_SEEN,
      sessions: async (query) => this.#instance?.generation.seen.localSessions(query),
      drain: async () => {
        await this.#instance?.stop();
        // The response is sent first.
        setImmediate(() => this.#drained.resolve());
      },
    };
  }

  /** Once: the next reload may find nothing fit, and to discard this one then would end what serves. */
  #takePrepared(): PreparedReload | undefined {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    return prepared;
  }

  async #begin(loaded: LoadedConfiguration): Promise<void> {
    const { log, clock, tracing } = this.#parts;
    const store = new CopiedStore(storeKind(loaded), this.#primary, clock, (marks) =>
      this.#instance?.view.apply(marks),
    );
    this.#store = store;
    const instance = new Instance(loaded, log, clock, tracing, this.#place(store, loaded));
    this.#instance = instance;
    await offerMetrics(instance.metrics);
    instance.start().catch((error: unknown) => {
      log.logger.error({ error: describeError(error) }, 'a worker cannot listen');
      throw error;
    });
    void instance.ready().then(() => this.#primary.call('ready', undefined));
  }

  #place(store: CopiedStore, loaded: LoadedConfiguration): Place {
    const leases = askedLeases(this.#primary, this.#parts.clock, loaded);
    return {
      store,
      replay: new AskedReplayStore(this.#primary),
      leases,
      limiterOf: leases.limiterOf,
      apiKeys: {
        copied: this.#apiKeys,
        noteUses: (uses) => this.#primary.call('noteKeyUses', uses),
      },
      serves: true,
      administers: false,
      workers: 1,
      socketOf: (listener) => this.#socket(listener).promise,
      keySetOf: (source, options) => {
        const keys = new CopiedKeySet(source, options, this.#primary, () => this.#keySets.delete(source));
        this.#keySets.set(source, keys);
        return keys;
      },
    };
  }

  #socket(listener: number): PromiseWithResolvers<SocketHandle> {
    const socket = this.#sockets.get(listener) ?? Promise.withResolvers<SocketHandle>();
    this.#sockets.set(listener, socket);
    return socket;
  }

  #report(): WorkerReport {
    const instance = this.#instance;
    if (!instance) return { ready: false, requests_in_flight: 0, view_age_seconds: null, upstreams: [] };
    const { ageMs } = instance.view;
    const { upstreams } = instance.status as { readonly upstreams: readonly UpstreamReport[] };
    return {
      ready: instance.isReady,
      requests_in_flight: instance.inFlight.count,
      view_age_seconds: Number.isFinite(ageMs) ? Math.round(ageMs) / 1000 : null,
      upstreams,
    };
  }
}

/** The primary of a gateway that shares its store with no other has one memory for all. */
function askedLeases(
  primary: Channel<PrimaryCalls>,
  clock: Clock,
  { configuration }: LoadedConfiguration,
): LeasedLimits {
  const storeOf = (scope: RateLimit['scope']): AskedLeaseStore =>
    new AskedLeaseStore(primary, scope, (known) => (leases.processes = () => known));
  const stores = { fleet: storeOf('fleet'), gateway: storeOf('gateway') };
  const leases = new LeasedLimits(clock, stores, workerCount(configuration));
  return leases;
}

function storeKind({ configuration }: LoadedConfiguration): CopiedStore['kind'] {
  const { store } = configuration.revocation;
  if (store === 'memory:') return 'memory';
  return typeof store === 'string' && store.startsWith('sqlite:') ? 'sqlite' : 'redis';
}

/** What is wrong with a configuration, as its reader gets to see it. */
async function problemsOf(use: () => Promise<void>): Promise<readonly string[]> {
  try {
    await use();
    return [];
  } catch (error) {
    return error instanceof ConfigurationError ? error.problems : [describeError(error)];
  }
}

/**
 * The primary of a gateway with workers: has the admin listener, the revocation store and the keys, opens the public sockets,
 * and starts the workers that serve. docs/decisions/workers.md.
 */
import { randomBytes } from 'node:crypto';
import { Instance } from '../assembly/instance.ts';
import { openApiKeyStore } from '../assembly/api-keys.ts';
import { openAddress } from '../assembly/open-addresses.ts';
import type { Reloadable } from '../assembly/reloader.ts';
import { openReplayStore } from '../assembly/replay-store.ts';
import { openStore } from '../assembly/revocation-store.ts';
import type { Clock } from '../clock.ts';
import { ConfigurationError, type LoadedConfiguration } from '../config/load.ts';
import { WatchedReplayStore } from '../replay/watched-replay-store.ts';
import { openSharedSockets, type SharedSockets } from '../server/shared-sockets.ts';
import type { RevocationMark } from '../revocation/mark.ts';
import type { Log } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { PrimaryCalls } from './calls.ts';
import type { Handlers } from './channel.ts';
import { WorkersOverview } from './overview.ts';
import { lookOut } from './look-out.ts';
import { SharedKeys } from './shared-keys.ts';
import { SharedLeases } from './shared-leases.ts';
import { SharedList } from './shared-list.ts';
import { SharedReplay } from './shared-replay.ts';
import { configurationOf } from './shares.ts';
import { WorkerPool } from './worker-pool.ts';
import type { WorkerLink, WorkerProcess } from './worker-link.ts';

export interface PrimaryParts {
  readonly log: Log;
  readonly clock: Clock;
  readonly count: number;
  readonly startProcess: (id: number) => WorkerProcess;
}

/** Fetches of keys and their retries are the primary's: a worker only builds what the configuration asks for. */
const PREPARE_MS = 30_000;

export class Primary implements Reloadable {
  readonly #instance: Instance;
  readonly #pool: WorkerPool;
  readonly #logKey = randomBytes(32).toString('base64url');
  readonly #parts: PrimaryParts;
  #loaded: LoadedConfiguration;
  #sockets: readonly SharedSockets[] = [];
  /** One reload after the other. */
  #reloading: Promise<unknown> = Promise.resolve();
  #hasStarted = false;
  #isStopping = false;

  /** @throws ConfigurationError where keys, the revocation store or other files cannot be used */
  constructor(loaded: LoadedConfiguration, parts: PrimaryParts) {
    const { log, clock, count } = parts;
    this.#loaded = loaded;
    this.#parts = parts;
    const links = (): readonly WorkerLink[] => this.#pool.links;
    const all = async (task: (link: WorkerLink) => Promise<void>): Promise<void> => {
      await Promise.all(links().map(task));
    };
    const refuse = (marks: readonly RevocationMark[]): Promise<void> =>
      all((link) => link.mustDo('refuse', marks));
    const list = new SharedList(openStore(loaded, clock), {
      refuse,
      changed: (changes) => links().forEach((link) => link.tell('changes', changes)),
    });
    const keys = new SharedKeys(clock, (told) => all((link) => link.mustDo('keys', told)));
    const watchedReplay = new WatchedReplayStore(openReplayStore(loaded, clock), clock);
    const replay = new SharedReplay(watchedReplay);
    const leases = SharedLeases.open(() => this.#loaded, clock, count);
    this.#pool = this.#poolOf({
      ...list.handlers,
      ...keys.handlers,
      ...replay.handlers,
      ...leases.handlers,
      ...this.#apiKeyHandlers,
    });
    const overview: { current?: WorkersOverview } = {};
    this.#instance = new Instance(loaded, log, clock, undefined, {
      store: list.store,
      replay: replay.store,
      watchedReplay,
      ...leases.place,
      apiKeys: {
        store: openApiKeyStore(loaded, clock),
        told: (texts, isCurrent) => all((link) => link.mustDo('apiKeys', { texts, isCurrent })),
      },
      marks: list.marks,
      keySetOf: keys.keySetOf,
      serves: false,
      administers: true,
      workers: count,
      inForce: refuse,
      lookOut: (digest) => lookOut(links(), digest),
      get overview() {
        return overview.current;
      },
    });
    overview.current = new WorkersOverview(this.#pool, this.#instance.metrics);
    list.use(this.#instance.view);
  }

  /** @param handlers what workers may ask */
  #poolOf(handlers: Handlers<Omit<PrimaryCalls, 'ready'>>): WorkerPool {
    const { log, clock, count, startProcess } = this.#parts;
    return new WorkerPool({
      count,
      startProcess,
      handlers,
      configuration: (id) => configurationOf(this.#loaded, id, count, this.#logKey),
      settled: async () => {
        await this.#reloading;
      },
      clock,
      logger: log.logger,
    });
  }

  /** What workers may ask of the API keys. */
  get #apiKeyHandlers(): Handlers<Pick<PrimaryCalls, 'allApiKeys' | 'noteKeyUses'>> {
    return {
      allApiKeys: () => this.#instance.generation.lasting.apiKeys.all,
      noteKeyUses: (uses) => this.#instance.generation.lasting.apiKeys.uses.add(uses),
    };
  }

  /** Has the admin listener. */
  get instance(): Instance {
    return this.#instance;
  }

  get metrics(): Metrics {
    return this.#instance.metrics;
  }

  /** Of the public listeners, and then of the admin listener: address and port. */
  get addresses(): { readonly listeners: readonly string[]; readonly admin: string } {
    return {
      listeners: this.#sockets.map(({ address, port }) => `${address}:${port}`),
      admin: this.#instance.addresses.admin,
    };
  }

  /**
   * Listens in every worker.
   *
   * @returns false where it was stopped meanwhile
   * @throws ListenError where an address cannot be opened; Error where a worker cannot start
   */
  async start(): Promise<boolean> {
    for (const [index, { host, port, reuse_port }] of this.#loaded.configuration.listeners.entries()) {
      const address = { key: `listeners[${index}]`, host, port };
      const open = (): Promise<SharedSockets> =>
        openSharedSockets({ host, port, mayShare: reuse_port }, this.#parts.count);
      this.#sockets = [...this.#sockets, await openAddress(address, open)];
      if (this.#stopping) return false;
    }
    const workers = this.#pool.start(this.#sockets.map(({ handles }) => handles));
    await Promise.all([this.#instance.start(), workers]);
    this.#hasStarted = true;
    return !this.#stopping;
  }

  /** Resolves when all workers are ready to serve. */
  async ready(): Promise<void> {
    await Promise.all([this.#instance.ready(), this.#pool.ready()]);
  }

  /**
   * Puts another configuration in place in all workers, or in none.
   *
   * @throws ConfigurationError where it cannot be used, or needs a restart; then nothing has changed
   */
  async reload(loaded: LoadedConfiguration): Promise<void> {
    const reloading = this.#reloading.then(() => this.#replace(loaded));
    this.#reloading = reloading.catch(() => undefined);
    await reloading;
  }

  async #replace(loaded: LoadedConfiguration): Promise<void> {
    const prepared = await this.#instance.prepare(loaded);
    if (!prepared) return;
    const links = this.#pool.links.filter(({ hasBegun }) => hasBegun);
    const problems = (await Promise.all(links.map((link) => this.#prepare(link, loaded)))).flat();
    if (problems.length > 0) {
      for (const link of links) link.tell('discard', undefined);
      prepared.discard();
      throw new ConfigurationError([...new Set(problems)]);
    }
    this.#loaded = loaded;
    prepared.commit();
    await Promise.all(links.map((link) => link.mustDo('commit', undefined)));
  }

  /** The problems that a worker has with it. One that does not say is ended; the next one begins with what is in place then. */
  async #prepare(link: WorkerLink, loaded: LoadedConfiguration): Promise<readonly string[]> {
    try {
      const own = configurationOf(loaded, link.id, this.#parts.count, this.#logKey);
      return await link.channel.call('prepare', own, PREPARE_MS);
    } catch {
      await link.end('it did not prepare the new configuration');
      return [];
    }
  }

  /** Drains all workers, as one gateway does; the admin listener stays until they have ended. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#instance.beginDrain();
    // From here on the workers' copies are the only ones: what they close is closed.
    for (const handle of new Set(this.#sockets.flatMap(({ handles }) => handles))) handle.close();
    const { drain_delay, drain } = this.#loaded.configuration.timeouts;
    await this.#pool.drain(this.#hasStarted ? drain_delay + drain : drain);
    await this.#instance.stop();
  }

  /** A stop may have begun meanwhile. */
  get #stopping(): boolean {
    return this.#isStopping;
  }
}

/**
 * Puts a gateway together from its configuration, and puts another configuration in its place when told to.
 */
import type { AddressInfo } from 'node:net';
import type { Readiness } from '../admin/routes.ts';
import { AdminServer } from '../admin/server.ts';
import { CertificateWatch } from './certificate-watch.ts';
import { reportUnlistedClaims } from './dropped-claims.ts';
import { systemClock, type Clock } from '../clock.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import type { Configuration } from '../config/schema.ts';
import { refuseUnfit } from './unfit.ts';
import { Generation, type Lasting } from './generation.ts';
import { InFlight } from '../handlers/in-flight-limiter.ts';
import { listenerOptions } from './listener-options.ts';
import { closeLasting, flushLasting, lastingParts, startLasting } from './lasting.ts';
import { Listener } from '../server/listener.ts';
import { openAddresses } from './open-addresses.ts';
import { alone, type Place } from './place.ts';
import type { Policy } from '../policy.ts';
import type { PreparedReload } from './reloader.ts';
import { exposeAll } from './exposed.ts';
import { reportPropagation, reportRestored } from './instrumentation.ts';
import { RevocationView } from '../revocation/revocation-view.ts';
import type { Log } from '../telemetry/logger.ts';
import { EventLoopDelay } from '../telemetry/event-loop-delay.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { passingTracing, type Tracing } from '../telemetry/trace-context.ts';
import { VERSION } from '../version.ts';
import { KeysAwaited } from './keys-awaited.ts';
import { reportReplay } from './replay-reports.ts';
import { isReady, readinessOf, type ReadinessFacts } from './readiness.ts';
import { statusJson } from './status.ts';
import { StoreReports } from './store-reports.ts';

/** A gateway that is ready to start. */
export class Instance {
  readonly metrics = new Metrics(VERSION);
  readonly inFlight = new InFlight();
  readonly view: RevocationView;
  readonly listeners: readonly Listener[];
  readonly admin: AdminServer;
  readonly #lasting: Lasting;
  readonly #startedAtMs: number;
  readonly #certificates: CertificateWatch;
  readonly #storeReports: StoreReports | undefined;
  readonly #eventLoopDelay: EventLoopDelay;
  #generation: Generation;
  /** One reload after the other. */
  #reloading: Promise<unknown> = Promise.resolve();
  /** Keys of issuers, stored API keys, or names of targets, that have not yet been asked for once. */
  #keysPending = true;
  /** Settles when they were. */
  #keysAsked: Promise<unknown> = Promise.resolve();
  readonly #keysAwaited: KeysAwaited;
  /** Listens everywhere. */
  #started = false;
  /** Settles when no listener will open any more. */
  #listening: Promise<void> = Promise.resolve();
  #draining = false;

  /** @throws ConfigurationError where keys, the revocation store or other files cannot be used */
  constructor(
    loaded: LoadedConfiguration,
    log: Log,
    clock: Clock = systemClock,
    tracing: Tracing = passingTracing,
    place: Place = alone(loaded, clock),
  ) {
    const { configuration } = loaded;
    this.#startedAtMs = clock.monotonicMs();
    this.#keysAwaited = new KeysAwaited(clock);
    this.view = new RevocationView(place.store, clock, place.marks);
    const { metrics, inFlight, view } = this;
    const parts = {
      place,
      metrics,
      inFlight,
      view,
      log,
      clock,
      tracing,
      isReady: () => this.isReady,
    };
    this.#lasting = lastingParts(parts, () => this.#generation);
    const generation = new Generation(loaded, this.#lasting);
    this.#generation = generation;
    this.listeners = (place.serves ? configuration.listeners : []).map(
      (options) =>
        new Listener(listenerOptions(options, loaded.configuration), generation.site(options), clock),
    );
    this.#certificates = new CertificateWatch(clock, log.logger);
    if (place.administers) this.#certificates.use(configuration);
    this.#eventLoopDelay = new EventLoopDelay(this.metrics.eventLoopDelaySeconds, clock);
    this.admin = new AdminServer({
      ...generation.adminParts,
      readiness: () => place.overview?.readiness(this.readiness) ?? this.readiness,
      status: () => place.overview?.status(this.status) ?? this.status,
      metrics: () => place.overview?.metrics() ?? this.metrics.text(),
      logger: log.logger,
    });
    this.#storeReports = this.#report();
  }

  /** Exposes the gauges, and logs when the revocation list comes and goes. */
  #report(): StoreReports | undefined {
    const { metrics, view } = this;
    const { store, log, clock, place } = this.#lasting;
    const revocation = (): Configuration['revocation'] => this.#generation.loaded.configuration.revocation;
    exposeAll({
      lasting: this.#lasting,
      generation: () => this.#generation,
      listeners: () => this.listeners,
      certificates: this.#certificates,
    });
    this.#eventLoopDelay.expose(metrics);
    if (place.serves) reportPropagation(view, metrics, clock);
    if (!place.administers) return undefined;
    reportRestored(view, log.logger);
    const reports = { logger: log.logger, clock, revocation, policy: () => this.policy };
    if (place.watchedReplay) reportReplay(place.watchedReplay, reports, () => this.#generation.issuers);
    reportUnlistedClaims(store, view, log.logger, () => revocation().claims);
    return new StoreReports({ view, ...reports });
  }

  /** Where it listens: address and port. */
  get addresses(): { readonly listeners: readonly string[]; readonly admin: string } {
    const text = ({ address, port }: AddressInfo): string => `${address}:${port}`;
    return { listeners: this.listeners.map((each) => text(each.address)), admin: text(this.admin.address) };
  }

  /** The one that serves now. */
  get generation(): Generation {
    return this.#generation;
  }

  get policy(): Policy {
    return this.#generation.policy;
  }

  /**
   * Listens at once; is ready when the revocation list is loaded and the keys were asked for.
   *
   * @returns false where it was stopped meanwhile
   * @throws ListenError where an address cannot be opened
   */
  async start(): Promise<boolean> {
    this.view.start();
    this.#storeReports?.start();
    this.#eventLoopDelay.start();
    startLasting(this.#lasting, this.#generation);
    this.#keysAsked = this.#generation.start().then(() => (this.#keysPending = false));
    this.#listening = this.#listen();
    await this.#listening;
    await this.#keysAsked;
    return !this.#isStopping();
  }

  async #listen(): Promise<void> {
    const { place, log } = this.#lasting;
    this.#started = await openAddresses({
      place,
      admin: this.admin,
      listeners: this.listeners,
      configuration: this.#generation.loaded.configuration,
      logger: log.logger,
      isStopping: () => this.#isStopping(),
    });
  }

  /** Resolves when the gateway is ready to serve. */
  async ready(): Promise<void> {
    await this.#keysAsked;
    if (this.view.ageMs === Infinity) {
      const { promise, resolve: loaded } = Promise.withResolvers<void>();
      this.view.once('loaded', loaded);
      await promise;
    }
  }

  /**
   * Puts another configuration in place, between two requests: no connection drops, requests in flight finish on
   * the old one, and no cached decision survives it.
   *
   * @throws ConfigurationError where it cannot be used, or needs a restart; then nothing has changed
   */
  async reload(loaded: LoadedConfiguration): Promise<void> {
    const reloading = this.#reloading.then(async () => (await this.prepare(loaded))?.commit());
    // The next one waits for this one, even if it fails; the caller of this one gets its error below.
    this.#reloading = reloading.catch(() => undefined);
    await reloading;
  }

  /**
   * The first half of a reload: builds what the configuration asks for. One at a time.
   *
   * @returns undefined where a drain has begun
   * @throws as reload
   */
  async prepare(loaded: LoadedConfiguration): Promise<PreparedReload | undefined> {
    if (this.#draining) return undefined;
    const before = this.#generation;
    if (this.#lasting.place.administers) await refuseUnfit(this.#lasting.store, before.loaded, loaded);
    const next = new Generation(loaded, this.#lasting, before);
    // Keys and names that are not yet known are asked for first, or have failed once: no request has to wait for them.
    await next.start();
    const discard = (): void => next.discard(before);
    if (!this.#isStopping())
      return { discard, commit: () => (this.#isStopping() ? discard() : this.#replace(before, next)) };
    discard();
    return undefined;
  }

  #replace(before: Generation, next: Generation): void {
    const { loaded } = next;
    this.#generation = next;
    next.takeOver(before);
    for (const [index, listener] of this.listeners.entries()) {
      const options = loaded.configuration.listeners[index];
      if (options) listener.update(listenerOptions(options, next.loaded.configuration), next.site(options));
    }
    this.admin.update(next.adminParts);
    if (this.#lasting.place.administers) this.#certificates.use(loaded.configuration);
    this.#lasting.place.replay.resize(loaded.configuration.dpop.remembered.entries);
    before.retire(next);
  }

  /** A drain may have begun while keys were fetched. */
  #isStopping(): boolean {
    return this.#draining;
  }

  /**
   * After `timeouts.drain_delay` nothing new is taken; requests in flight end, or are ended after `timeouts.drain`; then
   * everything is closed.
   */
  async stop(): Promise<void> {
    this.beginDrain();
    // A server that is closed before its address is resolved would open it afterwards.
    await this.#listening.catch(() => undefined);
    const { issuers, forwarder, loaded } = this.#generation;
    const { drain_delay, drain } = loaded.configuration.timeouts;
    // No load balancer knows a gateway that never started: there is nothing to wait for.
    const delayMs = this.#started ? drain_delay : 0;
    await Promise.all(this.listeners.map((listener) => listener.drain(delayMs, drain)));
    issuers.stop();
    this.#certificates.stop();
    this.#storeReports?.stop();
    await this.#lasting.fleet.stop();
    flushLasting(this.#lasting);
    this.#eventLoopDelay.stop();
    await Promise.all([this.view.stop(), this.#lasting.apiKeys.stop(), this.#lasting.signals.stop()]);
    forwarder.close();
    await this.admin.close();
    await closeLasting(this.#lasting);
  }

  /** It is not ready from now on. */
  beginDrain(): void {
    this.#draining = true;
  }

  /** For the admin API. */
  get status(): object {
    return statusJson({
      generation: this.#generation,
      lasting: this.#lasting,
      uptimeMs: this.#lasting.clock.monotonicMs() - this.#startedAtMs,
      ready: this.isReady,
      certificates: this.#certificates.status,
    });
  }

  /** As in `readiness`, without the report. */
  get isReady(): boolean {
    return isReady(this.#readinessFacts);
  }

  get readiness(): Readiness {
    return readinessOf(this.#readinessFacts);
  }

  get #readinessFacts(): ReadinessFacts {
    return {
      policy: this.policy,
      viewAgeMs: this.view.ageMs,
      storeConnected: this.view.connected,
      replay: this.#lasting.place.watchedReplay,
      issuers: this.#generation.issuers,
      keysPending: this.#keysPending,
      awaitsKeys: this.#keysAwaited.areAwaited(this.#generation),
      draining: this.#draining,
    };
  }
}

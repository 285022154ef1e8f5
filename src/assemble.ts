/**
 * Puts a gateway together from its configuration: the only file (with adapters.ts, issuers.ts and opaque-issuers.ts) that constructs adapters.
 */
import { randomBytes } from 'node:crypto';
import { assertionSigner, openStore } from './adapters.ts';
import { AdminAuth } from './admin/admin-auth.ts';
import { RevocationsApi } from './admin/revocations-api.ts';
import { AdminServer, type Readiness } from './admin/server.ts';
import { systemClock, type Clock } from './clock.ts';
import type { LoadedConfiguration } from './config/load.ts';
import { decisionReception } from './decision-visit.ts';
import { Gateway } from './gateway.ts';
import { TrustedPeers } from './http/client-address.ts';
import { Issuers } from './issuers.ts';
import { Listener } from './listener.ts';
import { LiveStreams } from './live-streams.ts';
import { LogoutReceiver } from './logout-receiver.ts';
import { tlsClientOptions } from './config/tls-schema.ts';
import { compilePolicy, type Policy } from './policy.ts';
import { exposeGauges, issuerObserver, reportStore, upstreamObserver } from './reports.ts';
import type { RevocationStore } from './revocation/revocation-store.ts';
import { RevocationView } from './revocation/revocation-view.ts';
import { Revoker } from './revocation/revoker.ts';
import { Observer } from './stages/observe.ts';
import { AccessLog } from './telemetry/access-log.ts';
import { AuditLog } from './telemetry/audit-log.ts';
import type { Log, Logger } from './telemetry/logger.ts';
import { Metrics } from './telemetry/metrics.ts';
import type { JwtAssertionSigner } from './token/assertion-signer.ts';
import { AuthorityClient } from './token/authority-fetch.ts';
import { TokenCaches } from './token/token-caches.ts';
import { Http1Forwarder } from './upstream/http1-forwarder.ts';
import { VERSION } from './version.ts';
import { proxyReception } from './visit.ts';
import type { Reception } from './visitor.ts';

/** A gateway that is ready to start. */
export class Instance {
  readonly policy: Policy;
  readonly metrics = new Metrics(VERSION);
  readonly view: RevocationView;
  readonly listeners: readonly Listener[];
  readonly admin: AdminServer;
  readonly #loaded: LoadedConfiguration;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #store: RevocationStore;
  readonly #client = new AuthorityClient();
  readonly #forwarder: Http1Forwarder;
  readonly #issuers: Issuers;
  readonly #startedAtMs: number;
  readonly #keySuccessAtMs = new Map<string, number>();
  /** Issuers whose keys have not yet been asked for once. */
  #keysPending = true;
  #draining = false;

  /** @throws ConfigurationError where keys, the revocation store or other files cannot be used */
  constructor(loaded: LoadedConfiguration, log: Log, clock: Clock = systemClock) {
    const { configuration } = loaded;
    this.#loaded = loaded;
    this.#clock = clock;
    this.#logger = log.logger;
    this.#startedAtMs = clock.monotonicMs();
    this.policy = compilePolicy(configuration);
    const caches = new TokenCaches(configuration.caches);
    this.#issuers = new Issuers(loaded, {
      client: this.#client,
      caches,
      clock,
      observer: issuerObserver(this.metrics, log.logger, clock, this.#keySuccessAtMs),
    });
    const signer = assertionSigner(loaded, clock);
    this.#store = openStore(loaded, clock);
    this.view = new RevocationView(this.#store, clock);
    this.#forwarder = new Http1Forwarder(
      upstreamOptions(configuration),
      clock,
      upstreamObserver(this.metrics, log.logger),
    );
    const accessLog = new AccessLog(
      log.write,
      configuration.log_key ?? randomBytes(32).toString('base64url'),
      clock,
    );
    const observer = new Observer(
      this.metrics,
      clock,
      configuration.access_log ? (exchange) => accessLog.write(exchange) : undefined,
    );
    const gateway = new Gateway({
      policy: this.policy,
      verifiers: this.#issuers.verifiersOf(this.policy),
      revocations: this.view,
      signer,
      observer,
      clock,
    });
    const streams = new LiveStreams(this.view, clock, (reason) => {
      this.metrics.streamsClosed.child(reason).value++;
    });
    const revoker = this.#revoker();
    const audit = new AuditLog(this.#logger);
    const logouts = new LogoutReceiver(this.#issuers.logoutEndpoints, revoker, audit);
    const shared = { gateway, observer, logger: log.logger };
    this.listeners = configuration.listeners.map((options) => {
      const reception =
        options.serve === 'decisions'
          ? decisionReception({
              ...shared,
              dialect: options.dialect ?? 'request',
              askers: new TrustedPeers(options.trusted_peers ?? []),
              publicKeys: signer?.publicKeys,
            })
          : proxyReception({ ...shared, forwarder: this.#forwarder, streams, logouts });
      return this.#listener(options, reception);
    });
    this.admin = this.#adminServer(signer, revoker, audit);
    this.metrics.exposeProcess();
    const { view } = this;
    exposeGauges(this.metrics, {
      caches,
      view,
      keySuccessAtMs: this.#keySuccessAtMs,
      targets: () => this.#forwarder.health(),
    });
    reportStore(this.view, this.metrics, log.logger, clock, configuration.revocation);
  }

  /** Listens at once; is ready when the revocation list is loaded and the keys were asked for. */
  async start(): Promise<void> {
    const { admin } = this.#loaded.configuration;
    this.view.start();
    const keys = this.#issuers.start().then(() => (this.#keysPending = false));
    await this.admin.listen(admin.host, admin.port);
    for (const listener of this.listeners) await listener.listen();
    await keys;
  }

  /** Resolves when the gateway is ready to serve. */
  async ready(): Promise<void> {
    if (this.view.ageMs === Infinity) {
      const { promise, resolve: loaded } = Promise.withResolvers<void>();
      this.view.once('loaded', loaded);
      await promise;
    }
  }

  /** Requests in flight end, or are ended after `timeouts.drain`; then everything is closed. */
  async stop(): Promise<void> {
    this.#draining = true;
    const { drain } = this.#loaded.configuration.timeouts;
    await Promise.all(this.listeners.map((listener) => listener.drain(drain)));
    this.#issuers.stop();
    await this.view.stop();
    this.#forwarder.close();
    await Promise.all([this.admin.close(), this.#store.close(), this.#client.close()]);
  }

  get readiness(): Readiness {
    const listLoaded = this.view.ageMs !== Infinity;
    const keys = [...this.#issuers.remoteKeySets].map(
      ([name, { available }]) =>
        `${available ? '[+]' : '[-]'} keys of ${name}${available ? '' : ': not fetched'}`,
    );
    return {
      ready: listLoaded && !this.#keysPending && !this.#draining,
      report: [
        '[+] configuration',
        `${listLoaded ? '[+]' : '[-]'} revocation list${this.view.connected ? '' : ': the store cannot be had'}`,
        ...keys,
        ...(this.#draining ? ['[-] draining'] : []),
      ],
    };
  }

  #listener(options: ListenerConfiguration, reception: Reception): Listener {
    const { limits, timeouts } = this.#loaded.configuration;
    return new Listener(
      {
        host: options.host,
        port: options.port,
        reusePort: options.reuse_port,
        uriBytes: limits.uri_bytes,
        headerBytes: limits.header_bytes,
        connections: limits.connections,
        headersTimeoutMs: timeouts.headers,
        idleTimeoutMs: timeouts.idle,
      },
      reception,
      this.#clock,
    );
  }

  #revoker(): Revoker {
    return new Revoker({
      store: this.#store,
      view: this.view,
      issuers: this.#issuers.revocable,
      verifyAny: (token, issuerName) => this.#issuers.verifyAny(token, issuerName),
      keepSeconds: this.#loaded.configuration.revocation.keep / 1000,
      clock: this.#clock,
    });
  }

  #adminServer(signer: JwtAssertionSigner | undefined, revoker: Revoker, audit: AuditLog): AdminServer {
    const { admin, revocation } = this.#loaded.configuration;
    const tokens = [
      ...(admin.token === undefined ? [] : [{ name: 'admin', token: admin.token }]),
      ...(admin.tokens ?? []).map(({ name, token = '' }) => ({ name, token })),
    ];
    return new AdminServer({
      auth: new AdminAuth(tokens, this.#clock),
      hosts: admin.hosts,
      revocations: new RevocationsApi({
        revoker,
        store: this.#store,
        claims: revocation.claims,
        audit,
      }),
      readiness: () => this.readiness,
      status: () => this.#status(),
      metrics: () => this.metrics.text(),
      publicKeys: signer?.publicKeys,
      logger: this.#logger,
    });
  }

  #status(): object {
    const seconds = (ms: number): number | null => (Number.isFinite(ms) ? Math.round(ms) / 1000 : null);
    const nowMs = this.#clock.monotonicMs();
    return {
      version: VERSION,
      uptime_seconds: seconds(nowMs - this.#startedAtMs),
      ready: this.readiness.ready,
      routes: this.policy.routes.map(({ name, mode, upstream }) => ({ name, mode, upstream })),
      issuers: Object.keys(this.#loaded.configuration.issuers).map((name) => {
        const keys = this.#issuers.remoteKeySets.get(name);
        if (!keys) return { name };
        const at = this.#keySuccessAtMs.get(name);
        return {
          name,
          keys_available: keys.available,
          keys_age_seconds: at === undefined ? null : seconds(this.#clock.nowMs() - at),
        };
      }),
      upstreams: Object.keys(this.#loaded.configuration.upstreams).map((name) => ({
        name,
        targets: this.#forwarder
          .health()
          .filter(({ upstream }) => upstream === name)
          .map(({ target, available }) => ({ url: target, healthy: available })),
      })),
      revocation: {
        entries: this.view.size,
        view_age_seconds: seconds(this.view.ageMs),
        store_connected: this.view.connected,
      },
    };
  }
}

type ListenerConfiguration = LoadedConfiguration['configuration']['listeners'][number];
function upstreamOptions({ upstreams }: LoadedConfiguration['configuration']) {
  return new Map(
    Object.entries(upstreams).map(([name, upstream]) => [
      name,
      {
        targets: upstream.targets.map((target) =>
          typeof target === 'string' ? { url: target, weight: 1 } : target,
        ),
        balance: upstream.balance,
        connections: upstream.connections,
        connectTimeoutMs: upstream.connect_timeout,
        tls: tlsClientOptions(upstream.tls ?? {}),
        health: upstream.health && {
          path: upstream.health.path,
          intervalMs: upstream.health.interval,
          timeoutMs: upstream.health.timeout,
          healthyAfter: upstream.health.healthy_after,
          unhealthyAfter: upstream.health.unhealthy_after,
        },
        eject: upstream.eject && { errors: upstream.eject.errors, forMs: upstream.eject.for },
      },
    ]),
  );
}

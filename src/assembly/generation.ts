/**
 * All objects that are built from one configuration. A reload builds a new generation; requests in flight finish on the old
 * one.
 */
import { KeysApi } from '../admin/keys-api.ts';
import { FleetApi } from '../admin/fleet-api.ts';
import { showProofResults } from './replay-reports.ts';
import { SeenApi, type LocalSeen } from '../admin/seen-api.ts';
import type { ConfiguredParts } from '../admin/server.ts';
import { adminAuth } from './admin-sign-in.ts';
import { apiKeysApi } from './api-keys-api.ts';
import { auditLog } from './audit.ts';
import { assertionSigner, keysEndpoint, publicKeysOf } from './assertion-signer.ts';
import { proofSigner } from './proof-signer.ts';
import { revocationsApi } from './revocations-api.ts';
import { canaryEveryMs } from './canary.ts';
import { resourceEndpoint } from './resource-documents.ts';
import { configurationHash } from '../config/configuration-hash.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import { sessionOptions } from '../config/sessions-schema.ts';
import { listenerTls } from '../config/tls-schema.ts';
import { decisionSite } from '../handlers/decision-handler.ts';
import { extAuthzSite } from '../handlers/ext-authz-handler.ts';
import { Gateway } from '../gateway.ts';
import { TrustedPeers } from '../http/client-address.ts';
import { InFlightLimiter } from '../handlers/in-flight-limiter.ts';
import { Issuers } from './issuers.ts';
import { issuerParts, offSwitches } from './issuer-parts.ts';
import { showLimits } from './limit-reports.ts';
import type { ListenerConfiguration } from './listener-options.ts';
import type { ServerEndpoint } from '../handlers/server-endpoint.ts';
import { compilePolicy } from './compile-policy.ts';
import type { Policy } from '../policy.ts';
import type { MeasuredConfiguration } from './connection-metrics.ts';
import { serverEndpoints } from './server-endpoints.ts';
import { proofsOf, type ProofChecker } from './proofs.ts';
import type { Lasting } from './lasting.ts';
import { openForwarder } from './open-forwarder.ts';
import { Revoker } from '../revocation/revoker.ts';
import type { Observer } from '../telemetry/observer.ts';
import { logKey, requestObserver } from './request-observer.ts';
import type { AuditLog } from '../telemetry/audit-log.ts';
import type { SessionsPolicy } from '../telemetry/recent-sessions.ts';
import type { JwtAssertionSigner } from '../identity/assertion-jwt.ts';
import type { ProofSigner } from '../identity/proof-jws.ts';
import type { Limiters } from '../token/placed-limits.ts';
import { revocableClaims } from '../token/authentic-token.ts';
import { TokenCaches } from '../token/token-caches.ts';
import { localSeen } from './local-seen.ts';
import type { UpstreamForwarder } from '../upstream/upstream-forwarder.ts';
import { redirectSite } from '../handlers/redirect-handler.ts';
import { proxySite } from '../handlers/proxy-handler.ts';
import type { HandlerSite } from '../handlers/base-handler.ts';
import type { ResourceEndpoint } from '../handlers/resource-endpoint.ts';

export type { Lasting } from './lasting.ts';

export class Generation {
  readonly loaded: LoadedConfiguration;
  readonly policy: Policy;
  readonly caches: TokenCaches;
  readonly issuers: Issuers;
  readonly forwarder: UpstreamForwarder;
  /** By which a fleet sees what each gateway runs on. */
  readonly identity: MeasuredConfiguration;
  readonly lasting: Lasting;
  readonly signer: JwtAssertionSigner | undefined;
  /** Signs receipts and checkpoints. */
  readonly proof: ProofSigner | undefined;
  /** Undefined where there is no protected resource. */
  readonly resources: ResourceEndpoint | undefined;
  readonly limiters: Limiters;
  readonly #proofs: ProofChecker | undefined;
  readonly #gateway: Gateway;
  readonly #limiter: InFlightLimiter;
  readonly #observer: Observer;
  readonly revoker: Revoker;
  readonly #audit: AuditLog;
  readonly #endpoints: readonly ServerEndpoint[];

  /**
   * @param previous whose key sets and targets are kept where they are the same: an authorization server that is down
   *                 must not matter to a reload, nor a DNS server
   * @throws ConfigurationError where keys or other files cannot be used
   */
  constructor(loaded: LoadedConfiguration, lasting: Lasting, previous?: Generation) {
    const { configuration } = loaded;
    const { metrics, clock, view, store } = lasting;
    this.loaded = loaded;
    this.identity = { hash: configurationHash(configuration), loadedAtMs: clock.nowMs() };
    this.lasting = lasting;
    this.policy = compilePolicy(configuration);
    showProofResults(this.policy, metrics);
    showLimits(this.policy, metrics);
    this.caches = new TokenCaches(configuration.caches, previous?.caches.lookups);
    this.issuers = new Issuers(loaded, issuerParts(lasting, this.caches, previous?.issuers));
    this.signer = assertionSigner(loaded, clock);
    this.proof = proofSigner(loaded, this.signer?.publicKeys.keys);
    this.resources = resourceEndpoint(configuration, this.signer, clock);
    this.#observer = requestObserver(loaded, this.policy, lasting);
    this.#proofs = proofsOf(configuration, {
      replay: lasting.place.replay,
      clock,
      count: (result) => void metrics.proofs.child(result).value++,
    });
    this.limiters = lasting.limiters.of(this.policy, configuration.limits.rate_limit_keys);
    this.#gateway = new Gateway({
      policy: this.policy,
      verifiers: this.issuers.verifiersOf(this.policy),
      proofs: this.#proofs,
      ...offSwitches(lasting, this.issuers),
      limiters: this.limiters,
      failures: lasting.limiters.failuresOf(this.policy, clock),
      signer: this.signer,
      observer: this.#observer,
      clock,
    });
    this.#limiter = new InFlightLimiter(lasting.inFlight, this.policy.inFlight);
    this.revoker = new Revoker({
      store,
      view,
      issuers: this.issuers.revocable,
      identify: (token, issuerName) => this.issuers.identify(token, issuerName),
      keepSeconds: configuration.revocation.keep / 1000,
      clock,
    });
    this.#audit = auditLog(lasting);
    this.#endpoints = serverEndpoints({ generation: this, revoker: this.revoker, audit: this.#audit });
    // Last, since it begins to ask its targets how they are.
    this.forwarder = openForwarder(loaded, lasting, previous?.forwarder);
  }

  /** Who receives the requests of a listener. */
  site(listener: ListenerConfiguration): HandlerSite {
    const { serve, dialect, trusted_peers, https_port, public_url, client_cert_header } = listener;
    const { streams, log, clock, isReady } = this.lasting;
    const shared = {
      gateway: this.#gateway,
      limiter: this.#limiter,
      observer: this.#observer,
      logger: log.logger,
      clock,
      publicUrl: public_url,
      certificateProxies: new TrustedPeers(client_cert_header?.peers ?? []),
    };
    if (serve === 'redirect') return redirectSite({ ...shared, httpsPort: https_port ?? 443 });
    if (serve !== 'decisions')
      return proxySite({
        ...shared,
        forwarder: this.forwarder,
        streams,
        endpoints: this.#endpoints,
        keys: keysEndpoint(this.loaded, this.signer),
        resources: this.resources,
      });
    const deciding = {
      ...shared,
      askers: new TrustedPeers(trusted_peers ?? []),
      publicKeys: publicKeysOf(this.signer),
      resources: this.resources,
    };
    return dialect === 'ext_authz'
      ? extAuthzSite({ ...deciding, isReady })
      : decisionSite({ ...deciding, dialect: dialect ?? 'request' });
  }

  /** What the admin listener needs of the configuration. */
  get adminParts(): ConfiguredParts {
    const { admin } = this.loaded.configuration;
    return {
      auth: adminAuth(this),
      hosts: admin.hosts,
      tls: admin.tls && listenerTls(admin.tls),
      revocations: revocationsApi(this, this.#audit),
      apiKeys: apiKeysApi(this.lasting, this.revoker, this.#audit),
      keys: new KeysApi({
        issuers: this.loaded.configuration.issuers,
        keySets: this.issuers.remoteKeySets,
        refresh: this.lasting.keyRefresh,
        audit: this.#audit,
      }),
      seen: new SeenApi({
        fleet: this.lasting.fleet,
        seen: this.seen,
        causes: this.lasting.causes,
        clock: this.lasting.clock,
      }),
      fleet: new FleetApi({ ...this.lasting, canaryEveryMs: canaryEveryMs(this.loaded) }),
      publicKeys: publicKeysOf(this.signer),
      proofKeys: this.proof?.publicKeys,
    };
  }

  /** Settles when its keys, the stored ones too, and the names of its targets were asked for once. */
  async start(): Promise<void> {
    await Promise.all([this.issuers.start(), this.forwarder.resolved(), this.lasting.apiKeys.asked]);
  }

  /** What this gateway has seen. */
  get seen(): LocalSeen {
    return localSeen(
      this.lasting,
      this.policy.routes.map(({ name }) => name),
    );
  }

  /** Which sessions may be remembered from now on. */
  get sessionsPolicy(): SessionsPolicy {
    return { ...sessionOptions(this.loaded.configuration.sessions), key: logKey(this.loaded, this.lasting) };
  }

  /** It serves from now on, in the place of another. */
  takeOver(before: Generation): void {
    const { seen, streams, limiters } = this.lasting;
    seen.use(this.sessionsPolicy);
    limiters.use(this.policy, this.loaded.configuration.limits.rate_limit_keys);
    this.lasting.apiKeys.use(this.loaded);
    this.lasting.checkpoints.use(this);
    this.lasting.signals.use(this.loaded);
    streams.statusChanged();
    if (before.signer) this.signer?.succeed(before.signer);
    if (before.#proofs) this.#proofs?.succeed(before.#proofs);
    const { claims } = this.loaded.configuration.revocation;
    if (JSON.stringify(claims) !== JSON.stringify(before.loaded.configuration.revocation.claims))
      streams.useClaims(revocableClaims(claims));
  }

  /** Another generation serves from now on; requests in flight finish on this one. */
  retire(successor: Generation): void {
    this.issuers.stop(successor.issuers);
    this.forwarder.retire(successor.forwarder);
  }

  /** It never served. */
  discard(current: Generation): void {
    this.issuers.stop(current.issuers);
    this.forwarder.discard(current.forwarder);
  }
}

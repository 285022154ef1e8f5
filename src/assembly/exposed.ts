/** Which parts of a gateway its metrics are read from. What a reload replaces is asked for again at each scrape. */
import { exposeApiKeys } from './api-key-metrics.ts';
import { exposeKeyView } from './api-key-reports.ts';
import { canaryEveryMs } from './canary.ts';
import { exposeCanaries } from './canary-metrics.ts';
import type { CertificateWatch } from './certificate-watch.ts';
import { exposeConfiguration, exposeConnections } from './connection-metrics.ts';
import type { Generation, Lasting } from './generation.ts';
import { exposeGauges } from './instrumentation.ts';
import { exposeLeases } from './lease-reports.ts';
import { exposeLimits } from './limit-reports.ts';
import { exposeSignalClients } from './signal-client-reports.ts';
import { exposeSignals } from './signal-reports.ts';
import { exposeStatusLists } from './status-list-reports.ts';
import type { Listener } from '../server/listener.ts';

export interface ExposedParts {
  readonly lasting: Lasting;
  /** The one in place. */
  readonly generation: () => Generation;
  readonly listeners: () => readonly Listener[];
  readonly certificates: CertificateWatch;
}

export function exposeAll({ lasting, generation, listeners, certificates }: ExposedParts): void {
  const { metrics, view, inFlight, log, clock, keyReports, place, limiters } = lasting;
  metrics.exposeProcess();
  exposeGauges(metrics, {
    caches: () => generation().caches,
    view,
    canaries: lasting.canaries,
    maxViewAgeMs: () => generation().policy.maxViewAgeMs,
    // The process that fetches the keys knows their age.
    keyIssuers: () => (place.administers ? fetchedKeySets(generation()) : []),
    keySuccessAtMs: keyReports.successAtMs,
    nowMs: () => clock.nowMs(),
    targets: () => generation().forwarder.health(),
    inFlight: () => inFlight.count,
    // A primary serves nothing: its limits must not be added to those of its workers, which are shares of them.
    inFlightLimit: () => (place.serves ? generation().policy.inFlight : 0),
    certificateEnds: (set) => certificates.ends(set),
    droppedLogLines: () => log.dropped?.() ?? 0,
  });
  exposeLeases(
    metrics,
    () => place.leases?.fleet,
    () => generation().policy,
  );
  exposeLimits(metrics, limiters, place.serves);
  exposeApiKeys(
    metrics,
    () => generation().issuers,
    () => clock.nowMs(),
  );
  exposeKeyView(metrics, () => lasting.apiKeys.stored?.keys);
  exposeConnections(metrics, {
    listeners,
    connectionLimit: () => generation().loaded.configuration.limits.connections,
    upstreams: () => generation().forwarder.connections(),
  });
  exposeConfiguration(metrics, () => generation().identity, place.administers);
  exposeOffSwitches({ lasting, generation });
}

/** What ends tokens beside the revocation list, and what shows that it does. */
function exposeOffSwitches({ lasting, generation }: Pick<ExposedParts, 'lasting' | 'generation'>): void {
  const { metrics, clock, place } = lasting;
  exposeStatusLists(
    metrics,
    () => generation().issuers.statusLists,
    () => lasting.statusListReports,
  );
  exposeCanaries(metrics, {
    watch: place.administers ? lasting.canaryWatch : undefined,
    name: () => generation().policy.name,
    isOn: () => canaryEveryMs(generation().loaded) !== undefined,
    clock,
  });
  exposeSignals(metrics, () => lasting.signals.received);
  exposeSignalClients(
    metrics,
    () => lasting.signals.called,
    () => (place.administers ? generation().loaded.configuration.signals : {}),
  );
}

/** Of issuers, and of transmitters of signals. */
function fetchedKeySets({ issuers }: Generation): Iterable<string> {
  return [...issuers.remoteKeySets.keys(), ...issuers.transmitters.remoteKeySets.keys()];
}

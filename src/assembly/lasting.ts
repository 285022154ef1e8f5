/** What outlives a reload, and how it is built. */
import { randomBytes } from 'node:crypto';
import { KeyRefresh } from '../admin/key-refresh.ts';
import { LiveStreams } from '../handlers/live-streams.ts';
import { Causes } from '../revocation/causes.ts';
import { Canaries } from '../revocation/canaries.ts';
import { EntryRenewal } from '../revocation/entry-renewal.ts';
import { RefusalLines } from '../telemetry/refusal-lines.ts';
import type { Statuses } from '../stages/check-revocation.ts';
import { Seen } from '../telemetry/seen.ts';
import { AuthorizationServerClient } from '../token/authorization-server-client.ts';
import { ApiKeys } from './api-keys.ts';
import { Checkpoints } from './checkpoints.ts';
import { canaryWatchOf } from './canary.ts';
import { fleetOf } from './fleet.ts';
import type { Generation } from './generation.ts';
import { KeyReports } from './key-reports.ts';
import { reportLeases } from './lease-reports.ts';
import { OpenLimiters } from './limiters.ts';
import { closePlace } from './place.ts';
import { Signals } from './signals.ts';
import { StatusListReports } from './status-list-reports.ts';
import type { Clock } from '../clock.ts';
import type { CanaryWatch } from '../admin/canary-watch.ts';
import type { Fleet } from '../admin/fleet.ts';
import type { InFlight } from '../handlers/in-flight-limiter.ts';
import type { Log } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Place } from './place.ts';
import type { RevocationStore } from '../revocation/revocation-store.ts';
import type { RevocationView } from '../revocation/revocation-view.ts';
import type { Tracing } from '../telemetry/trace-context.ts';

/** What outlives a reload. */
export interface Lasting {
  readonly store: RevocationStore;
  readonly view: RevocationView;
  readonly streams: LiveStreams;
  readonly client: AuthorizationServerClient;
  readonly metrics: Metrics;
  readonly seen: Seen;
  readonly inFlight: InFlight;
  readonly log: Log;
  readonly refusalLines: RefusalLines;
  readonly causes: Causes;
  readonly clock: Clock;
  /** For the hashes in the log, where none is configured. */
  readonly randomLogKey: string;
  readonly tracing: Tracing;
  readonly keyRefresh: KeyRefresh;
  readonly fleet: Fleet;
  /** Of the audit log. */
  readonly checkpoints: Checkpoints;
  readonly canaries: Canaries;
  readonly canaryWatch: CanaryWatch;
  readonly keyReports: KeyReports;
  readonly apiKeys: ApiKeys;
  /** Is the gateway ready, as /readyz has it? */
  readonly isReady: () => boolean;
  readonly place: Place;
  readonly limiters: OpenLimiters;
  readonly signals: Signals;
  readonly statusListReports: StatusListReports;
}

type Given = Pick<
  Lasting,
  'place' | 'view' | 'metrics' | 'inFlight' | 'log' | 'clock' | 'tracing' | 'isReady'
>;

/** @param generation the one that serves now */
export function lastingParts(given: Given, generation: () => Generation): Lasting {
  const { place, view, metrics, log, clock } = given;
  const { store } = place;
  const apiKeys = new ApiKeys({ place, metrics, logger: log.logger, clock });
  const keepSeconds = (): number => generation().loaded.configuration.revocation.keep / 1000;
  const renewal = new EntryRenewal({ store, view, clock, keepSeconds });
  const client = new AuthorizationServerClient();
  const canaries = new Canaries({ store, view, clock });
  const watch = { canaries, canaryWatch: canaryWatchOf(canaries, place, clock) };
  const fleet = fleetOf({ ...given, ...watch, apiKeys }, generation);
  if (place.leases && place.administers) place.leases.processes = () => fleet.processes;
  if (place.leases?.fleet && place.serves)
    reportLeases(place.leases.fleet, log.logger, () => generation().loaded.configuration.revocation);
  const causes = new Causes({ store, view, clock });
  view.onRefusal = (token, issuedAt) => renewal.refused(token, issuedAt);
  return {
    ...given,
    store,
    limiters: new OpenLimiters(place.limiterOf),
    apiKeys,
    causes,
    seen: new Seen(metrics, clock, apiKeys.uses, causes),
    streams: liveStreams(given, generation),
    client,
    refusalLines: new RefusalLines(clock, ({ level, route, reason }, leftOut) =>
      log.logger[level](
        { route, reason, left_out: leftOut },
        'refused requests that have no line of their own',
      ),
    ),
    randomLogKey: randomBytes(32).toString('base64url'),
    keyRefresh: new KeyRefresh({
      store,
      view,
      keySets: () => generation().issuers.remoteKeySetsByIss,
      clock,
      logger: log.logger,
    }),
    fleet,
    checkpoints: new Checkpoints(log, clock),
    ...watch,
    keyReports: new KeyReports(metrics, log.logger, clock),
    signals: new Signals({ ...given, client, fleet }, generation),
    statusListReports: new StatusListReports(log.logger, clock),
  };
}

function liveStreams({ view, metrics, clock }: Given, generation: () => Generation): LiveStreams {
  // A stream outlives the configuration that let it begin.
  const heldVerdictOf: Statuses['heldVerdictOf'] = (token) =>
    generation().issuers.statusLists.heldVerdictOf(token);
  return new LiveStreams({ revocations: view, statuses: { heldVerdictOf } }, clock, (reason) => {
    metrics.streamsClosed.child(reason).value++;
  });
}

/** No request is served any more: what is kept back for a moment is told now. */
export function flushLasting({ refusalLines, causes, seen }: Lasting): void {
  causes.stop();
  refusalLines.flush();
  seen.stop();
}

/** @param generation the first one that serves */
export function startLasting(lasting: Lasting, generation: Generation): void {
  const { place, fleet, apiKeys, signals, seen, checkpoints } = lasting;
  if (place.administers) fleet.start();
  apiKeys.start(generation.loaded);
  signals.use(generation.loaded);
  seen.start(generation.sessionsPolicy);
  checkpoints.use(generation);
}

/** Nothing is served any more, by the admin listener neither. */
export async function closeLasting({ place, client, checkpoints }: Lasting): Promise<void> {
  await Promise.all([closePlace(place), client.close()]);
  // Last, so that no audit line comes after the end of the chain.
  checkpoints.close();
}

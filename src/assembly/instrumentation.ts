/** What the parts of a gateway tell of themselves, as metrics and log lines. */
import { namedKeys } from '../api-keys/key-expiry.ts';
import type { Clock } from '../clock.ts';
import { SILENT_OBSERVER, type IssuerObserver } from './issuer-observer.ts';
import type { KeyFileObserver } from './key-file.ts';
import type { KeyReports } from './key-reports.ts';
import type { StatusListReports } from './status-list-reports.ts';
import type { LogoutObserver } from '../handlers/logout-endpoint.ts';
import type { Canaries } from '../revocation/canaries.ts';
import type { RevocationView } from '../revocation/revocation-view.ts';
import { describeError, type Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Refusal } from '../telemetry/refusal-lines.ts';
import type { TargetStatus } from '../upstream/target-status.ts';
import { CACHE_NAMES, type TokenCaches } from '../token/token-caches.ts';

/**
 * @param keys reports on key sets, as `lists` does on status lists: they remember what they have said, across reloads
 * @param tellsOfFiles each worker reads the files of API keys; one process is enough to tell of them
 */
export function issuerObserver(
  metrics: Metrics,
  logger: Logger,
  keys: KeyReports,
  lists: StatusListReports,
  tellsOfFiles: boolean,
): IssuerObserver {
  return {
    ...(tellsOfFiles ? keyFileLines(logger) : SILENT_OBSERVER),
    keysRefreshed: (issuer) => keys.refreshed(issuer),
    keysSkipped: (issuer, skipped) => keys.skipped(issuer, skipped),
    keysRestored: (issuer, ageMs) => keys.restored(issuer, ageMs),
    keysFailed: (issuer, error, areKnown) => keys.failed(issuer, error, areKnown),
    listFetched: (...what) => lists.listFetched(...what),
    keyCacheFailed: (issuer, file, problem) => keys.cacheFailed(issuer, file, problem),
    asked: (issuer, result, error) => {
      metrics.introspections.child(issuer, result).value++;
      if (error !== undefined)
        logger.warn({ issuer, error: describeError(error) }, 'an opaque token cannot be checked');
    },
  };
}

function keyFileLines(logger: Logger): KeyFileObserver {
  return {
    apiKeysRead: (issuer, count) => logger.info({ issuer, keys: count }, 'the API keys are read again'),
    apiKeysFailed: (issuer, problems) =>
      logger.error({ issuer, problems }, 'the changed file of API keys cannot be used; the keys before stay'),
    apiKeysExpire: (issuer, ids) =>
      logger.warn({ issuer, keys: ids.length, ids: namedKeys(ids) }, 'API keys expire within 7 days'),
  };
}

/**
 * @param admits whether a refusal may have a line: anyone can send logout tokens that are refused
 * @param endpoints counted from zero on, so that the first logout is an increase
 */
export function logoutObserver(
  metrics: Metrics,
  logger: Logger,
  admits: (refusal: Refusal) => boolean,
  endpoints: readonly { readonly issuerName: string }[],
): LogoutObserver {
  for (const { issuerName } of endpoints) metrics.backchannelLogouts.child(issuerName, 'accepted');
  return {
    accepted: (issuer) => {
      metrics.backchannelLogouts.child(issuer, 'accepted').value++;
    },
    refused: (issuer, reason, from) => {
      metrics.backchannelLogouts.child(issuer, reason).value++;
      if (admits({ route: `logout endpoint of ${issuer}`, reason, level: 'warn' }))
        logger.warn({ issuer, reason, client_ip: from }, 'a back-channel logout was refused');
    },
  };
}

interface Measured {
  readonly caches: () => TokenCaches;
  readonly view: RevocationView;
  readonly canaries: Pick<Canaries, 'inForce'>;
  readonly maxViewAgeMs: () => number;
  /** Issuers whose keys are fetched. */
  readonly keyIssuers: () => Iterable<string>;
  /** By issuer, in wall-clock time. */
  readonly keySuccessAtMs: ReadonlyMap<string, number>;
  readonly nowMs: () => number;
  readonly targets: () => readonly TargetStatus[];
  readonly inFlight: () => number;
  /** 0 = no limit. */
  readonly inFlightLimit: () => number;
  /** Tells when each certificate expires: seconds since 1970, and its key of the configuration. */
  readonly certificateEnds: (set: (seconds: number, key: string) => void) => void;
  readonly droppedLogLines: () => number;
}

/** Exposes what is measured when the metrics are asked for. */
export function exposeGauges(metrics: Metrics, measured: Measured): void {
  exposeProcess(metrics, measured);
  exposeTargetsAndCaches(metrics, measured);
  exposeKeys(metrics, measured);
  exposeView(metrics, measured);
}

function exposeProcess(metrics: Metrics, measured: Measured): void {
  const { inFlight, inFlightLimit, certificateEnds, droppedLogLines } = measured;
  metrics.gauge('sallyport_requests_in_flight', 'Requests being served.', [], (set) => set(inFlight()));
  metrics.gauge(
    'sallyport_requests_in_flight_limit',
    'How many requests are served at a time: limits.in_flight. Absent where there is no limit.',
    [],
    (set) => {
      if (inFlightLimit() > 0) set(inFlightLimit());
    },
  );
  metrics.gauge(
    'sallyport_tls_certificate_expiry_timestamp_seconds',
    'When the certificate at this key of the configuration, or the first of its chain, expires.',
    ['certificate'],
    certificateEnds,
  );
  metrics.counterOf(
    'sallyport_log_lines_dropped_total',
    'Log lines that were dropped since the log could not be written: a full disk, a reader that does not read.',
    [],
    (counter) => {
      counter.child().value = droppedLogLines();
    },
  );
}

function exposeTargetsAndCaches(metrics: Metrics, { caches, targets }: Measured): void {
  metrics.gauge(
    'sallyport_upstream_target_healthy',
    '1 while the target gets requests: one of its addresses, where it is a name.',
    ['upstream', 'target'],
    (set) => {
      for (const { upstream, target, available } of targets()) set(available ? 1 : 0, upstream, target);
    },
  );
  metrics.gauge(
    'sallyport_upstream_members',
    'Addresses of the target, by whether they get requests (up) or not (down).',
    ['upstream', 'target', 'state'],
    (set) => {
      for (const { upstream, target, members } of targets()) {
        const up = members.filter(({ state }) => state === 'up').length;
        set(up, upstream, target, 'up');
        set(members.length - up, upstream, target, 'down');
      }
    },
  );
  metrics.counterOf(
    'sallyport_cache_lookups_total',
    'Look-ups in the local caches.',
    ['cache', 'result'],
    (counter) => {
      for (const cache of CACHE_NAMES) {
        const { hit, miss } = caches().lookups[cache];
        counter.child(cache, 'hit').value = hit;
        counter.child(cache, 'miss').value = miss;
      }
    },
  );
  metrics.gauge('sallyport_cache_entries', 'Entries of the local caches.', ['cache'], (set) => {
    for (const cache of CACHE_NAMES) set(caches().entries(cache), cache);
  });
}

function exposeKeys(metrics: Metrics, { keyIssuers, keySuccessAtMs, nowMs }: Measured): void {
  metrics.gauge(
    'sallyport_jwks_last_success_timestamp_seconds',
    'When the key set was last fetched.',
    ['issuer'],
    (set) => {
      for (const issuer of keyIssuers()) {
        const atMs = keySuccessAtMs.get(issuer);
        if (atMs !== undefined) set(atMs / 1000, issuer);
      }
    },
  );
  metrics.gauge(
    'sallyport_jwks_age_seconds',
    'Time since the key set was last fetched; +Inf where it never was.',
    ['issuer'],
    (set) => {
      for (const issuer of keyIssuers())
        set(Math.max(0, nowMs() - (keySuccessAtMs.get(issuer) ?? -Infinity)) / 1000, issuer);
    },
  );
}

function exposeView(metrics: Metrics, { view, canaries, maxViewAgeMs }: Measured): void {
  metrics.gauge('sallyport_revocation_entries', 'Revocations in force in the local view.', [], (set) =>
    set(view.size - canaries.inForce),
  );
  metrics.gauge(
    'sallyport_revocation_view_age_seconds',
    'Time since the local view was last known to be complete.',
    [],
    (set) => set(view.ageMs / 1000),
  );
  metrics.gauge(
    'sallyport_revocation_max_view_age_seconds',
    'How old the local view may be: revocation.max_view_age.',
    [],
    (set) => set(maxViewAgeMs() / 1000),
  );
  metrics.gauge('sallyport_revocation_store_connected', '1 while the store answers.', [], (set) =>
    set(view.connected ? 1 : 0),
  );
}

/** Says when the store had lost entries. */
export function reportRestored(view: RevocationView, logger: Logger): void {
  view.on('restored', (marks) =>
    logger.warn({ entries: marks }, 'the revocation store had lost entries, and was given them back'),
  );
}

/** Measures how late the news of the revocation list take effect. */
export function reportPropagation(view: RevocationView, metrics: Metrics, clock: Clock): void {
  view.on('applied', (marks) => {
    const nowMs = clock.nowMs();
    for (const { version } of marks) {
      if (view.connected) metrics.propagationSeconds.observe(Math.max(0, nowMs - version.timeMs) / 1000);
    }
  });
}

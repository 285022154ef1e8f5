/**
 * What happens to status lists, as metrics and log lines: a line for each change, since the same failure comes back with every
 * try.
 */
import type { Clock } from '../clock.ts';
import type { FetchResult } from '../status-lists/held-list.ts';
import { FETCH_RESULTS } from '../status-lists/held-list.ts';
import type { ListObserver } from '../status-lists/issuer-lists.ts';
import type { StatusLists } from '../status-lists/status-lists.ts';
import { describeError, type Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** A failure that lasts is said again after this time, so that a log of the last minutes shows it. */
const REPEAT_MS = 600_000;
/** Beyond this many lists that fail, all are said again. */
const MAX_FAILURES = 1_000;

interface Failure {
  readonly text: string;
  readonly isKnown: boolean;
  /** On the monotonic clock. */
  readonly saidAtMs: number;
}

export class StatusListReports implements ListObserver {
  /** By issuer, and by result. */
  readonly fetches = new Map<string, Record<FetchResult, number>>();
  readonly #logger: Logger;
  readonly #clock: Clock;
  /** By URI: nothing else tells lists apart, and an issuer's prefix is no other's. */
  readonly #failures = new Map<string, Failure>();

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  listFetched(issuer: string, uri: string, result: FetchResult, isKnown: boolean, error?: unknown): void {
    this.#countsOf(issuer)[result]++;
    if (result !== 'success' && result !== 'not_modified') this.#failed(issuer, uri, result, isKnown, error);
    else if (this.#failures.delete(uri))
      this.#logger.info({ issuer, uri }, 'the status list can be fetched again');
  }

  #countsOf(issuer: string): Record<FetchResult, number> {
    let counts = this.fetches.get(issuer);
    if (!counts) {
      counts = { success: 0, not_modified: 0, unavailable: 0, refused: 0, full: 0 };
      this.fetches.set(issuer, counts);
    }
    return counts;
  }

  #failed(issuer: string, uri: string, result: FetchResult, isKnown: boolean, error: unknown): void {
    const text = result === 'full' ? 'status_list.max_lists or max_size is reached' : describeError(error);
    const nowMs = this.#clock.monotonicMs();
    const said = this.#failures.get(uri);
    if (said?.text === text && said.isKnown === isKnown && nowMs - said.saidAtMs < REPEAT_MS) return;
    if (this.#failures.size >= MAX_FAILURES) this.#failures.clear();
    this.#failures.set(uri, { text, isKnown, saidAtMs: nowMs });
    this.#logger.warn(
      { issuer, uri, error: text, list_known: isKnown },
      isKnown
        ? 'the status list cannot be fetched; the one that is known stays in use'
        : 'the status list cannot be fetched, and none is current: revocation.when_stale decides about its tokens',
    );
  }
}

export function exposeStatusLists(
  metrics: Metrics,
  lists: () => StatusLists,
  reports: () => StatusListReports,
): void {
  metrics.gauge(
    'sallyport_status_lists',
    'Status lists of the issuer that are kept current.',
    ['issuer'],
    (set) => {
      for (const [issuer, held] of lists().byIssuer) set([...held.lists].length, issuer);
    },
  );
  metrics.gauge(
    'sallyport_status_lists_stale',
    'Status lists that tokens name and that are too old to go by, or not there.',
    ['issuer'],
    (set) => {
      for (const [issuer, held] of lists().byIssuer)
        set([...held.lists].filter(({ isCurrent }) => !isCurrent).length, issuer);
    },
  );
  metrics.gauge(
    'sallyport_status_list_age_seconds',
    'Time since the status list was last known to be current, of the oldest one that was ever fetched.',
    ['issuer'],
    (set) => {
      for (const [issuer, held] of lists().byIssuer) {
        const ages = [...held.lists].map(({ ageMs }) => ageMs).filter(Number.isFinite);
        if (ages.length > 0) set(Math.max(...ages) / 1000, issuer);
      }
    },
  );
  metrics.counterOf(
    'sallyport_status_list_fetches_total',
    'Fetches of status lists, by result; full: there was no room for one.',
    ['issuer', 'result'],
    (counter) => {
      for (const [issuer, counts] of reports().fetches)
        for (const result of FETCH_RESULTS) counter.child(issuer, result).value = counts[result];
    },
  );
}

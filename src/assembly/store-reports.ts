/**
 * What happens to the revocation store, in the log: when it is lost, when the local view has become too old to decide with,
 * and when both are as they should be again. A line for each change, and for each further cause; none while nothing changes.
 */
import type { Clock } from '../clock.ts';
import type { Configuration } from '../config/schema.ts';
import { storeAddress } from '../config/redis-location.ts';
import type { Policy } from '../policy.ts';
import type { RevocationView } from '../revocation/revocation-view.ts';
import type { Logger } from '../telemetry/logger.ts';
import { OutageCauses } from '../telemetry/outage-causes.ts';
import { namesText, routesThatRefuseStale } from './unserved-routes.ts';

/** How often the age of the view is looked at. */
const LOOK_MS = 1_000;

export interface StoreReportsParts {
  readonly view: RevocationView;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Of the configuration in place. */
  readonly revocation: () => Configuration['revocation'];
  readonly policy: () => Policy;
}

export class StoreReports {
  readonly #parts: StoreReportsParts;
  /** On the monotonic clock; undefined while the store responds. */
  #lostAtMs: number | undefined;
  /** Since when the view is too old; undefined while it is not. */
  #staleAtMs: number | undefined;
  readonly #causes = new OutageCauses();
  #cancel: () => void = () => undefined;

  constructor(parts: StoreReportsParts) {
    this.#parts = parts;
    parts.view.on('loaded', () => this.#loaded());
    parts.view.on('lost', (error) => this.#lost(error));
    parts.view.on('failing', (error) => this.#failing(error));
  }

  start(): void {
    this.#cancel = this.#parts.clock.after(LOOK_MS, () => {
      this.#look();
      this.start();
    });
  }

  stop(): void {
    this.#cancel();
  }

  #lost(error: unknown): void {
    const { view, logger, clock, revocation } = this.#parts;
    this.#lostAtMs ??= clock.monotonicMs();
    const loaded = view.ageMs !== Infinity;
    const seconds = revocation().max_view_age / 1000;
    logger.error(
      { store: this.#store, error: this.#causes.begin(error), list_loaded: loaded },
      loaded
        ? `the revocation store is unavailable; the local view serves until it is ${seconds} s old, then ${this.#consequence}`
        : `the revocation store is unavailable and no list is loaded yet; the gateway is not ready, and until the store responds ${this.#consequence}`,
    );
  }

  #failing(error: unknown): void {
    const cause = this.#causes.another(error);
    if (cause === undefined) return;
    this.#parts.logger.error(
      { store: this.#store, error: cause },
      'the revocation store is still unavailable, now for another cause',
    );
  }

  /** The list was loaded for the first time, or the store is there again and the view has caught up with it. */
  #loaded(): void {
    const { view, logger } = this.#parts;
    const lostSeconds = this.#secondsSince(this.#lostAtMs);
    this.#lostAtMs = undefined;
    if (lostSeconds === undefined) {
      logger.info({ store: this.#store, entries: view.size }, 'the revocation list is loaded');
      return;
    }
    const wasStale = this.#staleAtMs !== undefined;
    logger.info(
      {
        store: this.#store,
        entries: view.size,
        lost_seconds: lostSeconds,
        ...(wasStale && { stale_seconds: this.#secondsSince(this.#staleAtMs) }),
      },
      'the revocation store is available again, and the local view is current',
    );
    this.#staleAtMs = undefined;
  }

  /** Before a list is loaded there is no view that could grow old: the line about the loss says so. */
  #look(): void {
    const { view, logger, clock, policy } = this.#parts;
    const { ageMs } = view;
    const { maxViewAgeMs } = policy();
    const isStale = ageMs > maxViewAgeMs && ageMs !== Infinity;
    if (isStale === (this.#staleAtMs !== undefined)) return;
    if (isStale) {
      this.#staleAtMs = clock.monotonicMs() - (ageMs - maxViewAgeMs);
      logger.error(
        { store: this.#store, view_age_seconds: seconds(ageMs), routes: routesThatRefuseStale(policy()) },
        `the local view of the revocation list is too old; from now on ${this.#consequence}`,
      );
      return;
    }
    logger.info(
      { store: this.#store, stale_seconds: this.#secondsSince(this.#staleAtMs) },
      'the local view of the revocation list is current again',
    );
    this.#staleAtMs = undefined;
  }

  get #store(): string {
    return storeAddress(this.#parts.revocation());
  }

  /** What follows from a view that is too old. */
  get #consequence(): string {
    const names = routesThatRefuseStale(this.#parts.policy());
    return names.length > 0
      ? `requests with a token get 503 on ${namesText(names)}`
      : 'requests pass unchecked';
  }

  #secondsSince(atMs: number | undefined): number | undefined {
    return atMs === undefined ? undefined : seconds(this.#parts.clock.monotonicMs() - atMs);
  }
}

function seconds(ms: number): number {
  return Math.round(ms) / 1000;
}

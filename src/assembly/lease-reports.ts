/**
 * What happens to the store in which a fleet counts requests: in the log when each gateway counts alone, and when all count together
 * again; and as a metric while it lasts. store-reports.ts does the same for the revocation list, which has another connection. Rule L4.
 */
import type { Configuration } from '../config/schema.ts';
import { storeAddress } from '../config/redis-location.ts';
import type { LeaseDesk } from '../limits/lease-desk.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { describeError, type Logger } from '../telemetry/logger.ts';

export interface LeaseReportsParts {
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Of the configuration in place. */
  readonly revocation: () => Configuration['revocation'];
  /** Is there a limit of the fleet? */
  readonly hasLimits: () => boolean;
}

export function reportLeases(desk: LeaseDesk, parts: LeaseReportsParts): void {
  const { logger, metrics, revocation, hasLimits } = parts;
  metrics.gauge(
    'sallyport_rate_limits_counted_alone',
    'Is the store of the limits of the fleet unavailable (1)? Then this gateway gives its share of each. Absent without such limits.',
    [],
    (set) => {
      if (hasLimits()) set(desk.lostAtMs === undefined ? 0 : 1);
    },
  );
  desk.onLost = (error) => {
    const { gateways } = desk;
    logger.error(
      { store: storeAddress(revocation()), error: describeError(error), gateways },
      gateways === 1
        ? 'the store of rate limits is unavailable; this gateway knows no other, and gives the whole of each limit'
        : `the store of rate limits is unavailable; until it responds this gateway gives 1/${gateways} of each limit of the fleet`,
    );
  };
  desk.onBack = (lostMs) => {
    logger.info(
      { store: storeAddress(revocation()), lost_seconds: Math.round(lostMs) / 1000, gateways: desk.gateways },
      'rate limits are counted by the fleet together again',
    );
  };
}

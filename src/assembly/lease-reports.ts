/**
 * What happens to the store in which a fleet counts requests: in the log when each gateway counts alone, and when all count together
 * again; and as a metric while it lasts. store-reports.ts does the same for the revocation list, which has another connection. Rule L4.
 */
import type { Configuration } from '../config/schema.ts';
import { storeAddress } from '../config/redis-location.ts';
import type { LeaseDesk } from '../limits/lease-desk.ts';
import type { Policy } from '../policy.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Logger } from '../telemetry/logger.ts';
import { OutageCauses } from '../telemetry/outage-causes.ts';

/** @param desk undefined: no store is shared */
export function exposeLeases(
  metrics: Metrics,
  desk: () => LeaseDesk | undefined,
  policy: () => Policy,
): void {
  metrics.gauge(
    'sallyport_rate_limits_counted_alone',
    'Is the store in which the fleet counts requests unavailable (1)? Then the gateway gives its share of each limit. Absent without a limit of the fleet, or with a store of its own.',
    [],
    (set) => {
      const lostAtMs = desk()?.lostAtMs;
      if (desk() && policy().limits.some(({ scope }) => scope === 'fleet'))
        set(lostAtMs === undefined ? 0 : 1);
    },
  );
}

/** @param revocation of the configuration in place */
export function reportLeases(
  desk: LeaseDesk,
  logger: Logger,
  revocation: () => Configuration['revocation'],
): void {
  const causes = new OutageCauses();
  desk.onLost = (error) => {
    const { gateways } = desk;
    logger.error(
      { store: storeAddress(revocation()), error: causes.begin(error), gateways },
      gateways === 1
        ? 'the store of rate limits is unavailable; this gateway knows no other, and gives the whole of each limit'
        : `the store of rate limits is unavailable; until it responds this process gives 1/${gateways} of each limit of the fleet`,
    );
  };
  desk.onFailing = (error) => {
    const cause = causes.another(error);
    if (cause === undefined) return;
    logger.error(
      { store: storeAddress(revocation()), error: cause },
      'the store of rate limits is still unavailable, now for another cause',
    );
  };
  desk.onBack = (lostMs) => {
    logger.info(
      { store: storeAddress(revocation()), lost_seconds: Math.round(lostMs) / 1000, gateways: desk.gateways },
      'rate limits are counted by the fleet together again',
    );
  };
}

/**
 * What happens to the memory of used proofs, in the log: when it cannot say whether a proof was used, and when it can again. A line
 * for each change, and for each further cause; none while nothing changes. store-reports.ts does the same for the revocation list, which has another connection.
 */
import type { Clock } from '../clock.ts';
import type { Configuration } from '../config/schema.ts';
import { storeAddress } from '../config/redis-location.ts';
import type { Policy } from '../policy.ts';
import type { ReplayOutage, WatchedReplayStore } from '../replay/watched-replay-store.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Logger } from '../telemetry/logger.ts';
import { OutageCauses } from '../telemetry/outage-causes.ts';
import type { Issuers } from './issuers.ts';
import { PROOF_RESULTS } from './proofs.ts';
import { namesText, routesWithProofs } from './unserved-routes.ts';

/** A rise from nothing is no rise for Prometheus: where proofs are taken, all results are there from the start. */
export function showProofResults(policy: Policy, metrics: Metrics): void {
  const isTaken = policy.routes.some(({ senderConstrained }) => senderConstrained !== undefined);
  if (isTaken) for (const result of PROOF_RESULTS) metrics.proofs.child(result);
}

export interface ReplayReportsParts {
  readonly logger: Logger;
  readonly clock: Clock;
  /** Of the configuration in place. */
  readonly revocation: () => Configuration['revocation'];
  readonly policy: () => Policy;
}

/** @param issuers of the configuration in place */
export function reportReplay(
  store: WatchedReplayStore,
  parts: ReplayReportsParts,
  issuers: () => Pick<Issuers, 'revocationReceivers'>,
): void {
  const { logger, clock, revocation, policy } = parts;
  const address = (): string => storeAddress(revocation());
  const causes = new OutageCauses();
  store.onLost = (outage, error) => {
    logger.error(
      { store: address(), error: causes.begin(error) },
      `the memory of used proofs is ${outageWord(outage)}; ${consequence(policy(), issuers())}`,
    );
  };
  store.onFailing = (error) => {
    const cause = causes.another(error);
    if (cause === undefined) return;
    logger.error(
      { store: address(), error: cause },
      'the memory of used proofs still does not work, now for another cause',
    );
  };
  store.onBack = ({ sinceMs }) => {
    logger.info(
      { store: address(), lost_seconds: Math.round(clock.monotonicMs() - sinceMs) / 1000 },
      'the memory of used proofs works again',
    );
  };
}

/** Whether it works, for GET /v1/status: null before the first proof. */
export function replayState({ outage, hasResponded }: WatchedReplayStore): boolean | null {
  return outage ? false : hasResponded ? true : null;
}

export function outageWord({ isFull }: ReplayOutage): string {
  return isFull ? 'full' : 'unavailable';
}

function consequence(policy: Policy, { revocationReceivers }: Pick<Issuers, 'revocationReceivers'>): string {
  const [refusing, passing] = (['deny', 'allow'] as const).map((rule) => routesWithProofs(rule, policy));
  return [
    ...(refusing?.length ? [`requests with a proof get 503 on ${namesText(refusing)}`] : []),
    ...(passing?.length ? [`a proof that was used before passes on ${namesText(passing)}`] : []),
    ...(revocationReceivers.length > 0 ? ['global token revocations get 503'] : []),
  ].join(', and ');
}

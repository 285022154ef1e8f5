/** What the issuers of a configuration are made of, in a gateway that runs. */
import type { OffSwitches } from '../stages/check-revocation.ts';
import type { TokenCaches } from '../token/token-caches.ts';
import type { Lasting } from './generation.ts';
import { issuerObserver } from './instrumentation.ts';
import type { IssuerParts, Issuers } from './issuers.ts';

/** @param previous whose key sets and status lists are taken over where they are the same */
export function issuerParts(
  lasting: Lasting,
  caches: TokenCaches,
  previous: Issuers | undefined,
): IssuerParts {
  const { client, clock, metrics, log, keyReports, statusListReports, place, apiKeys, streams } = lasting;
  return {
    client,
    caches,
    clock,
    observer: issuerObserver(metrics, log.logger, keyReports, statusListReports, place.administers),
    keySetOf: place.keySetOf,
    statusChanged: () => streams.statusChanged(),
    storedKeys: (name) => apiKeys.source(name),
    ...(previous && { previous }),
  };
}

/** What ends a token before it expires: the gateway's own list, and those of the issuers. */
export function offSwitches({ view }: Lasting, { statusLists }: Issuers): OffSwitches {
  return { revocations: view, statuses: statusLists };
}

/** The endpoints on the public listeners that authorization servers call, and what is counted and logged of them. */
import { GlobalRevocationEndpoint } from '../handlers/global-revocation-endpoint.ts';
import { LogoutEndpoint } from '../handlers/logout-endpoint.ts';
import type { EndpointPlace, ServerEndpoint } from '../handlers/server-endpoint.ts';
import type { Revoker } from '../revocation/revoker.ts';
import type { AuditLog } from '../telemetry/audit-log.ts';
import type { Generation } from './generation.ts';
import { globalRevocationObserver } from './global-revocations.ts';
import { logoutObserver } from './instrumentation.ts';
import type { Issuers } from './issuers.ts';

export interface EndpointParts {
  readonly generation: Pick<Generation, 'loaded' | 'lasting' | 'issuers'>;
  readonly revoker: Revoker;
  readonly audit: AuditLog;
}

export function serverEndpoints(parts: EndpointParts): readonly ServerEndpoint[] {
  return [...logoutEndpoints(parts), ...globalRevocationEndpoints(parts)];
}

/** Where they are: what `explain` needs of them. */
export function endpointPlaces({ logoutReceivers, revocationReceivers }: Issuers): readonly EndpointPlace[] {
  return [...logoutReceivers, ...revocationReceivers].map(({ place }) => place);
}

function logoutEndpoints({ generation, revoker, audit }: EndpointParts): LogoutEndpoint[] {
  const { loaded, lasting, issuers } = generation;
  const { metrics, log, refusalLines } = lasting;
  const { refusals } = loaded.configuration.log;
  const { logoutReceivers } = issuers;
  const observer = logoutObserver(
    metrics,
    log.logger,
    (refusal) => refusalLines.admits(refusal, refusals),
    logoutReceivers.map(({ place }) => place),
  );
  return logoutReceivers.map((receiver) => new LogoutEndpoint(receiver, revoker, audit, observer));
}

function globalRevocationEndpoints({
  generation,
  revoker,
  audit,
}: EndpointParts): GlobalRevocationEndpoint[] {
  const { loaded, lasting, issuers } = generation;
  const { metrics, log, refusalLines, place } = lasting;
  const { refusals } = loaded.configuration.log;
  const { revocationReceivers } = issuers;
  const observer = globalRevocationObserver(
    metrics,
    log.logger,
    (refusal) => refusalLines.admits(refusal, refusals),
    revocationReceivers.map((receiver) => receiver.place),
  );
  const parts = { revoker, replay: place.replay, audit, observer };
  return revocationReceivers.map((receiver) => new GlobalRevocationEndpoint(receiver, parts));
}

/**
 * The endpoints on the public listeners that authorization servers and transmitters of signals call, and what is counted and logged
 * of them.
 */
import type { Configuration } from '../config/schema.ts';
import { GlobalRevocationEndpoint } from '../handlers/global-revocation-endpoint.ts';
import { LogoutEndpoint } from '../handlers/logout-endpoint.ts';
import type { EndpointPlace, ServerEndpoint } from '../handlers/server-endpoint.ts';
import { SignalEndpoint } from '../handlers/signal-endpoint.ts';
import type { Revoker } from '../revocation/revoker.ts';
import type { AuditLog } from '../telemetry/audit-log.ts';
import type { Generation } from './generation.ts';
import { globalRevocationObserver } from './global-revocations.ts';
import { logoutObserver } from './instrumentation.ts';
import type { Issuers } from './issuers.ts';
import { pushPlace } from './transmitters.ts';

export interface EndpointParts {
  readonly generation: Pick<Generation, 'loaded' | 'lasting' | 'issuers'>;
  readonly revoker: Revoker;
  readonly audit: AuditLog;
}

export function serverEndpoints(parts: EndpointParts): readonly ServerEndpoint[] {
  return [...logoutEndpoints(parts), ...globalRevocationEndpoints(parts), ...signalEndpoints(parts)];
}

/** Where they are: what `explain` needs of them. */
export function endpointPlaces(
  { logoutReceivers, revocationReceivers }: Issuers,
  { signals }: Configuration,
): readonly EndpointPlace[] {
  return [
    ...[...logoutReceivers, ...revocationReceivers].map(({ place }) => place),
    ...Object.entries(signals).flatMap(([name, transmitter]) => pushPlace(name, transmitter) ?? []),
  ];
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

/** An intake for each transmitter, and an endpoint for those that push. */
function signalEndpoints({ generation, revoker, audit }: EndpointParts): SignalEndpoint[] {
  const { transmitters } = generation.issuers;
  transmitters.receive(generation, revoker, audit);
  return Object.entries(generation.loaded.configuration.signals).flatMap(([name, transmitter]) => {
    const place = pushPlace(name, transmitter);
    const intake = transmitters.intakes.get(name);
    return place && intake
      ? [new SignalEndpoint({ place, intake, authorization: transmitter.push?.authorization })]
      : [];
  });
}

/** What receives the logouts that authorization servers tell of, and what is counted and logged of them. */
import type { LoadedConfiguration } from '../config/load.ts';
import { LogoutHandler } from '../handlers/logout-handler.ts';
import type { Revoker } from '../revocation/revoker.ts';
import type { AuditLog } from '../telemetry/audit-log.ts';
import type { Lasting } from './generation.ts';
import { logoutObserver } from './instrumentation.ts';
import type { Issuers } from './issuers.ts';

export function logoutHandler(
  { configuration }: LoadedConfiguration,
  { metrics, log, refusalLines }: Pick<Lasting, 'metrics' | 'log' | 'refusalLines'>,
  { logoutEndpoints }: Pick<Issuers, 'logoutEndpoints'>,
  revoker: Revoker,
  audit: AuditLog,
): LogoutHandler {
  const observer = logoutObserver(
    metrics,
    log.logger,
    (refusal) => refusalLines.admits(refusal, configuration.log.refusals),
    logoutEndpoints,
  );
  return new LogoutHandler(logoutEndpoints, revoker, audit, observer);
}

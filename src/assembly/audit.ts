/** The audit log, and what is counted of it. */
import { AuditLog } from '../telemetry/audit-log.ts';
import type { Lasting } from './generation.ts';

export function auditLog({ log, metrics }: Pick<Lasting, 'log' | 'metrics'>): AuditLog {
  return new AuditLog(
    log.audit,
    (action, by) => void metrics.revocationChanges.child(action, by).value++,
    ({ issuer, action }) => void metrics.apiKeyChanges.child(issuer, action.replace('_api_key', '')).value++,
  );
}

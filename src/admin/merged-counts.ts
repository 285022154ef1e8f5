/** What several processes have counted of callers as one list: the requests of one caller are added up. Pure. */
import { byRequests, type Counts } from '../telemetry/counted-callers.ts';
import type { LimitedCaller } from '../telemetry/limited-callers.ts';
import type { ReportedCaller } from '../telemetry/reported-callers.ts';

export function mergedLimited(callers: readonly LimitedCaller[]): LimitedCaller[] {
  return merged(callers, ({ limit, mode, issuer, clientId, subjectHash, clientIp }) => [
    ...[limit, mode, issuer, clientId, subjectHash, clientIp],
  ]);
}

export function mergedReported(callers: readonly ReportedCaller[]): ReportedCaller[] {
  return merged(callers, ({ route, reason, issuer, clientId }) => [route, reason, issuer, clientId]);
}

/** Of what is noted, the last of the list counts. */
function merged<T extends Counts>(callers: readonly T[], identityOf: (caller: T) => readonly unknown[]): T[] {
  const byKey = new Map<string, T>();
  for (const caller of callers) {
    const key = JSON.stringify(identityOf(caller));
    const known = byKey.get(key);
    const requests = caller.requests + (known?.requests ?? 0);
    const lastMs = Math.max(caller.lastMs, known?.lastMs ?? 0);
    byKey.set(key, { ...caller, requests, lastMs });
  }
  return [...byKey.values()].sort(byRequests);
}

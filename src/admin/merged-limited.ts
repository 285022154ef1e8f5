/** The limited callers of several processes as one list: the requests of one caller are added up. Pure. */
import { byRequests, type LimitedCaller } from '../telemetry/limited-callers.ts';

export function mergedLimited(callers: readonly LimitedCaller[]): LimitedCaller[] {
  const merged = new Map<string, LimitedCaller>();
  for (const caller of callers) {
    const { limit, mode, issuer, clientId, subjectHash, clientIp } = caller;
    const key = JSON.stringify([limit, mode, issuer, clientId, subjectHash, clientIp]);
    const known = merged.get(key);
    merged.set(
      key,
      known
        ? {
            ...caller,
            requests: known.requests + caller.requests,
            lastMs: Math.max(known.lastMs, caller.lastMs),
          }
        : caller,
    );
  }
  return [...merged.values()].sort(byRequests);
}

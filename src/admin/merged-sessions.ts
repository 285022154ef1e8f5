/** What several processes, or gateways, have seen of the same sessions, as one list; the latest first. Pure. */
import type { SessionReport } from '../telemetry/recent-sessions.ts';

export function mergedSessions(sessions: readonly SessionReport[]): SessionReport[] {
  return mergedBy(sessions, together);
}

/** A session, and which gateways have seen it. */
export type FleetSession = SessionReport & { readonly gateways: readonly string[] };

export function mergedByGateway(
  parts: readonly { readonly gateway: string; readonly sessions: readonly SessionReport[] }[],
): FleetSession[] {
  const all = parts.flatMap(({ gateway, sessions }) =>
    sessions.map((session): FleetSession => ({ gateways: [gateway], ...session })),
  );
  return mergedBy(all, (one, other) => ({
    ...together(one, other),
    gateways: [...new Set([...one.gateways, ...other.gateways])],
  }));
}

function mergedBy<S extends SessionReport>(sessions: readonly S[], merge: (one: S, other: S) => S): S[] {
  const merged = new Map<string, S>();
  for (const session of sessions) {
    const { issuer, session_hash, subject_hash, client_id } = session;
    const key = JSON.stringify([issuer, session_hash, subject_hash, client_id]);
    const known = merged.get(key);
    merged.set(key, known ? merge(known, session) : session);
  }
  return [...merged.values()].sort((one, other) => other.last_seen - one.last_seen);
}

function together(one: SessionReport, other: SessionReport): SessionReport {
  const addresses = [...new Set([...(one.addresses ?? []), ...(other.addresses ?? [])])];
  return {
    ...one,
    first_seen: Math.min(one.first_seen, other.first_seen),
    last_seen: Math.max(one.last_seen, other.last_seen),
    requests_last_hour: one.requests_last_hour + other.requests_last_hour,
    ...(one.addresses && { addresses }),
  };
}
